//! Claims of waiting intents, and what happens when Redis loses them.

use crate::fixture::{Fixture, LEASE};
use signup::{LeaseOutcome, State};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

const LOOKAHEAD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn two_relays_never_share_a_row() {
    let fixture = Fixture::new().await;
    let mut owed = BTreeSet::new();
    for number in 0..6 {
        owed.insert(fixture.sign_up(&format!("user{number}")).await.intent.id);
    }
    let first = fixture.store.claim_waiting(4, LOOKAHEAD).await.expect("claim");
    let second = fixture.store.claim_waiting(4, LOOKAHEAD).await.expect("claim");
    let ids = |claim: &signup::Claim| claim.intents().iter().map(|intent| intent.id).collect::<BTreeSet<Uuid>>();
    assert_eq!((first.intents().len(), second.intents().len()), (4, 2));
    assert_eq!(ids(&first).union(&ids(&second)).copied().collect::<BTreeSet<_>>(), owed);
}

#[tokio::test]
async fn a_claim_that_is_dropped_leaves_its_rows_waiting() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    drop(fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim"));
    assert_eq!(fixture.state(id).await, State::Waiting);
    // It is given back in the background, long before it is lost.
    let again = servers::until("the row is free", Duration::from_secs(3), async || {
        let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
        if claim.intents().len() == 1 { Ok(claim) } else { Err("it is claimed".to_owned()) }
    });
    let again = again.await;
    again.dispatched("redis-1").await.expect("marked");
    assert_eq!(fixture.state(id).await, State::Dispatched);
    assert_eq!(fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").intents(), []);
}

#[tokio::test]
async fn rows_beyond_the_horizon_stay_and_the_earliest_come_first() {
    let mut fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for (name, delay_seconds) in [("later", 30), ("sooner", 10), ("too_far", 90)] {
        fixture.policy.delay = Duration::from_secs(delay_seconds);
        ids.push(fixture.sign_up(name).await.intent.id);
    }
    let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    let claimed: Vec<Uuid> = claim.intents().iter().map(|intent| intent.id).collect();
    assert_eq!(claimed, [ids[1], ids[0]]);
}

#[tokio::test]
async fn a_relay_that_stands_still_does_not_keep_its_rows_from_others() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    let stuck = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").intents(), []);
    let left: i64 = fixture.value("ceil(extract(epoch FROM claimed_until - clock_timestamp()))::bigint", id).await;
    assert!((1..=5).contains(&left), "lost in {left} s");
    fixture.set("claimed_until = clock_timestamp() - interval '1 millisecond'", id).await;
    let other = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(other.intents().len(), 1);
    other.dispatched("redis-2").await.expect("marked");
    stuck.dispatched("redis-1").await.expect("asked");
    assert_eq!(fixture.value::<String>("redis_epoch", id).await, "redis-2", "what was lost cannot be marked");
}

#[tokio::test]
async fn a_claim_holds_no_connection_and_no_lock_while_redis_is_asked() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    // One connection for all statements, and the one for signs of life.
    let store = crate::fixture::store(&fixture.uri, 2);
    let claim = store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(claim.intents().len(), 1);
    let new = crate::fixture::new_user("bobby", "bobby@example.com");
    store.create_user(&new, &fixture.policy, &fixture.keys).await.expect("a connection is free");
    let outcome = store.lease(id, "worker", LEASE).await.expect("asked");
    assert!(matches!(outcome, LeaseOutcome::Leased(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_look_reads_what_is_due_and_not_what_waits_for_a_later_time() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    fixture
        .execute(
            "INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                        deadline, timeout, public_url, link_ttl, message_id, key_id, state,
                                        dispatched_at)
             SELECT gen_random_uuid(), kind, username, email, 1 + number, delay, run_at + interval '1 day', queue,
                    max_retries, deadline + interval '1 day', timeout, public_url, link_ttl, message_id, key_id,
                    CASE number % 2 WHEN 0 THEN 'waiting' ELSE 'dispatched' END, now()
             FROM email_intents, generate_series(1, 20000) AS number;
             ANALYZE email_intents;",
        )
        .await;
    let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(claim.intents().len(), 1);
    drop(claim);
    fixture.store.overdue(10).await.expect("asked");
    fixture.store.bury_expired().await.expect("asked");
    // A backend reports what it read at the latest when it ends.
    fixture.store.close().await;
    for index in ["email_intents_waiting_idx", "email_intents_dispatched_idx", "email_intents_deadline_idx"] {
        let (scans, read) = fixture.index_reads(index).await;
        assert!(scans >= 1 && read < 10, "{index}: {read} entries read in {scans} scans");
    }
}

#[tokio::test]
async fn a_row_that_a_slow_commit_still_hides_is_not_claimed_and_not_forgotten() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("first").await.intent.id;
    // The second signup began and inserted before the first claim, and commits after it: a cursor would skip it.
    let mut transaction = fixture.sql.begin().await.expect("begin");
    let late = Uuid::now_v7();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "INSERT INTO users (username, hashed_password, full_name, email) VALUES ('late', 'x', 'Late', 'l@b.com');
         INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries, deadline,
                                    timeout, public_url, link_ttl, message_id, key_id)
         SELECT '{late}', kind, 'late', 'l@b.com', 1, delay, run_at - interval '1 hour', queue, max_retries, deadline,
                timeout, public_url, link_ttl, message_id, key_id FROM email_intents WHERE id = '{first}'"
    )))
    .execute(&mut *transaction)
    .await
    .expect("inserted");
    let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(claim.intents().iter().map(|intent| intent.id).collect::<Vec<_>>(), [first]);
    claim.dispatched("redis-1").await.expect("marked");
    transaction.commit().await.expect("commit");
    let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    assert_eq!(claim.intents().iter().map(|intent| intent.id).collect::<Vec<_>>(), [late]);
}

#[tokio::test]
async fn what_another_incarnation_of_redis_was_told_waits_again() {
    let fixture = Fixture::new().await;
    let old = fixture.sign_up("old").await.intent.id;
    fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").dispatched("redis-1").await.expect("marked");
    let new = fixture.sign_up("new").await.intent.id;
    fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").dispatched("redis-2").await.expect("marked");
    // Leased before it was marked: nobody knows which Redis has its retry.
    let unmarked = fixture.leased("unmarked").await;
    let again = Duration::from_secs(100);
    fixture.store.record_retry(unmarked.intent.id, unmarked.epoch, "transient", "", true, again).await.expect("again");
    let sending = fixture.leased("sending").await.intent.id;

    assert_eq!(fixture.store.reset_incarnation("redis-2").await.expect("reset"), 2);
    assert_eq!(fixture.state(old).await, State::Waiting);
    assert_eq!(fixture.state(new).await, State::Dispatched);
    assert_eq!(fixture.state(unmarked.intent.id).await, State::Waiting);
    assert_eq!(fixture.state(sending).await, State::Sending);
    assert_eq!(fixture.store.reset_incarnation("redis-2").await.expect("reset"), 0);
}

#[tokio::test]
async fn a_row_that_somebody_holds_locked_does_not_keep_the_others_from_a_new_redis() {
    let fixture = Fixture::new().await;
    let [held, free] = [fixture.sign_up("held").await.intent.id, fixture.sign_up("free").await.intent.id];
    fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").dispatched("redis-1").await.expect("marked");
    let mut holder = fixture.sql.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM email_intents WHERE id = $1 FOR UPDATE")
        .bind(held)
        .execute(&mut *holder)
        .await
        .expect("locked");
    let reset = tokio::time::timeout(Duration::from_secs(30), fixture.store.reset_incarnation("redis-2")).await;
    assert_eq!(reset.expect("it waits for nobody").expect("reset"), 1);
    assert_eq!((fixture.state(held).await, fixture.state(free).await), (State::Dispatched, State::Waiting));
}

#[tokio::test]
async fn a_lease_and_a_claim_do_not_undo_each_other() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    let claim = fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim");
    let leasing = tokio::spawn({
        let store = fixture.store.clone();
        async move { store.lease(id, "worker", LEASE).await }
    });
    claim.dispatched("redis-1").await.expect("marked");
    let outcome = leasing.await.expect("joined").expect("asked");
    assert!(matches!(outcome, LeaseOutcome::Leased(_)), "{outcome:?}");
    assert_eq!(fixture.state(id).await, State::Sending);
}

#[tokio::test]
async fn overdue_intents_are_given_once_per_ten_seconds_the_longest_neglected_first() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for name in ["first", "second", "fresh"] {
        ids.push(fixture.sign_up(name).await.intent.id);
    }
    fixture.store.claim_waiting(10, LOOKAHEAD).await.expect("claim").dispatched("redis-1").await.expect("marked");
    for (id, seconds) in [(ids[0], 20), (ids[1], 30)] {
        let times = format!("dispatched_at = now() - interval '{seconds} s', run_at = now() - interval '{seconds} s'");
        fixture.set(&times, id).await;
    }
    let overdue = async |limit| -> Vec<Uuid> {
        fixture.store.overdue(limit).await.expect("asked").iter().map(|intent| intent.id).collect()
    };
    assert_eq!(overdue(1).await, [ids[1]]);
    assert_eq!(overdue(10).await, [ids[0]]);
    assert_eq!(overdue(10).await, [] as [Uuid; 0]);
}
