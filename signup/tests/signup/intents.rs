//! Intents for the tasks of Go producers, and the figures.

use crate::fixture::Fixture;
use signup::{IntentFor, State};
use std::time::Duration;
use uuid::Uuid;

const TASK: &str = "2b1f0a3e-6a4c-4d0e-9c53-0d6c1c1d7a11";

async fn intent_for(fixture: &Fixture, username: &str, task_id: &str) -> IntentFor {
    fixture.store.intent_for(username, task_id, &fixture.policy, &fixture.keys).await.expect("asked")
}

/// A user that the Go program created: no intent, no link.
async fn go_user(fixture: &Fixture) {
    fixture
        .execute(
            "INSERT INTO users (username, hashed_password, full_name, email)
             VALUES ('go', 'x', 'Go', 'go@example.com')",
        )
        .await;
}

#[tokio::test]
async fn a_user_nobody_knows_yet_is_told_apart_from_one_that_needs_no_mail() {
    let fixture = Fixture::new().await;
    for username in ["nobody", "", "no\0body"] {
        assert_eq!(intent_for(&fixture, username, TASK).await, IntentFor::UnknownUser);
    }
    go_user(&fixture).await;
    fixture.execute("UPDATE users SET is_email_verified = true").await;
    assert_eq!(intent_for(&fixture, "go", TASK).await, IntentFor::AlreadyVerified);
}

#[tokio::test]
async fn an_owed_intent_is_found_and_none_is_added() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    assert_eq!(intent_for(&fixture, "alice", TASK).await, IntentFor::Owed(id));
    fixture.lease(id).await;
    assert_eq!(intent_for(&fixture, "alice", TASK).await, IntentFor::Owed(id));
}

#[tokio::test]
async fn a_user_of_the_go_program_gets_an_intent_that_can_be_leased_and_its_link_works() {
    let fixture = Fixture::new().await;
    go_user(&fixture).await;
    let IntentFor::Created(id) = intent_for(&fixture, "go", TASK).await else { panic!("there was none") };
    let leased = fixture.lease(id).await;
    assert_eq!(leased.email, "go@example.com");
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("sent");
    assert_eq!(
        intent_for(&fixture, "go", TASK).await,
        IntentFor::Owed(id),
        "a rerun of the task finds the settled one"
    );
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
}

#[tokio::test]
async fn the_task_of_a_deleted_user_finds_its_own_intent_although_the_name_is_taken_again() {
    let fixture = Fixture::new().await;
    go_user(&fixture).await;
    let IntentFor::Created(id) = intent_for(&fixture, "go", TASK).await else { panic!("there was none") };
    fixture.execute("DELETE FROM users").await;
    go_user(&fixture).await;
    assert_eq!(intent_for(&fixture, "go", TASK).await, IntentFor::Owed(id));
    assert_eq!(fixture.state(id).await, State::Cancelled);
}

#[tokio::test]
async fn two_tasks_for_one_user_at_once_end_with_one_intent() {
    let fixture = Fixture::new().await;
    go_user(&fixture).await;
    let mut found = Vec::new();
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let (store, policy, keys) = (fixture.store.clone(), fixture.policy.clone(), fixture.keys.clone());
            tokio::spawn(async move { store.intent_for("go", &format!("custom-{number}"), &policy, &keys).await })
        })
        .collect();
    for task in tasks {
        match task.await.expect("joined").expect("asked") {
            IntentFor::Owed(id) | IntentFor::Created(id) => found.push(id),
            other => panic!("{other:?}"),
        }
    }
    let stored: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM email_intents").fetch_all(&fixture.sql).await.expect("ids");
    assert_eq!(stored.len(), 1);
    assert_eq!(found, vec![stored[0]; 4]);
}

#[tokio::test]
async fn figures_count_every_state_and_the_age_of_what_is_due() {
    let mut fixture = Fixture::new().await;
    let none = fixture.store.counts().await.expect("counted");
    assert_eq!((none.by_state.len(), none.due, none.oldest_due_age), (7, 0, Duration::ZERO));

    let late = fixture.sign_up("late").await.intent.id;
    fixture.set("run_at = run_at - interval '1 hour'", late).await;
    let sent = fixture.leased("sent").await;
    fixture.store.record_sent(sent.intent.id, sent.epoch, "250 ok").await.expect("sent");
    fixture.policy.delay = Duration::from_secs(3600);
    fixture.sign_up("delayed").await;

    let counts = fixture.store.counts().await.expect("counted");
    assert_eq!((counts.by_state[&State::Waiting], counts.by_state[&State::Sent]), (2, 1));
    assert_eq!(counts.by_state[&State::Dead], 0);
    assert_eq!(counts.due, 1);
    assert!(counts.oldest_due_age >= Duration::from_secs(3600), "{:?}", counts.oldest_due_age);
}

#[tokio::test]
async fn an_intent_made_while_the_address_changes_is_for_the_new_one() {
    let fixture = Fixture::new().await;
    go_user(&fixture).await;
    let mut change = fixture.sql.begin().await.expect("a transaction");
    sqlx::raw_sql("UPDATE users SET email = 'new@example.com'").execute(&mut *change).await.expect("changed");
    let (store, policy, keys) = (fixture.store.clone(), fixture.policy.clone(), fixture.keys.clone());
    let making = tokio::spawn(async move { store.intent_for("go", TASK, &policy, &keys).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let blocked = async {
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&fixture.sql).await.expect("a number") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), blocked).await.expect("it waits for the change");
    change.commit().await.expect("committed");
    let made = making.await.expect("no panic").expect("asked");
    let IntentFor::Created(id) = made else { panic!("there was none, but {made:?}") };
    assert_eq!(fixture.lease(id).await.email, "new@example.com");
}
