//! Signups that are committed together: each as if it had come alone.

use crate::fixture::{Fixture, new_user};
use signup::{CreateError, Created, GroupCommit, NewUser, Policy};
use std::{sync::Arc, time::Duration};

/// Signs everybody up in one group: all but the last announce that more are about to come.
async fn together(fixture: &Fixture, everybody: Vec<NewUser>) -> Vec<Result<Created, CreateError>> {
    let policies = vec![fixture.policy.clone(); everybody.len()];
    with_policies(fixture, everybody, policies).await
}

async fn with_policies(
    fixture: &Fixture,
    everybody: Vec<NewUser>,
    policies: Vec<Policy>,
) -> Vec<Result<Created, CreateError>> {
    let (groups, keys) = (GroupCommit::new(fixture.store.clone()), Arc::new(fixture.keys.clone()));
    let last = everybody.len() - 1;
    let signups = everybody.into_iter().zip(policies).enumerate();
    let signups = signups.map(|(at, (new, policy))| groups.create_user(new, policy, Arc::clone(&keys), at < last));
    futures::future::join_all(signups).await
}

fn named(names: &[&str]) -> Vec<NewUser> {
    names.iter().map(|name| new_user(name, &format!("{name}@example.com"))).collect()
}

async fn count(fixture: &Fixture, what: &'static str) -> i64 {
    sqlx::query_scalar(what).fetch_one(&fixture.sql).await.expect("a count")
}

const TRANSACTIONS: &str = "SELECT count(DISTINCT xmin::text) FROM users";
const COMPLETE: &str = "SELECT count(*) FROM users JOIN email_intents AS intent USING (username, email)
     JOIN verify_emails AS code ON code.intent_id = intent.id AND code.email = users.email
     WHERE users.xmin::text = code.xmin::text AND intent.created_at = users.created_at";

#[tokio::test]
async fn i6_each_of_a_group_has_an_intent_and_a_code_of_its_own() {
    let fixture = Fixture::new().await;
    let created = together(&fixture, named(&["carol", "alice", "bobby"])).await;
    for (created, name) in created.into_iter().zip(["carol", "alice", "bobby"]) {
        let created = created.expect("created");
        assert_eq!((created.user.username.as_str(), created.intent.username.as_str()), (name, name));
        assert_eq!(created.user.email, format!("{name}@example.com"));
        let leased = fixture.lease(created.intent.id).await;
        assert_eq!(leased.message_id, format!("<{}@example.com>", created.intent.id));
        fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("its own code");
    }
}

#[tokio::test]
async fn i1_those_who_wait_are_written_in_one_transaction_with_who_announces_nobody() {
    let fixture = Fixture::new().await;
    for created in together(&fixture, named(&["alice", "bobby", "carol"])).await {
        created.expect("created");
    }
    assert_eq!((count(&fixture, TRANSACTIONS).await, count(&fixture, COMPLETE).await), (1, 3));
}

#[tokio::test]
async fn who_waits_for_others_in_vain_is_written_alone() {
    let fixture = Fixture::new().await;
    let (groups, keys) = (GroupCommit::new(fixture.store.clone()), Arc::new(fixture.keys.clone()));
    let [alice] = named(&["alice"]).try_into().expect("one");
    groups.create_user(alice, fixture.policy.clone(), keys, true).await.expect("created");
    assert_eq!(count(&fixture, COMPLETE).await, 1);
}

#[tokio::test]
async fn who_is_refused_takes_nobody_along() {
    let fixture = Fixture::new().await;
    fixture.sign_up("taken").await;
    fixture.execute("ALTER TABLE users ADD CONSTRAINT broken CHECK (username <> 'broken')").await;
    let mut everybody = named(&["alice", "taken", "carla"]);
    everybody.push(new_user("other", "Taken@Example.com"));
    let created = together(&fixture, everybody).await;
    let [Ok(_), Err(CreateError::UsernameTaken), Ok(_), Err(CreateError::EmailTaken)] = &created[..] else {
        panic!("{created:?}")
    };
    let created = together(&fixture, named(&["bobby", "broken", "carol"])).await;
    let [Ok(_), Err(CreateError::Unavailable(_)), Ok(_)] = &created[..] else { panic!("{created:?}") };
    assert_eq!(count(&fixture, COMPLETE).await, 5);
}

#[tokio::test]
async fn of_two_who_want_the_same_at_once_one_gets_it() {
    let fixture = Fixture::new().await;
    let twice = vec![new_user("alice", "a@example.com"), new_user("alice", "b@example.com")];
    let created = together(&fixture, twice).await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1, "{created:?}");
    assert_eq!(created.iter().filter(|created| matches!(created, Err(CreateError::UsernameTaken))).count(), 1);
    let shared = vec![new_user("bobby", "c@example.com"), new_user("carol", "C@example.com")];
    let created = together(&fixture, shared).await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1, "{created:?}");
    assert_eq!(created.iter().filter(|created| matches!(created, Err(CreateError::EmailTaken))).count(), 1);
    assert_eq!(count(&fixture, COMPLETE).await, 2);
}

#[tokio::test]
async fn i8_each_keeps_the_policy_it_came_with() {
    let fixture = Fixture::new().await;
    let (mut early, mut late) = (fixture.policy.clone(), fixture.policy.clone());
    (early.max_retries, late.max_retries) = (3, 7);
    let created = with_policies(&fixture, named(&["alice", "bobby", "carol"]), vec![early.clone(), late, early]).await;
    let retries: Vec<u32> = created.into_iter().map(|created| created.expect("created").intent.max_retries).collect();
    assert_eq!(retries, [3, 7, 3]);
}

#[tokio::test]
async fn the_delay_counts_from_the_commit_of_the_group() {
    let mut fixture = Fixture::new().await;
    fixture.policy.delay = Duration::from_secs(10);
    fixture
        .execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION dawdle();",
        )
        .await;
    for created in together(&fixture, named(&["alice", "bobby"])).await {
        let created = created.expect("created");
        let late: f64 =
            fixture.value("extract(epoch FROM run_at - created_at - delay)::float8", created.intent.id).await;
        assert!(late >= 1.4, "stamped only {late} s after the begin");
    }
}

#[tokio::test]
async fn while_the_database_is_away_each_is_told_so() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    for created in together(&fixture, named(&["alice", "bobby"])).await {
        assert!(matches!(created, Err(CreateError::Unavailable(_))), "{created:?}");
    }
}
