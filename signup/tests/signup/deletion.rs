//! A user who is deleted by command, and what is recorded of users.

use crate::fixture::{Fixture, LEASE};
use signup::{Deleted, Deletion, EmailAddress, LeaseOutcome, Pace, State, Username};
use std::time::Duration;

/// Every row of the audit table but for its time.
async fn recorded(fixture: &Fixture) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as("SELECT event, username, done_by FROM users_audit ORDER BY at")
        .fetch_all(&fixture.sql)
        .await
        .expect("rows")
}

fn row(event: &str, username: &str, done_by: Option<&str>) -> (String, String, Option<String>) {
    (event.to_owned(), username.to_owned(), done_by.map(str::to_owned))
}

#[tokio::test]
async fn a_deleted_user_is_owed_nothing_and_a_dry_run_changes_nothing() {
    let fixture = Fixture::new().await;
    let sent = fixture.leased("alice").await;
    fixture.store.record_sent(sent.intent.id, sent.epoch, "250 ok").await.expect("sent");
    fixture.set("sent_at = sent_at - interval '2 minutes'", sent.intent.id).await;
    let owed = fixture.resent("alice").await.intent.id;
    let going = Deleted { owed: 1, over: 1, links: 2, was_verified: false };
    assert_eq!(fixture.store.delete_user("alice", true).await.expect("asked"), Deletion::Made(going));
    assert_ne!(fixture.state(owed).await, State::Cancelled);
    assert_eq!(fixture.store.delete_user("alice", false).await.expect("asked"), Deletion::Made(going));
    let lease = fixture.store.lease(owed, "worker", LEASE).await.expect("asked");
    assert_eq!(lease, LeaseOutcome::Settled(State::Cancelled));
    let rows: Vec<String> = sqlx::query_scalar("SELECT row_to_json(i)::text FROM email_intents AS i")
        .fetch_all(&fixture.sql)
        .await
        .expect("rows");
    assert!(rows.len() == 2 && rows.iter().all(|row| !row.contains("alice")), "{rows:?}");
    assert_eq!(fixture.store.delete_user("alice", false).await.expect("asked"), Deletion::Unknown);
    assert_eq!(fixture.store.delete_user("a\0", false).await.expect("asked"), Deletion::Unknown);
    fixture.sign_up("alice").await;
}

#[tokio::test]
async fn a_user_whom_other_rows_refer_to_is_not_deleted_and_the_table_is_named() {
    let fixture = Fixture::new().await;
    let owed = fixture.sign_up("alice").await.intent.id;
    let schema =
        "CREATE TABLE accounts (owner varchar REFERENCES users (username)); INSERT INTO accounts VALUES ('alice')";
    fixture.execute(schema).await;
    let refused = fixture.store.delete_user("alice", false).await.expect("asked");
    assert_eq!(refused, Deletion::Referenced("accounts".into()));
    assert_eq!(fixture.state(owed).await, State::Waiting, "what is owed stays owed");
}

#[tokio::test]
async fn what_happens_to_users_is_recorded_whoever_does_it_and_without_addresses() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let email = EmailAddress::parse("right@example.com").expect("an address");
    let alice = Username::parse("alice").expect("a name");
    fixture.store.correct_email(&alice, &email, false, &fixture.policy, &fixture.keys).await.expect("corrected");
    drop(leased);
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM email_intents WHERE state = 'waiting'")
        .fetch_one(&fixture.sql)
        .await
        .expect("the new mail");
    let leased = fixture.lease(id).await;
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("a second click");
    fixture.execute("UPDATE users SET full_name = 'Other'").await;
    let go =
        "INSERT INTO users (username, hashed_password, full_name, email) VALUES ('go', 'x', 'Go', 'g@example.com')";
    fixture.execute(go).await;
    fixture.execute("DELETE FROM users WHERE username = 'go'").await;
    fixture.sign_up("old").await;
    fixture
        .execute(
            "UPDATE users SET created_at = now() - interval '2 days' WHERE username = 'old';
                     UPDATE email_intents SET state = 'dead' WHERE username = 'old';
                     UPDATE verify_emails SET expired_at = now() WHERE username = 'old'",
        )
        .await;
    let pace = Pace { rows: 100, pause: Duration::ZERO, interval: Duration::ZERO };
    fixture.store.purge_unverified(Duration::from_secs(86_400), pace).await.expect("asked");
    fixture.store.delete_user("alice", true).await.expect("asked");
    fixture.store.delete_user("alice", false).await.expect("asked");
    assert_eq!(
        recorded(&fixture).await,
        [
            row("signup", "alice", None),
            row("correction", "alice", None),
            row("verification", "alice", None),
            row("signup", "go", None),
            row("deletion", "go", None),
            row("signup", "old", None),
            row("purge", "old", Some("purge")),
            row("deletion", "alice", Some("worker users delete")),
        ]
    );
    let all: Vec<String> = sqlx::query_scalar("SELECT row_to_json(a)::text FROM users_audit AS a")
        .fetch_all(&fixture.sql)
        .await
        .expect("rows");
    assert!(all.iter().all(|row| !row.contains('@') && !row.contains("argon")), "{all:?}");
    let login: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&fixture.sql).await.expect("a role");
    assert!(all.iter().all(|row| row.contains(&format!(r#""role":"{login}""#))), "{all:?}");
}

#[tokio::test]
async fn signups_of_a_group_are_recorded_and_counted_one_by_one() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "INSERT INTO users (username, hashed_password, full_name, email)
                     SELECT 'user' || n, 'x', 'X', n || '@example.com' FROM generate_series(1, 7) AS n",
        )
        .await;
    assert_eq!(recorded(&fixture).await.len(), 7);
}

#[tokio::test]
async fn the_audit_table_is_never_changed_by_anybody() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for statement in ["UPDATE users_audit SET username = 'bob'", "DELETE FROM users_audit", "TRUNCATE users_audit"] {
        let refused = sqlx::raw_sql(statement).execute(&fixture.sql).await.expect_err(statement).to_string();
        assert!(refused.contains("rows of users_audit are never changed or removed"), "{refused}");
    }
    assert_eq!(recorded(&fixture).await.len(), 1);
}
