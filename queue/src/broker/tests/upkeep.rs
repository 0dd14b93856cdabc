//! What happens to tasks without a worker's doing: forwarding on time, recovery lists, lost replies, ghosts, the
//! archive's and the retention's limits.

use super::{Fixture, M0, NOW, lease, stored, t1, with_id};
use crate::{
    Task,
    broker::{Dequeue, Forwarded, Guard},
    clock::Now,
    keys::QueueKeys,
    settings::MAX_PAYLOAD_BYTES,
};
use std::time::Duration;

fn after_ms(ms: i64) -> Now {
    Now(NOW.0 + ms * 1_000_000)
}

fn due_after_ms(id: &str, ms: i64) -> Task {
    Task { process_at: Some(after_ms(ms).timestamp()), ..with_id(id) }
}

#[tokio::test]
async fn a_task_is_forwarded_at_its_millisecond_and_not_at_the_start_of_its_second() {
    let fixture = Fixture::new();
    fixture.broker.enqueue(&due_after_ms("T1", 1_400), NOW).await.unwrap();
    let forward = async |ms| fixture.broker.forward(&[&fixture.keys], after_ms(ms)).await.unwrap().remove(0).unwrap();
    let waiting = |next_poll_ms| Forwarded { forwarded: 0, more: false, next_poll_ms };
    // Its second (and score) begins at 1 700 000 001 000 ms; the task is due 523 ms into it.
    assert_eq!(forward(0).await, waiting(Some(1_700_000_001_000)));
    assert_eq!(forward(1_000).await, waiting(Some(1_700_000_001_523)));
    assert_eq!(forward(1_399).await, waiting(Some(1_700_000_001_523)));
    assert_eq!(forward(1_400).await, Forwarded { forwarded: 1, more: false, next_poll_ms: None });
    let task = format!("t:T1 msg={M0} pending_since={} state=pending", after_ms(1_400).0);
    assert_eq!(fixture.dump().await, ["pending [\"T1\"]", &task]);
}

#[tokio::test]
async fn a_score_moved_by_another_program_counts_and_not_our_old_millisecond() {
    let fixture = Fixture::new();
    fixture.broker.enqueue(&due_after_ms("T1", 500_900), NOW).await.unwrap();
    fixture.redis(&["ZADD", "asynq:{q}:scheduled", "1700000003", "T1"]).await;
    let forwarded = fixture.broker.forward(&[&fixture.keys], after_ms(3_000)).await.unwrap();
    assert_eq!(forwarded[0].as_ref().unwrap().forwarded, 1);
}

#[tokio::test]
async fn a_due_task_of_a_group_joins_it_next_attempt() {
    let fixture = Fixture::new();
    fixture.broker.enqueue(&due_after_ms("T1", 1_000), NOW).await.unwrap();
    fixture.redis(&["HSET", "asynq:{q}:t:T1", "group", "gg"]).await;
    fixture.broker.forward(&[&fixture.keys], after_ms(1_000)).await.unwrap();
    let expected =
        ["g:gg [(\"T1\", 1700000001)]", "groups [\"gg\"]", &format!("t:T1 group=gg msg={M0} state=aggregating")];
    assert_eq!(fixture.dump().await, expected);
}

#[tokio::test]
async fn thousands_of_due_tasks_are_forwarded_in_steps() {
    let fixture = Fixture::new();
    let tasks: Vec<Task> = (0..4_500).map(|n| due_after_ms(&format!("{n:04}"), 1_000)).collect();
    fixture.broker.enqueue_many(&tasks, NOW).await.unwrap();
    let mut steps = Vec::new();
    loop {
        let done = fixture.broker.forward(&[&fixture.keys], after_ms(2_000)).await.unwrap().remove(0).unwrap();
        steps.push(done.forwarded);
        if !done.more {
            break;
        }
    }
    assert_eq!(steps, [2_000, 2_000, 500]);
}

#[tokio::test]
async fn the_tasks_of_a_dequeue_whose_reply_was_lost_are_found_by_its_token() {
    let fixture = Fixture::new();
    fixture.broker.enqueue_many(&[with_id("a"), with_id("b"), with_id("c")], NOW).await.unwrap();
    fixture.dequeue("A", 2, NOW).await;
    fixture.dequeue("B", 1, NOW).await;
    let mut ids: Vec<String> = fixture
        .broker
        .reclaim(&fixture.keys, "A", MAX_PAYLOAD_BYTES)
        .await
        .unwrap()
        .into_iter()
        .map(|taken| taken.id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
    assert!(fixture.broker.reclaim(&fixture.keys, "C", MAX_PAYLOAD_BYTES).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_tasks_of_a_lost_reply_are_found_behind_ten_thousand_older_leases() {
    let (fixture, _) = Fixture::with_active().await;
    let script = "for n = 1, 10000 do redis.call('ZADD', KEYS[1], 1700000029, 'old' .. n) end";
    fixture.redis(&["EVAL", script, "1", "asynq:{q}:lease"]).await;
    assert_eq!(fixture.broker.reclaim(&fixture.keys, "A", MAX_PAYLOAD_BYTES).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_id_without_a_hash_is_dropped_wherever_it_is_met() {
    let fixture = Fixture::new();
    fixture.redis(&["RPUSH", "asynq:{q}:pending", "ghost"]).await;
    assert!(fixture.dequeue("A", 5, NOW).await.is_empty());
    for zset in ["scheduled", "retry"] {
        fixture.redis(&["ZADD", &format!("asynq:{{q}}:{zset}"), "1", "ghost"]).await;
    }
    fixture.broker.forward(&[&fixture.keys], NOW).await.unwrap();
    fixture.redis(&["RPUSH", "asynq:{q}:active", "ghost"]).await;
    fixture.redis(&["ZADD", "asynq:{q}:lease", "1", "ghost"]).await;
    let (expired, _) = fixture.broker.list_expired(&fixture.keys, NOW, MAX_PAYLOAD_BYTES).await.unwrap();
    assert!(expired.is_empty());
    assert!(fixture.dump().await.is_empty(), "{:?}", fixture.dump().await);
}

#[tokio::test]
async fn a_task_key_of_another_type_is_dropped_and_its_neighbours_are_taken() {
    let fixture = Fixture::new();
    fixture.broker.enqueue_many(&[with_id("a"), with_id("odd"), with_id("b")], NOW).await.unwrap();
    fixture.redis(&["DEL", "asynq:{q}:t:odd"]).await;
    fixture.redis(&["SET", "asynq:{q}:t:odd", "no hash"]).await;
    let ids: Vec<String> = fixture.dequeue("A", 5, NOW).await.into_iter().map(|taken| taken.id).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(fixture.dump().await[0], "active [\"b\", \"a\"]");
    assert_eq!(fixture.read::<i64>(&["EXISTS", "asynq:{q}:t:odd", "asynq:{q}:pending"]).await, 0);
}

#[tokio::test]
async fn a_dequeue_that_redis_refuses_in_the_middle_leaves_the_tasks_where_they_are() {
    // For the commands a dequeue needs one after the other: whichever is not allowed, no task leaves pending.
    for command in ["lrange", "hget", "rpop", "zadd", "hset", "hdel", "lpush"] {
        let fixture = Fixture::new();
        fixture.broker.enqueue_many(&[with_id("a"), with_id("b")], NOW).await.unwrap();
        let user = uuid::Uuid::new_v4().to_string();
        let forbid = format!("-{command}");
        fixture.redis(&["ACL", "SETUSER", &user, "on", "nopass", "~*", "&*", "+@all", &forbid]).await;
        let stand_in = fixture.as_user(&user);
        let request = Dequeue {
            keys: QueueKeys::new("q").into(),
            token: "A".into(),
            count: 2,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
        };
        assert!(stand_in.dequeue(&[request], NOW).await.unwrap().remove(0).is_err(), "without {command}");
        fixture.redis(&["ACL", "DELUSER", &user]).await;
        let ids = fixture.dequeue("B", 2, NOW).await.into_iter().map(|taken| taken.id).collect::<Vec<_>>();
        assert_eq!(ids, ["a", "b"], "without {command}");
    }
}

#[tokio::test]
async fn repair_drops_ghosts_from_every_container() {
    let fixture = Fixture::new();
    for list in ["pending", "active"] {
        fixture.redis(&["RPUSH", &format!("asynq:{{q}}:{list}"), "ghost"]).await;
    }
    for zset in ["lease", "scheduled", "retry", "archived", "completed"] {
        fixture.redis(&["ZADD", &format!("asynq:{{q}}:{zset}"), "9999999999", "ghost"]).await;
    }
    // What asynq's dequeue makes of an id without a hash.
    fixture.redis(&["HSET", "asynq:{q}:t:ghost", "state", "active"]).await;
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, NOW).await.unwrap(), 6);
    assert!(fixture.dump().await.is_empty(), "{:?}", fixture.dump().await);
}

#[tokio::test]
async fn an_active_task_that_lost_its_lease_gets_it_back_for_its_holder() {
    let (fixture, _) = Fixture::with_active().await;
    fixture.redis(&["DEL", "asynq:{q}:lease"]).await;
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, NOW).await.unwrap(), 1);
    assert_eq!(fixture.broker.extend_leases(&fixture.keys, &[lease("T1", "A")], NOW).await.unwrap(), [true]);
    fixture.redis(&["DEL", "asynq:{q}:lease"]).await;
    fixture.redis(&["HDEL", "asynq:{q}:t:T1", "lease_token", "lease_score"]).await;
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, NOW).await.unwrap(), 1);
    assert_eq!(fixture.dump().await[1], "lease [(\"T1\", 1700000030)]");
}

#[tokio::test]
async fn a_lease_whose_task_is_missing_from_active_puts_it_back() {
    let (fixture, _) = Fixture::with_active().await;
    fixture.redis(&["DEL", "asynq:{q}:active"]).await;
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, NOW).await.unwrap(), 1);
    assert_eq!(fixture.dump().await[0], "active [\"T1\"]");
    assert_eq!(fixture.broker.repair(&fixture.keys, 0, NOW).await.unwrap(), 0);
}

#[tokio::test]
async fn the_archive_keeps_10_000_and_drops_hashes_with_their_ids() {
    let fixture = Fixture::new();
    let script = "for n = 1, 11000 do redis.call('ZADD', KEYS[1], 1699990000 + (n % 9000), 'old' .. n) \
                  redis.call('HSET', 'asynq:{q}:t:old' .. n, 'msg', 'x', 'state', 'archived') end";
    fixture.redis(&["EVAL", script, "1", "asynq:{q}:archived"]).await;
    fixture.redis(&["ZADD", "asynq:{q}:archived", "1000000000", "ancient"]).await;
    fixture.redis(&["HSET", "asynq:{q}:t:ancient", "msg", "x", "state", "archived"]).await;
    fixture.broker.enqueue(&t1(), NOW).await.unwrap();
    let taken = fixture.dequeue("A", 1, NOW).await.remove(0);
    fixture
        .broker
        .archive(&fixture.keys, "T1", Guard::Token("A"), &stored(&taken).archived("boom", NOW), NOW)
        .await
        .unwrap();
    assert_eq!(fixture.read::<usize>(&["ZCARD", "asynq:{q}:archived"]).await, 10_000);
    assert_eq!(fixture.read::<Vec<String>>(&["KEYS", "asynq:{q}:t:*"]).await.len(), 10_000);
    assert_eq!(fixture.read::<i64>(&["EXISTS", "asynq:{q}:t:ancient"]).await, 0);
    assert_eq!(fixture.read::<String>(&["HGET", "asynq:{q}:t:T1", "state"]).await, "archived");
}

#[tokio::test]
async fn completed_tasks_are_deleted_when_their_retention_ends() {
    let fixture = Fixture::new();
    for id in ["short", "long"] {
        fixture.broker.enqueue(&with_id(id), NOW).await.unwrap();
        let taken = fixture.dequeue("A", 1, NOW).await.remove(0);
        let retention = Duration::from_secs(if id == "short" { 10 } else { 20 });
        fixture.broker.complete(&fixture.keys, lease(id, "A"), &taken.message, retention, NOW).await.unwrap();
    }
    assert_eq!(fixture.broker.delete_expired(&fixture.keys, after_ms(9_000)).await.unwrap(), 0);
    assert_eq!(fixture.broker.delete_expired(&fixture.keys, after_ms(10_000)).await.unwrap(), 1);
    let expected = [
        "completed [(\"long\", 1700000020)]",
        "processed 2",
        &format!("t:long msg={} state=completed", M0.replace("1a025431", "1a046c6f6e67")),
    ];
    assert_eq!(fixture.dump().await, expected);
}
