//! A signup: user, intent and code, together or not at all.

use crate::fixture::{Fixture, new_user};
use signup::{CreateError, State};
use std::time::Duration;

#[tokio::test]
async fn i1_a_committed_user_has_its_intent_and_code_from_the_same_transaction() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice").await;
    let joined: (String, bool, bool, i64) = sqlx::query_as(
        "SELECT users.username, users.xmin::text = code.xmin::text,
                intent.created_at = users.created_at, count(*) OVER ()
         FROM users JOIN email_intents AS intent USING (username)
             JOIN verify_emails AS code ON code.intent_id = intent.id
         WHERE intent.id = $1 AND code.email = intent.email AND code.email = users.email",
    )
    .bind(created.intent.id)
    .fetch_one(&fixture.sql)
    .await
    .expect("one row");
    assert_eq!(joined, ("alice".into(), true, true, 1));
    assert_eq!(created.user.email, "alice@example.com");
    assert_eq!(created.user.password_changed_at.to_string(), "0001-01-01T00:00:00Z");
    assert_eq!(created.intent.state, State::Waiting);
}

#[tokio::test]
async fn i1_when_the_intent_cannot_be_written_there_is_no_user_either() {
    let fixture = Fixture::new().await;
    fixture.execute("ALTER TABLE email_intents ADD CONSTRAINT broken CHECK (queue <> 'critical')").await;
    let error = fixture.store.create_user(&new_user("alice", "a@b.com"), &fixture.policy, &fixture.keys).await;
    assert!(matches!(error, Err(CreateError::Unavailable(_))), "{error:?}");
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&fixture.sql).await.expect("count");
    assert_eq!(users, 0);
}

#[tokio::test]
async fn clashes_name_the_username_first_then_the_address_in_any_case() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for (username, email, taken) in [
        ("alice", "other@example.com", "username"),
        ("alice", "alice@example.com", "username"),
        ("bob", "alice@example.com", "email"),
        ("bob", "Alice@Example.COM", "email"),
    ] {
        let error = fixture.store.create_user(&new_user(username, email), &fixture.policy, &fixture.keys).await;
        match error.expect_err("taken") {
            CreateError::UsernameTaken => assert_eq!(taken, "username", "{username} {email}"),
            CreateError::EmailTaken => assert_eq!(taken, "email", "{username} {email}"),
            error => panic!("{error:?}"),
        }
    }
    let intents: i64 =
        sqlx::query_scalar("SELECT count(*) FROM email_intents").fetch_one(&fixture.sql).await.expect("count");
    assert_eq!(intents, 1);
}

#[tokio::test]
async fn i8_the_policy_is_copied_and_later_edits_do_not_reach_it() {
    let mut fixture = Fixture::new().await;
    fixture.policy.delay = Duration::from_millis(90_500);
    fixture.policy.max_retries = 3;
    let before = fixture.sign_up("alice").await.intent;
    fixture.policy.delay = Duration::ZERO;
    fixture.policy.max_retries = 7;
    fixture.policy.queue = "default".into();
    let after = fixture.sign_up("bob").await.intent;
    assert_eq!((before.max_retries, before.queue.as_str()), (3, "critical"));
    assert_eq!((after.max_retries, after.queue.as_str()), (7, "default"));
    let copied: bool =
        fixture.value("delay = interval '90.5 seconds' AND max_retries = 3 AND queue = 'critical'", before.id).await;
    assert!(copied);
    assert_eq!(before.timeout, Duration::from_secs(30));
}

#[tokio::test]
async fn the_delay_counts_from_a_slow_commit_and_so_does_the_deadline() {
    let mut fixture = Fixture::new().await;
    fixture.policy.delay = Duration::from_secs(10);
    fixture
        .execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION dawdle();",
        )
        .await;
    let created = fixture.sign_up("alice").await;
    // created_at is the begin of the transaction: run_at lies a delay after it, plus the whole time of the commit.
    let late: f64 = fixture.value("extract(epoch FROM run_at - created_at - delay)::float8", created.intent.id).await;
    assert!(late >= 1.5, "stamped only {late} s after the begin");
    let window: f64 = fixture.value("extract(epoch FROM deadline - run_at)::float8", created.intent.id).await;
    assert!((window - 72.0 * 3600.0).abs() < 0.01, "{window}");
}

#[tokio::test]
async fn the_link_does_not_expire_before_the_mail_is_sent_and_the_code_is_not_stored() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let code = fixture.code(&leased);
    let (expiry, clear): (String, Option<String>) =
        sqlx::query_as("SELECT expired_at::text, secret_code FROM verify_emails WHERE id = $1")
            .bind(leased.email_id)
            .fetch_one(&fixture.sql)
            .await
            .expect("the code's row");
    assert_eq!((expiry.as_str(), clear), ("infinity", None));
    let everything: String = sqlx::query_scalar("SELECT string_agg(row_to_json(v)::text, '') FROM verify_emails AS v")
        .fetch_one(&fixture.sql)
        .await
        .expect("text");
    assert!(!everything.contains(&code));
}

#[test]
fn a_user_to_create_shows_neither_address_nor_hash() {
    let shown = format!("{:?}", new_user("alice", "alice@example.com"));
    assert!(shown.contains("alice") && !shown.contains("example.com") && !shown.contains("argon2"), "{shown}");
}
