//! Signups under a key: one user, whatever of the connection to PostgreSQL breaks, and one answer.

use crate::fixture::{Fixture, keys, new_user, policy, store};
use servers::{Cut, Cutter};
use signup::{CreateError, Created, Once, Store};

pub(crate) fn once(key: &str) -> Once {
    let keys = keys(b'k');
    let fingerprint = keys.fingerprint(keys.current_id(), &[key]).expect("its own key");
    Once::new(key, fingerprint, keys.current_id().to_owned())
}

async fn create(store: &Store, username: &str, email: &str, key: &str, hides: bool) -> Result<Created, CreateError> {
    store.create_user_once(&new_user(username, email), &policy(), &keys(b'k'), &once(key), hides).await
}

async fn users(fixture: &Fixture, username: &str) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM users WHERE username = $1").bind(username);
    count.fetch_one(&fixture.sql).await.expect("a count")
}

#[tokio::test]
async fn a_key_is_used_once_and_what_was_answered_is_kept_to_the_microsecond() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.answered(&once("k").key).await.expect("asked").is_none());
    let created = create(&fixture.store, "alice", "Alice@Example.com", "k", false).await.expect("created");
    let again = create(&fixture.store, "alice", "Alice@Example.com", "k", false).await;
    assert!(matches!(again, Err(CreateError::KeyUsed)), "{again:?}");
    fixture.execute("UPDATE users SET full_name = 'Another', email = 'other@example.com'").await;
    let answered = fixture.store.answered(&once("k").key).await.expect("asked").expect("kept");
    assert_eq!(answered.user, created.user);
    let other = create(&fixture.store, "bobby", "bobby@example.com", "another", false).await;
    assert_eq!(other.expect("another key").user.username, "bobby");
}

#[tokio::test]
async fn a_refused_signup_keeps_nothing_and_its_key_is_free() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for (username, email) in [("alice", "a@example.com"), ("bobby", "alice@example.com")] {
        let refused = create(&fixture.store, username, email, "k", false).await;
        assert!(matches!(refused, Err(CreateError::UsernameTaken | CreateError::EmailTaken)), "{refused:?}");
    }
    assert!(fixture.store.answered(&once("k").key).await.expect("asked").is_none());
    create(&fixture.store, "bobby", "bobby@example.com", "k", false).await.expect("corrected");
}

#[tokio::test]
async fn a_hidden_signup_is_answered_and_kept_like_any_other() {
    let fixture = Fixture::new().await;
    fixture.sign_up("holder").await;
    for (username, email) in [("free", "free@example.com"), ("hidden", "Holder@example.com")] {
        let created = create(&fixture.store, username, email, username, true).await.expect("created");
        assert_eq!(created.user.email, email);
        let answered = fixture.store.answered(&once(username).key).await.expect("asked").expect("kept");
        assert_eq!(answered.user, created.user);
    }
    let refused = create(&fixture.store, "hidden", "other@example.com", "k", true).await;
    assert!(matches!(refused, Err(CreateError::UsernameTaken)), "{refused:?}");
}

#[tokio::test]
async fn a_key_in_another_transaction_is_running() {
    let fixture = Fixture::new().await;
    let mut transaction = fixture.sql.begin().await.expect("begun");
    sqlx::query("LOCK TABLE users").execute(&mut *transaction).await.expect("locked");
    let first = tokio::spawn({
        let store = fixture.store.clone();
        async move { create(&store, "alice", "alice@example.com", "k", false).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted";
    servers::until("the first waits", std::time::Duration::from_secs(30), async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&fixture.sql).await.expect("a count");
        if waiting > 0 { Ok(()) } else { Err("nobody waits".to_owned()) }
    })
    .await;
    let second = create(&fixture.store, "alice", "alice@example.com", "k", false).await;
    assert!(matches!(second, Err(CreateError::KeyRunning)), "{second:?}");
    transaction.rollback().await.expect("released");
    first.await.expect("no panic").expect("created");
}

#[tokio::test]
async fn answers_of_yesterday_are_forgotten_in_steps_and_their_keys_are_free_before() {
    let fixture = Fixture::new().await;
    for name in ["alice", "bobby", "carol"] {
        create(&fixture.store, name, &format!("{name}@example.com"), name, false).await.expect("created");
    }
    assert_eq!(fixture.store.forget_answers(10).await.expect("swept"), 0);
    fixture.execute("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'").await;
    assert!(fixture.store.answered(&once("alice").key).await.expect("asked").is_none());
    let anew = create(&fixture.store, "daisy", "daisy@example.com", "alice", false).await;
    assert_eq!(anew.expect("the key is free").user.username, "daisy");
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        forgotten.push(fixture.store.forget_answers(1).await.expect("swept"));
    }
    assert_eq!(forgotten, [1, 1, 0]);
    fixture.execute("DELETE FROM verify_emails; DELETE FROM users WHERE username = 'daisy'").await;
    assert!(fixture.store.answered(&once("alice").key).await.expect("asked").is_none(), "it goes with its user");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_connection_breaks_the_same_request_again_makes_exactly_one_user() {
    let fixture = Fixture::new().await;
    let cutter = Cutter::before(&fixture.uri).await.expect("a place before PostgreSQL");
    for hides in [false, true] {
        let each = (0..).flat_map(|number| [Cut::Before(number), Cut::After(number)]);
        for cut in std::iter::once(Cut::AfterText(b"COMMIT\0")).chain(each) {
            // A store of its own, so that the cuts fall on its first statements.
            let store = store(cutter.uri(), 2);
            let name = format!("{cut:?}_{hides}").to_lowercase().replace(|one: char| !one.is_ascii_alphanumeric(), "_");
            let email = format!("{name}@example.com");
            cutter.cut(cut.clone());
            let first = create(&store, &name, &email, &name, hides).await;
            if !cutter.has_cut() {
                assert!(first.is_ok(), "{cut:?}: {first:?}");
                break;
            }
            let there = users(&fixture, &name).await;
            match first {
                Ok(_) => assert_eq!(there, 1, "{cut:?}"),
                Err(CreateError::OutcomeUnknown(_)) => assert!(there == 1 || cut != Cut::AfterText(b"COMMIT\0")),
                Err(error) => assert_eq!(there, 0, "{cut:?}: {error:?}"),
            }
            let again = loop {
                match create(&store, &name, &email, &name, hides).await {
                    // PostgreSQL has not noticed yet that the first client is gone.
                    Err(CreateError::KeyRunning) => tokio::task::yield_now().await,
                    done => break done,
                }
            };
            match again {
                Ok(_) => assert_eq!(there, 0, "{cut:?}"),
                Err(CreateError::KeyUsed) => assert_eq!(there, 1, "{cut:?}"),
                Err(error) => panic!("{cut:?}: {error:?}"),
            }
            assert_eq!(users(&fixture, &name).await, 1, "{cut:?}");
            assert!(store.answered(&once(&name).key).await.expect("asked").is_some(), "{cut:?}");
            store.close().await;
        }
    }
}
