//! Ensure: every state a task can be in when it is to run no later than a moment.

use super::{FAILED, Fixture, NOW, at, next_attempt, stored, t1, with_id};
use crate::broker::Guard;
use std::time::Duration;

#[tokio::test]
async fn ensure_adds_moves_earlier_or_replaces_but_never_disturbs() {
    let fixture = Fixture::new();
    let later = |id: &str, seconds: i64| crate::Task { process_at: Some(at(seconds)), ..with_id(id) };
    // active, pending, scheduled far, scheduled near, archived, absent
    fixture.broker.enqueue(&with_id("active"), NOW).await.unwrap();
    fixture.dequeue("A", 1, NOW).await;
    fixture.broker.enqueue(&with_id("dead"), NOW).await.unwrap();
    let taken = fixture.dequeue("B", 1, NOW).await.remove(0);
    let message = stored(&taken).archived("boom", NOW);
    fixture.broker.archive(&fixture.keys, "dead", Guard::Token("B"), &message, NOW).await.unwrap();
    fixture.broker.enqueue(&with_id("pending"), NOW).await.unwrap();
    fixture.broker.enqueue_many(&[later("far", 500), later("near", 5)], NOW).await.unwrap();
    let wanted = ["active", "dead", "pending", "far", "near", "absent"].map(|id| later(id, 50));
    fixture.broker.ensure_many(&wanted, NOW).await.unwrap();
    let scheduled: Vec<(String, i64)> = fixture.read(&["ZRANGE", "asynq:{q}:scheduled", "0", "-1", "WITHSCORES"]).await;
    let due = |id: &str, seconds: i64| (id.to_owned(), NOW.seconds() + seconds);
    assert_eq!(scheduled, [due("near", 5), due("absent", 50), due("dead", 50), due("far", 50)]);
    assert_eq!(fixture.read::<Vec<String>>(&["LRANGE", "asynq:{q}:pending", "0", "-1"]).await, ["pending"]);
    assert_eq!(fixture.read::<Vec<String>>(&["LRANGE", "asynq:{q}:active", "0", "-1"]).await, ["active"]);
    assert_eq!(fixture.read::<i64>(&["ZCARD", "asynq:{q}:archived"]).await, 0);
}

#[tokio::test]
async fn ensure_makes_a_retry_that_is_wanted_now_pending_and_keeps_its_failures() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).failed("boom", NOW, true);
    let delay = Duration::from_secs(600);
    fixture
        .broker
        .retry(&fixture.keys, "T1", Guard::Token("A"), next_attempt(&message, delay, true), NOW)
        .await
        .unwrap();
    fixture.broker.ensure_many(&[t1()], NOW).await.unwrap();
    let task = format!("t:T1 msg={FAILED} pending_since=1700000000123456789 state=pending");
    assert_eq!(fixture.dump().await, ["failed 1", "pending [\"T1\"]", "processed 1", &task]);
}

#[tokio::test]
async fn ensure_respects_fractions_of_a_second() {
    let fixture = Fixture::new();
    let millis = |ms: i64| Some(at(0) + jiff::SignedDuration::from_millis(ms));
    let task = |ms| crate::Task { process_at: millis(ms), ..t1() };
    fixture.broker.enqueue(&task(400), NOW).await.unwrap();
    fixture.broker.ensure_many(&[task(600)], NOW).await.unwrap();
    let exact = async || fixture.read::<i64>(&["HGET", "asynq:{q}:t:T1", "process_at_ms"]).await;
    assert_eq!(exact().await, 1_700_000_000_523);
    fixture.broker.ensure_many(&[task(200)], NOW).await.unwrap();
    assert_eq!(exact().await, 1_700_000_000_323);
}

#[tokio::test]
async fn ensure_adds_again_what_redis_lost_the_list_of() {
    let fixture = Fixture::new();
    fixture.broker.enqueue_many(&[with_id("active"), with_id("pending")], NOW).await.unwrap();
    fixture.dequeue("A", 1, NOW).await;
    for list in ["pending", "active", "lease"] {
        fixture.redis(&["DEL", &format!("asynq:{{q}}:{list}")]).await;
    }
    fixture.broker.ensure_many(&["active", "pending"].map(with_id), NOW).await.unwrap();
    assert_eq!(fixture.dequeue("B", 9, NOW).await.len(), 2);
}
