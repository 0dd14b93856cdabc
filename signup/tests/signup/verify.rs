//! Clicks on links, good and bad ones.

use crate::fixture::Fixture;
use signup::{LeaseOutcome, State, VerifyError};
use std::time::Duration;

async fn is_verified(fixture: &Fixture, username: &str) -> bool {
    let (flag, time): (bool, bool) =
        sqlx::query_as("SELECT is_email_verified, verified_at IS NOT NULL FROM users WHERE username = $1")
            .bind(username)
            .fetch_one(&fixture.sql)
            .await
            .expect("the user");
    assert_eq!(flag, time, "flag and time go together");
    flag
}

#[tokio::test]
async fn a_link_verifies_and_a_second_click_gets_the_same_answer() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let code = fixture.code(&leased);
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
    assert!(!is_verified(&fixture, "alice").await);
    for _ in 0..2 {
        fixture.store.verify_email(leased.email_id, &code).await.expect("verified");
        assert!(is_verified(&fixture, "alice").await);
    }
}

#[tokio::test]
async fn clicks_at_the_same_time_all_succeed() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let clicks: Vec<_> = (0..6)
        .map(|_| {
            let (store, code) = (fixture.store.clone(), fixture.code(&leased));
            tokio::spawn(async move { store.verify_email(leased.email_id, &code).await })
        })
        .collect();
    for click in clicks {
        click.await.expect("joined").expect("verified");
    }
}

#[tokio::test]
async fn a_wrong_id_and_a_wrong_code_are_told_the_same() {
    let fixture = Fixture::new().await;
    let alice = fixture.leased("alice").await;
    let bob = fixture.leased("bob").await;
    let tries = [
        (999, fixture.code(&alice)),
        (alice.email_id, fixture.code(&bob)),
        (-1, "a".repeat(32)),
        (bob.email_id, "a\0".repeat(16)),
    ];
    for (id, code) in tries {
        let result = fixture.store.verify_email(id, &code).await;
        assert!(matches!(result, Err(VerifyError::NotFound)), "{result:?}");
    }
    assert!(!is_verified(&fixture, "alice").await && !is_verified(&fixture, "bob").await);
}

#[tokio::test]
async fn an_expired_link_does_not_verify_and_a_mail_that_was_late_is_not_expired() {
    let fixture = Fixture::new().await;
    let [late, expired] = [fixture.leased("alice").await, fixture.leased("bob").await];
    // Far longer before they were accepted than a link lives: its time has not begun.
    fixture.execute("UPDATE verify_emails SET created_at = created_at - interval '60 days'").await;
    for leased in [&late, &expired] {
        fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
    }
    fixture.store.verify_email(late.email_id, &fixture.code(&late)).await.expect("verified");
    fixture.execute("UPDATE verify_emails SET expired_at = expired_at - interval '60 days' WHERE NOT is_used").await;
    let result = fixture.store.verify_email(expired.email_id, &fixture.code(&expired)).await;
    assert!(matches!(result, Err(VerifyError::Expired)), "{result:?}");
}

#[tokio::test]
async fn the_link_of_a_mail_that_nobody_recorded_ends_once_its_intent_is_over() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 0;
    let lost = fixture.leased("alice").await;
    fixture.let_lease_expire(lost.intent.id).await;
    assert_eq!(fixture.store.expire_leases().await.expect("swept"), 1);
    assert_eq!(fixture.state(lost.intent.id).await, signup::State::Dead);
    let lives =
        "SELECT expired_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '100 years' FROM verify_emails";
    assert!(
        sqlx::query_scalar::<_, bool>(lives).fetch_one(&fixture.sql).await.expect("a row"),
        "it lives, and not for ever"
    );
    fixture
        .store
        .verify_email(lost.email_id, &fixture.code(&lost))
        .await
        .expect("a copy may be out, and its link works");
}

#[tokio::test]
async fn a_used_link_of_a_verification_that_was_withdrawn_says_so() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
    fixture.execute("UPDATE users SET is_email_verified = false, verified_at = NULL").await;
    let result = fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await;
    assert!(matches!(result, Err(VerifyError::Used)), "{result:?}");
}

#[tokio::test]
async fn a_changed_address_voids_every_code_for_good() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let code = fixture.code(&leased);
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
    fixture.execute("UPDATE users SET email = 'new@example.com' WHERE username = 'alice'").await;
    let result = fixture.store.verify_email(leased.email_id, &code).await;
    assert!(matches!(result, Err(VerifyError::AddressChanged)), "{result:?}");
    fixture.execute("UPDATE users SET email = 'alice@example.com' WHERE username = 'alice'").await;
    let result = fixture.store.verify_email(leased.email_id, &code).await;
    assert!(matches!(result, Err(VerifyError::AddressChanged)), "also when the address comes back: {result:?}");
    assert!(!is_verified(&fixture, "alice").await);
}

#[tokio::test]
async fn verification_cancels_a_mail_that_is_owed_but_not_one_being_sent() {
    let fixture = Fixture::new().await;
    let owed = fixture.leased("owed").await;
    let retry = Duration::from_secs(60);
    fixture.store.record_retry(owed.intent.id, owed.epoch, "unknown", "", true, retry).await.expect("again");
    fixture.store.verify_email(owed.email_id, &fixture.code(&owed)).await.expect("the copy did arrive");
    let outcome = fixture.store.lease(owed.intent.id, "worker", crate::fixture::LEASE).await.expect("asked");
    assert_eq!(outcome, LeaseOutcome::Settled(State::Cancelled));

    let sending = fixture.leased("sending").await;
    fixture.store.verify_email(sending.email_id, &fixture.code(&sending)).await.expect("verified");
    fixture.store.record_sent(sending.intent.id, sending.epoch, "250 ok").await.expect("the worker may finish");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_a_result_and_a_change_of_address_at_once_never_block_each_other_for_good() {
    let fixture = Fixture::new().await;
    for round in 0..15 {
        let username = format!("user{round}");
        let leased = fixture.leased(&username).await;
        let (code, id) = (fixture.code(&leased), leased.intent.id);
        let click = fixture.store.verify_email(leased.email_id, &code);
        let result = fixture.store.record_sent(id, leased.epoch, "250 ok");
        let change = sqlx::query("UPDATE users SET email = 'new-' || email WHERE username = $1");
        let (click, result, change) = tokio::join!(click, result, change.bind(&username).execute(&fixture.sql));
        assert!(matches!(click, Ok(()) | Err(VerifyError::AddressChanged)), "{click:?}");
        assert!(matches!(result, Ok(()) | Err(signup::RecordError::Stale)), "{result:?}");
        change.expect("no deadlock");
        assert!(!is_verified(&fixture, &username).await, "the new address was never proved");
    }
}

#[tokio::test]
async fn the_mail_of_a_user_verified_by_other_means_is_cancelled_when_its_turn_comes() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    fixture.execute("UPDATE users SET is_email_verified = true WHERE username = 'alice'").await;
    let outcome = fixture.store.lease(id, "worker", crate::fixture::LEASE).await.expect("asked");
    assert_eq!(outcome, LeaseOutcome::Settled(State::Cancelled));
}
