//! Signups that hide whether their address was taken, and the notice to its owner.

use crate::fixture::{Fixture, LEASE, new_user};
use signup::{CreateError, Created, Kind, LeaseOutcome, State, VerifyError};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

impl Fixture {
    async fn hide(&self, username: &str, email: &str) -> Result<Created, CreateError> {
        self.store.create_user_hiding(&new_user(username, email), &self.policy, &self.keys).await
    }

    async fn text(&self, query: &str) -> String {
        sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned())).fetch_one(&self.sql).await.expect("a text")
    }

    async fn settled(&self, id: Uuid) -> State {
        match self.store.lease(id, "worker", LEASE).await.expect("asked") {
            LeaseOutcome::Settled(state) => state,
            other => panic!("nothing should be owed, but it is {other:?}"),
        }
    }
}

/// What was written, table by table, without what differs from signup to signup.
const WRITTEN: &str = "SELECT concat_ws(' ',
    (SELECT count(*) FROM users), (SELECT count(*) FROM email_intents WHERE state = 'waiting'),
    (SELECT count(*) FROM verify_emails WHERE expired_at = 'infinity' AND NOT is_used AND voided_at IS NULL))";

#[tokio::test]
async fn a_taken_address_in_any_case_is_answered_and_written_like_a_free_one() {
    let fixture = Fixture::new().await;
    let free = fixture.hide("alice", "alice@example.com").await.expect("free");
    assert_eq!(fixture.text(WRITTEN).await, "1 1 1");
    let hidden = fixture.hide("bob", "Alice@Example.COM").await.expect("hidden");
    assert_eq!(fixture.text(WRITTEN).await, "2 2 2");
    assert_eq!((free.user.email.as_str(), hidden.user.email.as_str()), ("alice@example.com", "Alice@Example.COM"));
    assert_eq!((hidden.user.username.as_str(), hidden.user.full_name.as_str()), ("bob", "Test User"));
    assert_eq!(hidden.user.password_changed_at, free.user.password_changed_at);
    assert_eq!((hidden.intent.state, hidden.intent.max_retries), (free.intent.state, free.intent.max_retries));
    let flags = "SELECT string_agg(username || ' ' || is_hidden, ', ' ORDER BY username) FROM users";
    assert_eq!(fixture.text(flags).await, "alice false, bob true");
    let stored =
        "SELECT email LIKE '%@hidden.invalid' AND email = email_canonical AND hashed_password LIKE '$argon2id$%'
                  FROM users WHERE username = 'bob'";
    assert!(sqlx::query_scalar::<_, bool>(stored).fetch_one(&fixture.sql).await.expect("a row"));
}

#[tokio::test]
async fn a_hidden_user_has_its_name_like_any_other() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    fixture.hide("bob", "alice@example.com").await.expect("hidden");
    for email in ["alice@example.com", "bob@example.com"] {
        let again = fixture.hide("bob", email).await;
        assert!(matches!(again, Err(CreateError::UsernameTaken)), "{email}: {again:?}");
    }
    let again = fixture.store.create_user(&new_user("bob", "x@example.com"), &fixture.policy, &fixture.keys).await;
    assert!(matches!(again, Err(CreateError::UsernameTaken)), "{again:?}");
    // Its placeholder takes nobody's address.
    fixture.hide("carol", "bob@example.com").await.expect("free");
    assert_eq!(fixture.text("SELECT count(*)::text FROM users WHERE is_hidden").await, "1");
}

#[tokio::test]
async fn of_many_signups_at_once_with_one_free_address_one_is_not_hidden_and_none_fails() {
    let fixture = Fixture::new().await;
    let signups = (0..20).map(|number| {
        let (store, policy, keys) = (fixture.store.clone(), fixture.policy.clone(), fixture.keys.clone());
        let new = new_user(&format!("user{number}"), "one@example.com");
        tokio::spawn(async move { store.create_user_hiding(&new, &policy, &keys).await.expect("created") })
    });
    for signup in signups.collect::<Vec<_>>() {
        signup.await.expect("no panic");
    }
    let counts = "SELECT count(*) FILTER (WHERE NOT is_hidden) || ' ' || count(*) FROM users";
    assert_eq!(fixture.text(counts).await, "1 20");
}

#[tokio::test]
async fn the_notice_goes_to_the_owner_and_its_code_verifies_nobody() {
    let fixture = Fixture::new().await;
    let alice = new_user("alice", "Alice@example.com");
    fixture.store.create_user(&alice, &fixture.policy, &fixture.keys).await.expect("created");
    let hidden = fixture.hide("bob", "aLICE@example.com").await.expect("hidden");
    let leased = fixture.lease(hidden.intent.id).await;
    assert_eq!((leased.kind, leased.email.as_str()), (Kind::Notice, "Alice@example.com"));
    assert_eq!(leased.intent.username, "alice", "it names the account that the owner has");
    let verified = fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await;
    assert!(matches!(verified, Err(VerifyError::AddressChanged)), "{verified:?}");
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("recorded");
    assert_eq!(fixture.state(hidden.intent.id).await, State::Sent);
    assert_eq!(fixture.text("SELECT count(*)::text FROM users WHERE is_email_verified").await, "0");
}

#[tokio::test]
async fn the_owner_is_told_once_a_day_however_often_somebody_signs_up() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    let first = fixture.hide("first", "alice@example.com").await.expect("hidden").intent.id;
    let second = fixture.hide("second", "alice@example.com").await.expect("hidden").intent.id;
    let leased = fixture.lease(first).await;
    assert_eq!(fixture.settled(second).await, State::Cancelled);
    assert_eq!(fixture.value::<String>("last_class", second).await, "told already");

    // An attempt that failed may be made again.
    let after = Duration::ZERO;
    fixture.store.record_retry(first, leased.epoch, "transient", "451 later", true, after).await.expect("recorded");
    let leased = fixture.lease(first).await;
    fixture.store.record_sent(first, leased.epoch, "250 ok").await.expect("recorded");

    fixture.execute("UPDATE users SET noticed_at = noticed_at - interval '23 hours'").await;
    let third = fixture.hide("third", "alice@example.com").await.expect("hidden").intent.id;
    assert_eq!(fixture.settled(third).await, State::Cancelled);
    fixture.execute("UPDATE users SET noticed_at = noticed_at - interval '1 hour'").await;
    let fourth = fixture.hide("fourth", "alice@example.com").await.expect("hidden").intent.id;
    assert_eq!(fixture.lease(fourth).await.email, "alice@example.com");
}

#[tokio::test]
async fn of_two_notices_leased_at_once_one_is_sent() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for round in 0..10 {
        fixture.execute("UPDATE users SET noticed_at = NULL, notice_id = NULL").await;
        let mut leases = Vec::new();
        for side in ["a", "b"] {
            let id = fixture.hide(&format!("{side}_{round}"), "alice@example.com").await.expect("hidden").intent.id;
            let store = fixture.store.clone();
            leases.push(tokio::spawn(async move { store.lease(id, "worker", LEASE).await.expect("asked") }));
        }
        let mut leased = 0;
        for lease in leases {
            leased += usize::from(matches!(lease.await.expect("no panic"), LeaseOutcome::Leased(_)));
        }
        assert_eq!(leased, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_notice_follows_the_account_and_ends_with_it() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    let hidden = fixture.hide("bob", "alice@example.com").await.expect("hidden").intent.id;
    fixture.execute("UPDATE users SET email = 'new@example.com' WHERE username = 'alice'").await;
    assert_eq!(fixture.settled(hidden).await, State::Cancelled, "nobody has the address now");
    let hidden = fixture.hide("carol", "new@example.com").await.expect("hidden").intent.id;
    fixture.execute("DELETE FROM users WHERE username = 'alice'").await;
    assert_eq!(fixture.settled(hidden).await, State::Cancelled);
    let hidden = fixture.hide("dave", "new@example.com").await.expect("free").intent.id;
    assert_eq!(fixture.lease(hidden).await.kind, Kind::Verification, "the address is free again");
}

#[tokio::test]
async fn ids_of_links_cannot_be_counted_and_the_go_programs_sequence_is_left_alone() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for number in 0..20 {
        fixture.hide(&format!("hidden{number}"), "alice@example.com").await.expect("hidden");
        fixture.sign_up(&format!("free{number}")).await;
    }
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM verify_emails ORDER BY created_at")
        .fetch_all(&fixture.sql)
        .await
        .expect("ids");
    assert!(ids.iter().all(|id| id.to_string().len() == 16), "{ids:?}");
    let gaps: BTreeSet<i64> = ids.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), ids.len() - 1, "no two gaps are alike: {ids:?}");
    assert!(gaps.iter().any(|gap| *gap < 0), "they do not grow: {ids:?}");
    assert_eq!(fixture.text("SELECT is_called::text FROM verify_emails_id_seq").await, "false");
}
