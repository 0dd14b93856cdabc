//! What goes after a while, what stays, and that one process at a time does it.

use crate::fixture::Fixture;
use signup::{Account, DeliveryState, IntentFor, LinkStanding, Pace, State, Step};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Steps that follow each other at once.
const FAST: Pace = Pace { rows: 2, pause: Duration::ZERO, interval: Duration::ZERO };

async fn count(fixture: &Fixture, from: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
    sqlx::query_scalar(statement).fetch_one(&fixture.sql).await.expect("a number")
}

/// A mail that was sent so many days ago, and whose link ended a day later.
async fn sent(fixture: &Fixture, username: &str, days: i32) -> uuid::Uuid {
    let leased = fixture.leased(username).await;
    let id = leased.intent.id;
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("sent");
    fixture.set(&format!("sent_at = sent_at - interval '{days} days'"), id).await;
    fixture
        .execute(&format!(
            "UPDATE verify_emails SET expired_at = expired_at - interval '{days} days'
                              WHERE intent_id = '{id}'"
        ))
        .await;
    id
}

/// All that there is to remove, in steps of two.
async fn remove(fixture: &Fixture) -> u64 {
    let mut removed = 0;
    loop {
        let step = fixture.store.remove_settled(MONTH, FAST).await.expect("asked").expect("nobody else's turn");
        removed += step.removed;
        if !step.goes_on {
            return removed;
        }
    }
}

#[tokio::test]
async fn mails_that_are_over_go_with_their_links_after_their_time() {
    let fixture = Fixture::new().await;
    for number in 0..5 {
        sent(&fixture, &format!("old{number}"), 31).await;
    }
    let created_at: jiff_sqlx::Timestamp = sqlx::query_scalar("SELECT created_at FROM users WHERE username = 'old0'")
        .fetch_one(&fixture.sql)
        .await
        .expect("a time");
    let old = Account { username: "old0".into(), created_at: created_at.to_jiff() };
    let young = sent(&fixture, "young", 29).await;
    let late = fixture.sign_up("late").await.intent.id;
    for state in ["refused", "dead", "cancelled"] {
        let id = fixture.sign_up(state).await.intent.id;
        fixture.set(&format!("state = '{state}', deadline = now() - interval '31 days'"), id).await;
    }
    fixture
        .execute(
            "UPDATE verify_emails SET expired_at = now() - interval '1 day' WHERE username IN ('dead', 'cancelled')",
        )
        .await;
    fixture.set("deadline = now() - interval '31 days'", late).await;
    assert_eq!(remove(&fixture).await, 8);
    let left: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT intent_id FROM verify_emails").fetch_all(&fixture.sql).await.expect("links");
    assert_eq!((count(&fixture, "email_intents").await, left.len()), (2, 2));
    assert!(left.contains(&young) && left.contains(&late), "what is owed stays, however old it is");
    assert_eq!(count(&fixture, "users").await, 10, "users stay");
    assert_eq!(fixture.store.counts().await.expect("counted").by_state[&State::Sent], 1);
    let states = fixture.store.delivery_states(std::slice::from_ref(&old)).await.expect("asked");
    assert_eq!(states[&old], DeliveryState::Sent, "as of a hidden signup whose notice was told by another");
}

#[tokio::test]
async fn a_link_that_works_keeps_its_mail() {
    let fixture = Fixture::new().await;
    let id = sent(&fixture, "alice", 40).await;
    fixture.execute("UPDATE verify_emails SET expired_at = now() + interval '1 hour'").await;
    assert_eq!(remove(&fixture).await, 0);
    let code = fixture.keys.current_code(id);
    let link = sqlx::query_scalar("SELECT id FROM verify_emails").fetch_one(&fixture.sql).await.expect("a link");
    let standing = fixture.store.look_at_link(link, code.as_str()).await.expect("it works");
    assert!(matches!(standing, LinkStanding::Good(_)), "{standing:?}");
    fixture.execute("UPDATE verify_emails SET expired_at = now() - interval '1 second'").await;
    assert_eq!(remove(&fixture).await, 1);
}

#[tokio::test]
async fn another_mail_can_be_had_after_the_first_one_went() {
    let fixture = Fixture::new().await;
    sent(&fixture, "alice", 31).await;
    assert_eq!(remove(&fixture).await, 1);
    let made = fixture.store.intent_for("alice", "a task", &fixture.policy, &fixture.keys).await.expect("asked");
    assert!(matches!(made, IntentFor::Created(_)), "{made:?}");
}

#[tokio::test]
async fn one_process_at_a_time_has_its_turn_and_the_next_one_after_the_pause() {
    let fixture = Fixture::new().await;
    let slow = Pace { rows: 2, pause: Duration::from_secs(3600), interval: Duration::from_secs(7200) };
    for number in 0..5 {
        sent(&fixture, &format!("old{number}"), 31).await;
    }
    let mut held = fixture.sql.begin().await.expect("a transaction");
    sqlx::raw_sql("SELECT FROM signup_chores FOR UPDATE").execute(&mut *held).await.expect("locked");
    let other = fixture.another_store();
    assert_eq!(other.remove_settled(MONTH, slow).await.expect("asked"), None, "somebody is at it");
    assert_eq!(other.purge_unverified(DAY, slow).await.expect("asked"), None, "somebody is at it");
    // Dropped, it would be taken back at some later time.
    held.rollback().await.expect("taken back");
    let step = other.remove_settled(MONTH, slow).await.expect("asked");
    assert_eq!(step, Some(Step { removed: 2, goes_on: true }));
    assert_eq!(fixture.store.remove_settled(MONTH, slow).await.expect("asked"), None, "the pause is everybody's");
    assert_eq!(count(&fixture, "email_intents").await, 3);
    let pause =
        "SELECT next_at - clock_timestamp() BETWEEN '59 m' AND '1 h' FROM signup_chores WHERE chore = 'retention'";
    assert!(sqlx::query_scalar::<_, bool>(pause).fetch_one(&fixture.sql).await.expect("a row"));
}

#[tokio::test]
async fn only_a_database_that_was_new_forgets_where_nobody_said_for_how_long_it_is_kept() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.removes_settled_by_default().await.expect("asked"));
}

/// Users who signed up two days ago and whose link has ended.
async fn unverified(fixture: &Fixture, username: &str) -> uuid::Uuid {
    let id = sent(fixture, username, 2).await;
    fixture
        .execute(&format!("UPDATE users SET created_at = now() - interval '2 days' WHERE username = '{username}'"))
        .await;
    id
}

async fn purge(fixture: &Fixture) -> u64 {
    let mut removed = 0;
    loop {
        let step = fixture.store.purge_unverified(DAY, FAST).await.expect("asked").expect("nobody else's turn");
        removed += step.removed;
        if !step.goes_on {
            return removed;
        }
    }
}

#[tokio::test]
async fn users_who_never_verified_go_and_their_names_and_addresses_are_free() {
    let fixture = Fixture::new().await;
    for username in ["user1", "user2", "user3", "user4", "user5"] {
        unverified(&fixture, username).await;
    }
    unverified(&fixture, "verified").await;
    fixture.execute("UPDATE users SET is_email_verified = true WHERE username = 'verified'").await;
    fixture.sign_up("young").await;
    assert_eq!(purge(&fixture).await, 5);
    let left: Vec<String> =
        sqlx::query_scalar("SELECT username FROM users ORDER BY 1").fetch_all(&fixture.sql).await.expect("names");
    assert_eq!(left, ["verified", "young"]);
    fixture.sign_up("user1").await;
}

#[tokio::test]
async fn nobody_is_purged_while_a_mail_is_owed_or_a_link_works() {
    let fixture = Fixture::new().await;
    for (username, state) in [("waiting", "'waiting'"), ("dispatched", "'dispatched'")] {
        let id = unverified(&fixture, username).await;
        fixture.set(&format!("state = {state}, sent_at = NULL"), id).await;
    }
    let sending = unverified(&fixture, "sending").await;
    fixture.set("state = 'sending', sent_at = NULL, lease_owner = 'x', lease_until = now()", sending).await;
    unverified(&fixture, "link").await;
    fixture.execute("UPDATE verify_emails SET expired_at = now() + interval '1 h' WHERE username = 'link'").await;
    let refused = unverified(&fixture, "refused").await;
    fixture.set("state = 'refused', sent_at = NULL, deadline = now() - interval '2 days'", refused).await;
    fixture.execute("UPDATE verify_emails SET expired_at = 'infinity' WHERE username = 'refused'").await;
    assert_eq!(purge(&fixture).await, 1, "a refused mail is out nowhere");
    assert_eq!(count(&fixture, "users").await, 4);
}

#[tokio::test]
async fn a_mail_that_is_asked_for_during_the_purge_keeps_its_user() {
    let fixture = Fixture::new().await;
    unverified(&fixture, "alice").await;
    let mut asking = fixture.sql.begin().await.expect("a transaction");
    sqlx::raw_sql("SELECT FROM users FOR KEY SHARE; UPDATE email_intents SET state = 'waiting', sent_at = NULL")
        .execute(&mut *asking)
        .await
        .expect("as a resend does");
    let store = fixture.store.clone();
    let purging = tokio::spawn(async move { store.purge_unverified(DAY, FAST).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    servers::until("it waits", Duration::from_secs(30), async || {
        let waiting = sqlx::query_scalar::<_, i64>(waits).fetch_one(&fixture.sql).await.expect("a number");
        (waiting > 0).then_some(()).ok_or_else(String::new)
    })
    .await;
    asking.commit().await.expect("committed");
    let step = purging.await.expect("no panic").expect("asked").expect("its turn");
    assert_eq!((step.removed, count(&fixture, "users").await), (0, 1));
}

#[tokio::test]
async fn a_user_whom_another_applications_rows_refer_to_stays_and_holds_up_nobody() {
    let fixture = Fixture::new().await;
    for username in ["user1", "user2", "user3"] {
        unverified(&fixture, username).await;
    }
    fixture
        .execute(
            "CREATE TABLE accounts (owner varchar REFERENCES users (username)); INSERT INTO accounts VALUES ('user1')",
        )
        .await;
    assert_eq!(purge(&fixture).await, 2);
    assert_eq!(count(&fixture, "users").await, 1);
}
