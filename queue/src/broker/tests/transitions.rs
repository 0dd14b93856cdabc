//! Every transition of a task, compared with the state that asynq v0.26.0 leaves after the same operation (observed on
//! the Go library). Where ours differs on purpose, the test says so.

use super::{FAILED, Fixture, M0, NOW, at, lease, next_attempt, stored, t1, with_id};
use crate::{
    broker::{Guard, Settled},
    task::Enqueued,
};
use std::time::Duration;

const UNCOUNTED: &str = "\
    0a0c656d61696c3a76657269667912077b2275223a317d1a02543122017128193a04626f6f6d401e5880e2cfaa06";
const UNIQUE: &str = "\
    0a0c656d61696c3a76657269667912077b2275223a317d1a0254312201712819401e523e6173796e713a7b717d3a756e6971\
    75653a656d61696c3a7665726966793a6366656234393036323438663138636239346632303237313163326133346366603c";
const LOCK: &str = "asynq:{q}:unique:email:verify:cfeb4906248f18cb94f202711c2a34cf";

#[tokio::test]
async fn enqueue_leaves_what_asynq_leaves() {
    let fixture = Fixture::new();
    fixture.broker.register(&["q"]).await.unwrap();
    assert_eq!(fixture.broker.enqueue(&t1(), NOW).await.unwrap(), Enqueued::Added);
    let task = format!("t:T1 msg={M0} pending_since=1700000000123456789 state=pending");
    assert_eq!(fixture.dump().await, ["asynq:queues [\"q\"]".to_owned(), "pending [\"T1\"]".to_owned(), task]);
}

#[tokio::test]
async fn an_id_that_exists_in_any_state_is_left_as_it_is() {
    let (fixture, _) = Fixture::with_active().await;
    let before = fixture.dump().await;
    assert_eq!(fixture.broker.enqueue(&t1(), NOW).await.unwrap(), Enqueued::AlreadyThere);
    let mut later = t1();
    later.process_at = Some(at(90));
    assert_eq!(fixture.broker.enqueue(&later, NOW).await.unwrap(), Enqueued::AlreadyThere);
    assert_eq!(fixture.dump().await, before);
}

#[tokio::test]
async fn dequeue_leaves_what_asynq_leaves() {
    let (fixture, taken) = Fixture::with_active().await;
    assert_eq!((taken.id.as_str(), super::hex(&taken.message).as_str()), ("T1", M0));
    let expected = [
        "active [\"T1\"]".to_owned(),
        "lease [(\"T1\", 1700000030)]".to_owned(),
        format!("t:T1 msg={M0} state=active"),
    ];
    assert_eq!(fixture.dump().await, expected);
}

#[tokio::test]
async fn dequeue_takes_the_oldest_first_up_to_the_count_and_nothing_from_a_paused_queue() {
    let fixture = Fixture::new();
    let tasks: Vec<_> = ["a", "b", "c"].map(with_id).into();
    fixture.broker.enqueue_many(&tasks, NOW).await.unwrap();
    assert!(fixture.broker.pause("q", NOW).await.unwrap());
    assert!(!fixture.broker.pause("q", NOW).await.unwrap());
    assert!(fixture.dequeue("A", 2, NOW).await.is_empty());
    assert!(fixture.broker.unpause("q").await.unwrap());
    let ids: Vec<String> = fixture.dequeue("A", 2, NOW).await.into_iter().map(|taken| taken.id).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(fixture.dequeue("A", 2, NOW).await.remove(0).id, "c");
}

#[tokio::test]
async fn ack_leaves_only_the_counter() {
    let (fixture, _) = Fixture::with_active().await;
    let settled = fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap();
    assert_eq!(settled, [Settled::Done]);
    assert_eq!(fixture.dump().await, ["processed 1"]);
}

#[tokio::test]
async fn requeue_puts_the_task_next_and_says_since_when() {
    let (fixture, _) = Fixture::with_active().await;
    fixture.broker.enqueue(&with_id("older"), NOW).await.unwrap();
    fixture.broker.requeue(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap();
    let dump = fixture.dump().await;
    assert_eq!(dump[0], "pending [\"older\", \"T1\"]");
    // asynq leaves pending_since out here, which makes its queue latency read 0.
    assert_eq!(dump[1], format!("t:T1 msg={M0} pending_since=1700000000123456789 state=pending"));
    assert_eq!(fixture.dequeue("B", 1, NOW).await[0].id, "T1");
}

#[tokio::test]
async fn a_counted_retry_leaves_what_asynq_leaves() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).failed("boom", NOW, true);
    let delay = Duration::from_secs(20);
    fixture
        .broker
        .retry(&fixture.keys, "T1", Guard::Token("A"), next_attempt(&message, delay, true), NOW)
        .await
        .unwrap();
    let task = format!("t:T1 msg={FAILED} state=retry");
    assert_eq!(fixture.dump().await, ["failed 1", "processed 1", "retry [(\"T1\", 1700000020)]", &task]);
}

#[tokio::test]
async fn an_uncounted_retry_leaves_no_counters() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).failed("boom", NOW, false);
    let delay = Duration::from_secs(20);
    fixture
        .broker
        .retry(&fixture.keys, "T1", Guard::Token("A"), next_attempt(&message, delay, false), NOW)
        .await
        .unwrap();
    assert_eq!(fixture.dump().await, ["retry [(\"T1\", 1700000020)]", &format!("t:T1 msg={UNCOUNTED} state=retry")]);
}

#[tokio::test]
async fn archive_leaves_what_asynq_leaves() {
    let (fixture, taken) = Fixture::with_active().await;
    let message = stored(&taken).archived("boom", NOW);
    fixture.broker.archive(&fixture.keys, "T1", Guard::Token("A"), &message, NOW).await.unwrap();
    let task = format!("t:T1 msg={UNCOUNTED} state=archived");
    assert_eq!(fixture.dump().await, ["archived [(\"T1\", 1700000000)]", "failed 1", "processed 1", &task]);
}

#[tokio::test]
async fn schedule_leaves_what_asynq_leaves() {
    let fixture = Fixture::new();
    let mut task = t1();
    task.process_at = Some(at(90));
    assert_eq!(fixture.broker.enqueue(&task, NOW).await.unwrap(), Enqueued::Added);
    assert_eq!(fixture.dump().await, ["scheduled [(\"T1\", 1700000090)]", &format!("t:T1 msg={M0} state=scheduled")]);
}

#[tokio::test]
async fn a_unique_task_with_retention_goes_through_the_states_of_asynq() {
    let fixture = Fixture::new();
    let mut task = t1();
    task.unique_for = Some(Duration::from_secs(3600));
    task.retention = Duration::from_secs(60);
    assert_eq!(fixture.broker.enqueue(&task, NOW).await.unwrap(), Enqueued::Added);
    let pending = format!("t:T1 msg={UNIQUE} pending_since=1700000000123456789 state=pending unique_key={LOCK}");
    let lock = format!("{} T1", LOCK.trim_start_matches("asynq:{q}:"));
    assert_eq!(fixture.dump().await, ["pending [\"T1\"]", &pending, &lock]);
    assert_eq!(fixture.read::<i64>(&["TTL", LOCK]).await, 3600);

    let taken = fixture.dequeue("A", 1, NOW).await.remove(0);
    let message = stored(&taken).completed(NOW);
    let retention = stored(&taken).retention();
    assert_eq!(
        fixture.broker.complete(&fixture.keys, lease("T1", "A"), &message, retention, NOW).await.unwrap(),
        Settled::Done
    );
    let completed = format!("t:T1 msg={UNIQUE}6880e2cfaa06 state=completed unique_key={LOCK}");
    assert_eq!(fixture.dump().await, ["completed [(\"T1\", 1700000060)]", "processed 1", &completed]);
}

#[tokio::test]
async fn a_second_unique_task_is_a_duplicate_until_the_first_is_acked() {
    let fixture = Fixture::new();
    let unique = |id| crate::Task { unique_for: Some(Duration::from_secs(60)), ..with_id(id) };
    fixture.broker.enqueue(&unique("T1"), NOW).await.unwrap();
    assert_eq!(fixture.broker.enqueue(&unique("T2"), NOW).await.unwrap(), Enqueued::Duplicate);
    assert_eq!(fixture.broker.enqueue(&unique("T1"), NOW).await.unwrap(), Enqueued::AlreadyThere);
    fixture.dequeue("A", 1, NOW).await;
    fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap();
    assert_eq!(fixture.broker.enqueue(&unique("T2"), NOW).await.unwrap(), Enqueued::Added);
}

#[tokio::test]
async fn an_id_conflict_of_a_unique_task_takes_no_lock() {
    let fixture = Fixture::new();
    fixture.broker.enqueue(&t1(), NOW).await.unwrap();
    let mut unique = t1();
    unique.unique_for = Some(Duration::from_secs(60));
    unique.process_at = Some(at(5));
    assert_eq!(fixture.broker.enqueue(&unique, NOW).await.unwrap(), Enqueued::AlreadyThere);
    assert_eq!(fixture.read::<i64>(&["EXISTS", LOCK]).await, 0);
}

#[tokio::test]
async fn the_lock_of_a_scheduled_task_outlives_its_waiting() {
    let fixture = Fixture::new();
    let mut task = t1();
    task.unique_for = Some(Duration::from_secs(10));
    task.process_at = Some(at(100));
    fixture.broker.enqueue(&task, NOW).await.unwrap();
    assert_eq!(fixture.read::<i64>(&["TTL", LOCK]).await, 110);
}

#[tokio::test]
async fn many_tasks_of_all_forms_are_enqueued_in_one_call_and_answered_in_order() {
    let fixture = Fixture::new();
    let mut tasks = vec![with_id("a"), with_id("b"), with_id("a"), with_id("u"), with_id("v"), with_id("other")];
    tasks[1].process_at = Some(at(60));
    tasks[3].unique_for = Some(Duration::from_secs(60));
    tasks[4].unique_for = Some(Duration::from_secs(60));
    tasks[5].queue = "p".to_owned();
    let results = fixture.broker.enqueue_many(&tasks, NOW).await.unwrap();
    use Enqueued::{Added, AlreadyThere, Duplicate};
    assert_eq!(results, [Added, Added, AlreadyThere, Added, Duplicate, Added]);
    assert_eq!(fixture.read::<Vec<String>>(&["LRANGE", "asynq:{p}:pending", "0", "-1"]).await, ["other"]);
}

#[tokio::test]
async fn the_counters_of_the_day_expire_after_90_days() {
    let fixture = Fixture::new();
    let now = fixture.broker.now();
    fixture.broker.enqueue(&t1(), now).await.unwrap();
    let taken = fixture.dequeue("A", 1, now).await.remove(0);
    let message = stored(&taken).archived("boom", now);
    fixture.broker.archive(&fixture.keys, "T1", Guard::Token("A"), &message, now).await.unwrap();
    for counter in [fixture.keys.processed_on(&now.date()), fixture.keys.failed_on(&now.date())] {
        assert_eq!(fixture.read::<i64>(&["GET", &counter]).await, 1);
        // EXPIRETIME is younger than Redis 6.2.
        let until = "local now = redis.call('TIME') return now[1] * 1000 + now[2] / 1000 + redis.call('PTTL', KEYS[1])";
        let until_ms: i64 = fixture.read(&["EVAL", until, "1", &counter]).await;
        assert_eq!((until_ms + 500) / 1_000, now.seconds() + 90 * 24 * 3600);
    }
}

#[tokio::test]
async fn the_total_starts_over_at_the_largest_number() {
    let (fixture, _) = Fixture::with_active().await;
    fixture.redis(&["SET", "asynq:{q}:processed", "9223372036854775807"]).await;
    fixture.broker.ack(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap();
    assert_eq!(fixture.dump().await, ["processed 1"]);
}

#[tokio::test]
async fn fields_of_a_newer_asynq_survive_a_retry() {
    let (fixture, mut taken) = Fixture::with_active().await;
    // Field 200, a string, as some later version may add it.
    taken.message.extend_from_slice(b"\xc2\x0c\x03new");
    let message = stored(&taken).failed("boom", NOW, true);
    assert!(message.ends_with(b"\xc2\x0c\x03new"));
    assert_eq!(super::hex(&message[..message.len() - 6]), FAILED);
    fixture
        .broker
        .retry(&fixture.keys, "T1", Guard::Token("A"), next_attempt(&message, Duration::ZERO, true), NOW)
        .await
        .unwrap();
}
