//! What each server refuses, in its own words at its own step, and what becomes of the mail: given up only where the
//! mailbox is not there, held where it is about us.

use crate::{Fixture, each_is_taken_once, in_clear, record, sign_up_at, signed_in};
use servers::{Authority, LOGIN, Security};

/// What one attempt at the mail of a new signup leaves in PostgreSQL.
async fn first_attempt(fixture: &Fixture) -> String {
    attempt_at(fixture, "example.com").await
}

async fn attempt_at(fixture: &Fixture, domain: &str) -> String {
    let created = sign_up_at(fixture, "alice1", domain).await;
    fixture.run(&created).await.expect_err("it is refused");
    record(fixture, &created).await
}

const GIVEN_UP: &str = "permanent refused 0 1";
const HELD: &str = "misconfigured dispatched 0 1";
const UNTIL_IT_WORKS: &str = "relay_down dispatched 0 1";
const LATER: &str = "transient dispatched 1 1";

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_given_up_by_each_server() {
    let parameters = ["local_recipient_maps = inline:{ {bob1=1} }"];
    let Some(postfix) = servers::postfix(Security::Plain, &parameters) else { return };
    assert_eq!(first_attempt(&in_clear(postfix.port()).await).await, GIVEN_UP, "{}", postfix.log());
    let Some(exim) = servers::exim(Security::Plain, &["KNOWN = bob1"], &[]) else { return };
    assert_eq!(first_attempt(&in_clear(exim.port()).await).await, GIVEN_UP, "{}", exim.log());
    let Some(opensmtpd) = servers::opensmtpd(&["bob1"], &[]) else { return };
    assert_eq!(first_attempt(&in_clear(opensmtpd.port()).await).await, GIVEN_UP, "{}", opensmtpd.log());
}

#[tokio::test]
async fn a_server_that_does_not_relay_for_us_holds_the_mail() {
    // What main.cf says by default is 454, "not yet"; what administrators write is 554.
    for (restriction, held) in [("defer_unauth_destination", UNTIL_IT_WORKS), ("reject_unauth_destination", HELD)] {
        let parameter = format!("smtpd_relay_restrictions = {restriction}");
        let Some(postfix) = servers::postfix(Security::Plain, &[&parameter]) else { return };
        assert_eq!(attempt_at(&in_clear(postfix.port()).await, "example.org").await, held, "{}", postfix.log());
    }
    let Some(exim) = servers::exim(Security::Plain, &[], &[]) else { return };
    assert_eq!(attempt_at(&in_clear(exim.port()).await, "example.org").await, HELD, "{}", exim.log());
}

#[tokio::test]
async fn what_postfix_says_of_us_at_rcpt_holds_the_mail() {
    for parameter in [
        "smtpd_helo_restrictions = check_helo_access static:{504 5.5.2 need fully-qualified hostname}",
        "smtpd_sender_restrictions = check_sender_access static:{550 5.1.8 Domain not found}",
        "smtpd_client_restrictions = check_client_access static:{554 5.7.1 you are on our list}",
    ] {
        let Some(postfix) = servers::postfix(Security::Plain, &[parameter]) else { return };
        assert_eq!(first_attempt(&in_clear(postfix.port()).await).await, HELD, "{parameter}: {}", postfix.log());
    }
}

#[tokio::test]
async fn a_sender_that_is_not_ours_to_use_holds_the_mail() {
    let authority = Authority::make().expect("openssl runs");
    let parameters = [
        "smtpd_sender_login_maps = inline:{ {no-reply@example.com = somebody} }",
        "smtpd_sender_restrictions = reject_sender_login_mismatch",
    ];
    let Some(postfix) = servers::postfix(Security::Login(&authority), &parameters) else { return };
    let fixture = signed_in(postfix.port(), &authority, LOGIN.1).await;
    assert_eq!(first_attempt(&fixture).await, HELD, "{}", postfix.log());
}

#[tokio::test]
async fn a_password_that_is_wrong_holds_the_mail() {
    let authority = Authority::make().expect("openssl runs");
    let security = Security::Login(&authority);
    let Some(postfix) = servers::postfix(security, &[]) else { return };
    let fixture = signed_in(postfix.port(), &authority, "wrong").await;
    assert_eq!(first_attempt(&fixture).await, HELD, "{}", postfix.log());
    let Some(exim) = servers::exim(security, &[], &[]) else { return };
    let fixture = signed_in(exim.port(), &authority, "wrong").await;
    assert_eq!(first_attempt(&fixture).await, HELD, "{}", exim.log());
}

#[tokio::test]
async fn a_verdict_at_the_dot_that_is_not_about_the_mailbox_holds_the_mail() {
    for reply in ["554 Message rejected: Email address is not verified", "550 5.7.26 unauthenticated sender"] {
        let parameter = format!("smtpd_end_of_data_restrictions = check_client_access static:{{{reply}}}");
        let Some(postfix) = servers::postfix(Security::Plain, &[&parameter]) else { return };
        assert_eq!(first_attempt(&in_clear(postfix.port()).await).await, HELD, "{reply}: {}", postfix.log());
    }
}

#[tokio::test]
async fn a_mail_that_is_too_large_for_the_server_is_no_fault_of_the_mailbox() {
    let Some(postfix) = servers::postfix(Security::Plain, &["message_size_limit = 500"]) else { return };
    assert_eq!(first_attempt(&in_clear(postfix.port()).await).await, HELD, "{}", postfix.log());
    let Some(exim) = servers::exim(Security::Plain, &["message_size_limit = 500"], &[]) else { return };
    assert_eq!(first_attempt(&in_clear(exim.port()).await).await, HELD, "{}", exim.log());
}

#[tokio::test]
async fn greylisting_costs_one_attempt_and_a_minute() {
    let acl = [
        "  defer message = greylisted, come back later",
        "    !condition = ${if exists{/srv/logs/seen}}",
        "    condition = ${run{/usr/bin/touch /srv/logs/seen}{yes}{yes}}",
    ];
    let Some(exim) = servers::exim(Security::Plain, &[], &acl) else { return };
    let fixture = in_clear(exim.port()).await;
    let created = fixture.sign_up("alice1").await;
    fixture.run(&created).await.expect_err("not yet");
    assert_eq!(record(&fixture, &created).await, LATER, "{}", exim.log());
    let wait = fixture.value("next_attempt_at - clock_timestamp() > interval '50 seconds'", created.intent.id).await;
    assert_eq!(wait, "true");
    fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    each_is_taken_once(&fixture, &[created], || exim.accepted()).await;
}

#[tokio::test]
async fn a_server_that_calls_every_address_invalid_is_found_out_at_the_third_domain() {
    let Some(opensmtpd) = servers::opensmtpd(&[], &[]) else { return };
    let fixture = in_clear(opensmtpd.port()).await;
    let mut all = Vec::new();
    for (username, domain) in [("alice1", "example.org"), ("bob1", "example.net"), ("carol1", "example.edu")] {
        let created = sign_up_at(&fixture, username, domain).await;
        fixture.run(&created).await.expect_err("it is refused");
        all.push(created.intent.id);
        let state = if all.len() < 3 { "refused" } else { "waiting" };
        for id in &all {
            assert_eq!(fixture.value("state", *id).await, state, "after {domain}: {}", opensmtpd.log());
        }
    }
}
