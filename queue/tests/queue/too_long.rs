//! Tasks that are too long to be read: they go into the archive by their length, hold up no other task, and leave the
//! memory that they would have taken to others.

use crate::harness::{Fixture, ok, peer};
use queue::Task;
use servers::Redis;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

fn task(id: &str, payload_bytes: usize) -> Task {
    Task { id: id.to_owned(), ..Task::new("mail:send", vec![b'x'; payload_bytes]) }
}

/// Puts a message of so many bytes, which nobody is to read, into the place of a task's.
async fn grow(fixture: &Fixture, id: &str, bytes: usize) {
    let mut connection = fixture.raw().get_multiplexed_async_connection().await.unwrap();
    connection.set_response_timeout(crate::harness::DEADLINE);
    let mut write = redis::cmd("HSET");
    write.arg(format!("asynq:{{default}}:t:{id}")).arg("msg").arg(vec![b'x'; bytes]);
    write.query_async::<i64>(&mut connection).await.unwrap();
}

/// What the scripts of a Redis hold.
async fn script_memory(fixture: &Fixture) -> usize {
    let info: String = fixture.redis(&["INFO", "memory"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory_lua:")).expect("every version says so");
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_megabytes_at_the_head_of_the_queue_are_archived_and_the_next_task_runs() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let soon = Some(jiff::Timestamp::now() + Duration::from_secs(1));
    fixture.client.enqueue(&Task { process_at: soon, ..task("later", 1) }).await.unwrap();
    fixture.client.enqueue(&task("first", 1)).await.unwrap();
    for id in ["later", "first"] {
        grow(&fixture, id, 50_000_000).await;
    }
    fixture.client.enqueue(&task("second", 1)).await.unwrap();
    let (server, mut jobs) = fixture.server(|settings| settings.concurrency = 1, ok());
    assert_eq!(jobs.next().await.task.id, "second");
    fixture.until("all settled", async |fixture| fixture.state("default").await.processed == 3).await;
    assert!(jobs.try_next().is_none());
    let state = fixture.state("default").await;
    assert_eq!((state.pending, state.active, state.archived, state.failed), (0, 0, 2, 2));
    let held = script_memory(&fixture).await;
    assert!(held < 10 * MIB, "the scripts of Redis hold {held} bytes");
    server.shutdown().await;
    let kept: usize = fixture.redis(&["HSTRLEN", "asynq:{default}:t:first", "msg"]).await;
    assert_eq!(kept, 50_000_000, "as it came, for whoever looks into the archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_tools_list_what_was_archived_by_its_length() {
    let fixture = Fixture::new();
    fixture.client.enqueue(&task("long", 2 * MIB)).await.unwrap();
    let (server, _jobs) = fixture.server(|_| {}, ok());
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
    server.shutdown().await;
    let seen = peer::run(&fixture.uri, &["inspect"]).await.unwrap().remove(0);
    let queue = &seen["Queues"]["default"];
    let listed = &queue["Tasks"]["archived"][0];
    assert_eq!(
        (&listed["ID"], &listed["State"], &listed["Type"]),
        (&"long".into(), &"archived".into(), &"mail:send".into())
    );
    assert_eq!((&queue["Info"]["Failed"], &queue["Today"]["Failed"]), (&1.into(), &1.into()));
    peer::run(&fixture.uri, &["act", "-action", "delete", "-id", "long"]).await.unwrap();
    assert_eq!(fixture.task_keys("default").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_the_limit_runs_and_one_byte_more_says_why_it_does_not() {
    let fixture = Fixture::new();
    fixture.client.enqueue_many(&[task("over", 1_001), task("at", 1_000)]).await.unwrap();
    let (server, mut jobs) = fixture.server(|settings| settings.max_payload_bytes = 1_000, ok());
    assert_eq!(jobs.next().await.task.id, "at");
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
    server.shutdown().await;
    let seen = peer::run(&fixture.uri, &["inspect"]).await.unwrap().remove(0);
    let listed = &seen["Queues"]["default"]["Tasks"]["archived"][0];
    let because = "payload of 1001 bytes is over the limit of 1000";
    assert_eq!((&listed["ID"], &listed["LastErr"]), (&"over".into(), &because.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_long_task_of_a_dead_worker_is_archived_and_its_neighbour_runs() {
    let fixture = Fixture::new();
    for id in ["long", "short"] {
        fixture.client.enqueue(&task(id, 1)).await.unwrap();
        fixture.redis::<String>(&["RPOPLPUSH", "asynq:{default}:pending", "asynq:{default}:active"]).await;
        fixture.redis::<i64>(&["HSET", &format!("asynq:{{default}}:t:{id}"), "state", "active"]).await;
        fixture.redis::<i64>(&["ZADD", "asynq:{default}:lease", "1000", id]).await;
    }
    grow(&fixture, "long", 2 * MIB).await;
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let job = jobs.next().await;
    assert_eq!((job.task.id.as_str(), job.retried), ("short", 1));
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
    server.shutdown().await;
}
