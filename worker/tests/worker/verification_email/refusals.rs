//! Whose fault a refusal is, and what becomes of the mail.

use super::*;
use signup::{Created, EmailAddress};

const DOMAINS: [&str; 5] = ["one.example", "two.example", "three.example", "four.example", "five.example"];

/// What the operator is told: whether the mail server works, and what it said.
fn told(fixture: &Fixture) -> (bool, String) {
    let report = fixture.mailer.report().expect("a dialogue ended");
    (report.works, report.said.unwrap_or_default())
}

async fn sign_up_at(fixture: &Fixture, username: &str, domain: &str) -> Created {
    let email = EmailAddress::parse(&format!("{username}@{domain}")).expect("an address");
    fixture.sign_up_as(username, email).await
}

async fn state(fixture: &Fixture, created: &Created) -> String {
    fixture.value("state", created.intent.id).await
}

/// The mail is due, and one attempt is made.
async fn run_now(fixture: &Fixture, created: &Created) -> Result<(), TaskError> {
    fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    fixture.run(created).await
}

#[tokio::test]
async fn a_server_that_refuses_everybody_costs_nobody_a_mail() {
    let fixture = Fixture::new().await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "Invalid recipient")]).expect("a good rule");
    let mut signups = Vec::new();
    for (number, domain) in DOMAINS.iter().enumerate() {
        let created = sign_up_at(&fixture, &format!("user{number}"), domain).await;
        let result = fixture.run(&created).await;
        if number < 2 {
            assert!(matches!(result, Err(TaskError::GiveUp { .. })), "{domain}: {result:?}");
            assert_eq!(state(&fixture, &created).await, "refused", "{domain}");
        } else {
            let (after, counted, _) = retry(result);
            assert!(!counted && after.is_some(), "{domain}: {after:?}");
            assert_eq!(told(&fixture), (false, "550 Invalid recipient".to_owned()), "{domain}");
        }
        signups.push(created);
    }
    for created in &signups {
        let row = fixture.value("state || ' ' || failures || ' ' || attempts", created.intent.id).await;
        assert_eq!(row, "waiting 0 1");
        assert!(!retry(run_now(&fixture, created).await).1);
    }
    assert!(!fixture.mailer.breaker().is_open());
    fixture.inbox.rules([]).expect("no rules");
    for created in &signups {
        assert_eq!(run_now(&fixture, created).await, Ok(()));
    }
    assert_eq!(fixture.inbox.messages().len(), DOMAINS.len());
    assert!(told(&fixture).0);
}

#[tokio::test]
async fn bad_mailboxes_between_good_ones_stay_refused() {
    let fixture = Fixture::new().await;
    for (number, domain) in DOMAINS.iter().enumerate() {
        fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "no such user")]).expect("a good rule");
        let bad = sign_up_at(&fixture, &format!("bad{number}"), domain).await;
        let result = fixture.run(&bad).await;
        assert!(matches!(result, Err(TaskError::GiveUp { .. })), "{domain}: {result:?}");
        fixture.inbox.rules([]).expect("no rules");
        let good = fixture.sign_up(&format!("good{number}")).await;
        assert_eq!(fixture.run(&good).await, Ok(()));
        assert_eq!(state(&fixture, &bad).await, "refused", "{domain}");
    }
}

#[tokio::test]
async fn a_site_of_one_domain_gets_no_verdict_back() {
    let fixture = Fixture::new().await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, "Invalid recipient")]).expect("a good rule");
    for number in 0..5 {
        let created = fixture.sign_up(&format!("user{number}")).await;
        assert!(matches!(fixture.run(&created).await, Err(TaskError::GiveUp { .. })));
        assert_eq!(state(&fixture, &created).await, "refused");
    }
}

#[tokio::test]
async fn what_the_server_has_against_us_holds_the_mail_and_is_told_without_names() {
    let fixture = Fixture::new().await;
    let rows = [
        (Phase::Rcpt, 504, "5.5.2 <worker-7d9f>: Helo command rejected: need fully-qualified hostname", "Helo command"),
        (Phase::Rcpt, 550, "relay not permitted for alice1", "relay not permitted"),
        (
            Phase::Rcpt,
            553,
            "5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user app",
            "Sender address",
        ),
        (Phase::Dot, 554, "Message rejected: Email address is not verified: alice1@example.com", "is not verified"),
        (Phase::Dot, 550, "5.7.26 alice1@example.com: DMARC says no", "DMARC says no"),
    ];
    let created = fixture.sign_up("alice1").await;
    for (attempts, (phase, code, text, shown)) in (1..).zip(rows) {
        fixture.inbox.rules([Rule::reply(phase, code, text)]).expect("a good rule");
        let (after, counted, _) = retry(run_now(&fixture, &created).await);
        assert!(!counted && after.is_some_and(|after| after >= Duration::from_secs(10)), "{text}: {after:?}");
        let row = fixture.value("last_class || ' ' || state || ' ' || failures || ' ' || attempts", created.intent.id);
        assert_eq!(row.await, format!("misconfigured dispatched 0 {attempts}"), "{text}");
        let (works, said) = told(&fixture);
        assert!(!works && said.starts_with(&code.to_string()) && said.contains(shown), "{said}");
        assert!(!said.contains("alice1") && !said.contains('@'), "{said}");
    }
    fixture.inbox.rules([]).expect("no rules");
    assert_eq!(run_now(&fixture, &created).await, Ok(()));
}

#[tokio::test]
async fn a_full_mailbox_is_tried_again_and_a_quota_of_ours_waits_uncounted() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    for (phase, code, text, class, failures) in [
        (Phase::Dot, 552, "5.2.2 mailbox full", "transient", 1),
        (Phase::Dot, 550, "5.4.5 daily quota exceeded", "limited", 1),
        (Phase::Rcpt, 452, "4.5.3 too many mails", "limited", 1),
        (Phase::Rcpt, 450, "4.2.0 greylisted", "transient", 2),
    ] {
        fixture.inbox.rules([Rule::reply(phase, code, text)]).expect("a good rule");
        retry(run_now(&fixture, &created).await);
        let row = fixture.value("last_class || ' ' || state || ' ' || failures", created.intent.id).await;
        assert_eq!(row, format!("{class} dispatched {failures}"), "{text}");
    }
}
