//! Users that are deleted or change their address while a mail is owed or being sent.

use crate::fixture::{Fixture, LEASE, new_user};
use signup::{CreateError, LeaseOutcome, RecordError, State};

#[tokio::test]
async fn deleting_a_user_cancels_what_is_owed_and_keeps_evidence_without_the_address() {
    let fixture = Fixture::new().await;
    let sent = fixture.leased("alice").await;
    let id = sent.intent.id;
    fixture.store.record_sent(id, sent.epoch, "250 ok for <alice@example.com>").await.expect("sent");
    let owed = fixture.sign_up("bob").await.intent.id;
    fixture.execute("DELETE FROM users").await;

    assert_eq!(fixture.state(id).await, State::Sent);
    assert_eq!(
        fixture.store.lease(owed, "worker", LEASE).await.expect("asked"),
        LeaseOutcome::Settled(State::Cancelled)
    );
    let rows: Vec<String> = sqlx::query_scalar("SELECT row_to_json(i)::text FROM email_intents AS i")
        .fetch_all(&fixture.sql)
        .await
        .expect("rows");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| !row.contains("alice") && !row.contains("bob")), "{rows:?}");
    let links: i64 =
        sqlx::query_scalar("SELECT count(*) FROM verify_emails").fetch_one(&fixture.sql).await.expect("count");
    assert_eq!(links, 0);
}

#[tokio::test]
async fn i10_a_worker_that_sends_for_a_deleted_user_cannot_record() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.execute("DELETE FROM users").await;
    assert!(!fixture.store.extend_lease(leased.intent.id, leased.epoch, LEASE).await.expect("asked"), "QUIT unsent");
    let result = fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await;
    assert!(matches!(result, Err(RecordError::Stale)), "{result:?}");
    assert_eq!(fixture.state(leased.intent.id).await, State::Cancelled);
}

#[tokio::test]
async fn i10_a_worker_that_sends_to_an_old_address_cannot_record() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.execute("UPDATE users SET email = 'new@example.com'").await;
    let result = fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await;
    assert!(matches!(result, Err(RecordError::Stale)), "{result:?}");
    assert_eq!(fixture.state(leased.intent.id).await, State::Cancelled);
}

#[tokio::test]
async fn a_changed_address_is_unverified_and_takes_its_canonical_form_along() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
    fixture.execute("UPDATE users SET email = 'New@Example.com'").await;
    let (verified, canonical): (bool, String) = sqlx::query_as("SELECT is_email_verified, email_canonical FROM users")
        .fetch_one(&fixture.sql)
        .await
        .expect("the user");
    assert_eq!((verified, canonical.as_str()), (false, "new@example.com"));
    let clash = fixture.store.create_user(&new_user("bob", "NEW@example.com"), &fixture.policy, &fixture.keys).await;
    assert!(matches!(clash, Err(CreateError::EmailTaken)), "{clash:?}");
    fixture
        .store
        .create_user(&new_user("carol", "alice@example.com"), &fixture.policy, &fixture.keys)
        .await
        .expect("free again");
}

#[tokio::test]
async fn other_changes_of_a_user_leave_the_mail_owed() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.execute("UPDATE users SET full_name = 'New Name', email = email").await;
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("still the holder");
}

#[tokio::test]
async fn a_username_can_be_taken_again_after_its_user_was_deleted() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("alice").await.intent.id;
    fixture.execute("DELETE FROM users").await;
    let second = fixture.sign_up("alice").await.intent.id;
    assert_ne!(first, second);
    assert_eq!(fixture.state(second).await, State::Waiting);
}
