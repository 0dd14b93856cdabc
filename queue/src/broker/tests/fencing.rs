//! A holder that lost its lease can change nothing, no matter who has had the task in between: another of ours, Go's
//! worker, a recoverer; and a holder that kept it is never refused.

use super::{Fixture, NOW, lease, next_attempt, stored};
use crate::{
    broker::{Guard, Settled, Taken},
    clock::Now,
    keys::QueueKeys,
    settings::MAX_PAYLOAD_BYTES,
};
use std::time::Duration;

const LATER: Now = Now(NOW.0 + 40_000_000_000);

/// What asynq v0.26.0 does at a dequeue, step by step; it knows nothing of our fields.
async fn dequeue_like_go(fixture: &Fixture, expiry: i64) {
    let key = "asynq:{q}:t:T1";
    fixture.redis(&["LMOVE", "asynq:{q}:pending", "asynq:{q}:active", "RIGHT", "LEFT"]).await;
    fixture.redis(&["HSET", key, "state", "active"]).await;
    fixture.redis(&["HDEL", key, "pending_since"]).await;
    fixture.redis(&["ZADD", "asynq:{q}:lease", &expiry.to_string(), "T1"]).await;
}

/// What asynq v0.26.0 does at a retry that is due at once, and at the forwarding after it.
async fn recover_like_go(fixture: &Fixture) {
    let key = "asynq:{q}:t:T1";
    fixture.redis(&["LREM", "asynq:{q}:active", "0", "T1"]).await;
    fixture.redis(&["ZREM", "asynq:{q}:lease", "T1"]).await;
    fixture.redis(&["LPUSH", "asynq:{q}:pending", "T1"]).await;
    fixture.redis(&["HSET", key, "state", "pending", "pending_since", "1"]).await;
}

/// All write-backs of the holder `A` are refused and change nothing.
async fn assert_fenced_off(fixture: &Fixture, taken: &Taken) {
    let (broker, keys): (_, &QueueKeys) = (&fixture.broker, &fixture.keys);
    let before = fixture.dump().await;
    let failed = stored(taken).failed("late", LATER, true);
    assert_eq!(broker.ack(keys, &[lease("T1", "A")], LATER).await.unwrap(), [Settled::NotMine]);
    assert_eq!(
        broker.complete(keys, lease("T1", "A"), &failed, Duration::from_secs(9), LATER).await.unwrap(),
        Settled::NotMine
    );
    assert_eq!(broker.requeue(keys, &[lease("T1", "A")], LATER).await.unwrap(), [Settled::NotMine]);
    let retried =
        broker.retry(keys, "T1", Guard::Token("A"), next_attempt(&failed, Duration::ZERO, true), LATER).await.unwrap();
    assert_eq!(retried, Settled::NotMine);
    assert_eq!(broker.archive(keys, "T1", Guard::Token("A"), &failed, LATER).await.unwrap(), Settled::NotMine);
    assert_eq!(broker.extend_leases(keys, &[lease("T1", "A")], LATER).await.unwrap(), [false]);
    assert_eq!(fixture.dump().await, before);
}

async fn recover(fixture: &Fixture) {
    let (expired, _) = fixture.broker.list_expired(&fixture.keys, LATER, MAX_PAYLOAD_BYTES).await.unwrap();
    let message = stored(&Taken { id: "T1".to_owned(), message: expired[0].message.clone(), unread_bytes: None })
        .failed("expired", LATER, true);
    let guard = Guard::ExpiredLease(expired[0].expiry);
    let settled = fixture
        .broker
        .retry(&fixture.keys, "T1", guard, next_attempt(&message, Duration::ZERO, true), LATER)
        .await
        .unwrap();
    assert_eq!(settled, Settled::Done);
}

#[tokio::test]
async fn a_stale_holder_is_refused_while_the_task_waits_for_its_retry() {
    let (fixture, taken) = Fixture::with_active().await;
    recover(&fixture).await;
    assert_fenced_off(&fixture, &taken).await;
}

#[tokio::test]
async fn a_stale_holder_is_refused_after_another_of_ours_took_the_task() {
    let (fixture, taken) = Fixture::with_active().await;
    recover(&fixture).await;
    fixture.broker.forward(&[&fixture.keys], LATER).await.unwrap();
    assert_eq!(fixture.dequeue("B", 1, LATER).await.len(), 1);
    assert_fenced_off(&fixture, &taken).await;
    assert_eq!(fixture.broker.ack(&fixture.keys, &[lease("T1", "B")], LATER).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_stale_holder_is_refused_after_a_go_worker_took_the_task() {
    let (fixture, taken) = Fixture::with_active().await;
    recover_like_go(&fixture).await;
    dequeue_like_go(&fixture, LATER.seconds() + 30).await;
    assert_fenced_off(&fixture, &taken).await;
}

#[tokio::test]
async fn a_stale_holder_is_refused_after_the_lease_of_a_go_worker_vanished_and_was_repaired() {
    let (fixture, taken) = Fixture::with_active().await;
    recover_like_go(&fixture).await;
    dequeue_like_go(&fixture, LATER.seconds() + 30).await;
    fixture.redis(&["DEL", "asynq:{q}:lease"]).await;
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, LATER).await.unwrap(), 1);
    assert_fenced_off(&fixture, &taken).await;
}

#[tokio::test]
async fn a_stale_holder_is_refused_after_the_task_is_gone() {
    let (fixture, taken) = Fixture::with_active().await;
    fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap();
    assert_fenced_off(&fixture, &taken).await;
}

#[tokio::test]
async fn a_holder_keeps_its_task_through_extensions() {
    let (fixture, _) = Fixture::with_active().await;
    for seconds in [5, 10, 35] {
        let now = NOW.plus(Duration::from_secs(seconds));
        assert_eq!(fixture.broker.extend_leases(&fixture.keys, &[lease("T1", "A")], now).await.unwrap(), [true]);
    }
    assert_eq!(fixture.dump().await[1], "lease [(\"T1\", 1700000065)]");
    assert_eq!(fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], LATER).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_recoverer_is_refused_when_the_lease_was_extended_after_it_looked() {
    let (fixture, taken) = Fixture::with_active().await;
    let (expired, next) = fixture.broker.list_expired(&fixture.keys, LATER, MAX_PAYLOAD_BYTES).await.unwrap();
    assert_eq!((expired[0].id.as_str(), expired[0].expiry, next), ("T1", 1_700_000_030, None));
    fixture.broker.extend_leases(&fixture.keys, &[lease("T1", "A")], LATER).await.unwrap();
    let message = stored(&taken).failed("expired", LATER, true);
    let guard = Guard::ExpiredLease(expired[0].expiry);
    let settled = fixture
        .broker
        .retry(&fixture.keys, "T1", guard, next_attempt(&message, Duration::ZERO, true), LATER)
        .await
        .unwrap();
    assert_eq!(settled, Settled::NotMine);
    assert_eq!(fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], LATER).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn two_recoverers_recover_a_task_once() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).failed("expired", LATER, true);
    let guard = Guard::ExpiredLease(1_700_000_030);
    let recover =
        || fixture.broker.retry(&fixture.keys, "T1", guard, next_attempt(&message, Duration::ZERO, true), LATER);
    assert_eq!(recover().await.unwrap(), Settled::Done);
    assert_eq!(recover().await.unwrap(), Settled::NotMine);
    assert_eq!(fixture.read::<i64>(&["GET", "asynq:{q}:failed"]).await, 1);
}

#[tokio::test]
async fn repeating_a_write_back_changes_nothing() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).failed("boom", NOW, true);
    let retry = || {
        fixture.broker.retry(&fixture.keys, "T1", Guard::Token("A"), next_attempt(&message, Duration::ZERO, true), NOW)
    };
    assert_eq!(retry().await.unwrap(), Settled::Done);
    let before = fixture.dump().await;
    assert_eq!(retry().await.unwrap(), Settled::NotMine);
    assert_eq!(fixture.dump().await, before);
}

#[tokio::test]
async fn a_go_worker_can_finish_a_task_that_ours_held_before() {
    let (fixture, _) = Fixture::with_active().await;
    recover_like_go(&fixture).await;
    dequeue_like_go(&fixture, LATER.seconds() + 30).await;
    // Go's Done removes the id from active and lease and deletes the hash, our private fields with it.
    assert_eq!(fixture.read::<i64>(&["LREM", "asynq:{q}:active", "0", "T1"]).await, 1);
    assert_eq!(fixture.read::<i64>(&["ZREM", "asynq:{q}:lease", "T1"]).await, 1);
    assert_eq!(fixture.read::<i64>(&["DEL", "asynq:{q}:t:T1"]).await, 1);
    assert!(fixture.dump().await.is_empty());
}
