//! What goes wrong with Redis itself: it is down, killed and comes back empty, forgets its scripts, drops its clients,
//! is full, is a replica, is silent. Every task we own runs, and runs once.

use crate::harness::{Fixture, answer, gated, ok};
use queue::{Error, Task, TaskError};
use servers::Redis;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

fn tasks(count: usize) -> Vec<Task> {
    (0..count).map(|number| Task { id: format!("{number:04}"), ..Task::new("mail:send", "{}") }).collect()
}

/// Runs `disturb` over and over until every one of `count` tasks has been processed; returns how often each ran.
async fn run_all_disturbed(fixture: &Fixture, count: usize, disturb: impl AsyncFn()) -> BTreeMap<String, usize> {
    fixture.client.enqueue_many(&tasks(count)).await.unwrap();
    let slow = answer(|_| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    });
    let (server, mut jobs) = fixture.server(|settings| settings.concurrency = 8, slow);
    let mut runs = BTreeMap::new();
    while runs.len() < count {
        disturb().await;
        *runs.entry(jobs.next().await.task.id).or_default() += 1;
    }
    fixture
        .until("all acked", async |fixture| {
            fixture.inspector.queue("default", Duration::ZERO).await.is_ok_and(|state| state.active == 0)
        })
        .await;
    server.shutdown().await;
    while let Some(job) = jobs.try_next() {
        *runs.entry(job.task.id).or_default() += 1;
    }
    assert_eq!(fixture.task_keys("default").await, Vec::<String>::new());
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn script_flushes_under_load_neither_lose_nor_double_a_task() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let runs = run_all_disturbed(&fixture, 300, async || {
        fixture.redis::<String>(&["SCRIPT", "FLUSH"]).await;
    })
    .await;
    assert!(runs.values().all(|&count| count == 1), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_connections_under_load_neither_lose_nor_double_a_task() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let runs = run_all_disturbed(&fixture, 300, async || {
        fixture.redis::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        fixture.redis::<i64>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    })
    .await;
    assert!(runs.values().all(|&count| count == 1), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_started_before_redis_works_once_redis_is_there() {
    let mut redis = Redis::start().unwrap();
    redis.kill();
    let fixture = Fixture::at(redis.uri(0));
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    assert!(matches!(fixture.client.enqueue(&tasks(1)[0]).await, Err(Error::Unreachable(_))));
    assert!(!server.healthy());
    redis.start_again().unwrap();
    fixture.until("enqueued", async |fixture| fixture.client.enqueue(&tasks(1)[0]).await.is_ok()).await;
    assert_eq!(jobs.next().await.task.id, "0000");
    assert!(server.healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_redis_came_back_empty_the_running_task_ends_and_new_ones_run() {
    let mut redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let release = Arc::new(Semaphore::new(0));
    let waiting = gated(&release);
    let (server, mut jobs) = fixture.server(|_| {}, waiting);
    let before = fixture.client.incarnation().await.unwrap();
    fixture.client.enqueue(&tasks(1)[0]).await.unwrap();
    jobs.next().await;
    redis.kill();
    redis.start_again().unwrap();
    release.add_permits(9);
    let fresh = &tasks(2)[1];
    fixture.until("enqueued", async |fixture| fixture.client.enqueue(fresh).await.is_ok()).await;
    assert_eq!(jobs.next().await.task.id, fresh.id);
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    assert_ne!(fixture.client.incarnation().await.unwrap(), before);
    assert_eq!(fixture.inspector.queues().await.unwrap(), ["default"]);
    server.shutdown().await;
    assert_eq!(fixture.task_keys("default").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_new_tasks_by_name_and_lets_the_old_ones_end() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    fixture.client.enqueue_many(&tasks(30)).await.unwrap();
    let incarnation = fixture.client.incarnation().await.unwrap();
    fixture.redis::<String>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(matches!(fixture.client.enqueue(&Task::new("mail:send", "{}")).await, Err(Error::OutOfMemory(_))));
    assert!(matches!(fixture.client.enqueue_many(&[Task::new("mail:send", "{}")]).await, Err(Error::OutOfMemory(_))));
    assert_eq!(fixture.client.incarnation().await.unwrap(), incarnation);
    let mixed = answer(|job| async move {
        match job.task.id.as_str() {
            "0000" => Err(TaskError::GiveUp { cause: "never".to_owned() }),
            "0001" => {
                Err(TaskError::Retry { after: Some(Duration::from_secs(600)), counted: true, cause: "boom".to_owned() })
            }
            _ => Ok(()),
        }
    });
    let (server, mut jobs) = fixture.server(|_| {}, mixed);
    for _ in 0..30 {
        jobs.next().await;
    }
    fixture.until("settled", async |fixture| fixture.state("default").await.active == 0).await;
    let state = fixture.state("default").await;
    assert_eq!((state.archived, state.retry, state.pending, state.processed), (1, 1, 0, 30));
    fixture.until("listed", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_and_a_wrong_type_are_told_apart() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    fixture.redis::<String>(&["SET", "asynq:{default}:pending", "no list"]).await;
    assert!(matches!(fixture.client.enqueue(&Task::new("mail:send", "{}")).await, Err(Error::Refused(_))));
    fixture.redis::<String>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(matches!(fixture.client.enqueue(&Task::new("mail:send", "{}")).await, Err(Error::ReadOnly(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_replica_is_given_up_whatever_showed_it() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let clients = async |fixture: &Fixture| {
        let list = fixture.redis::<String>(&["CLIENT", "LIST", "TYPE", "normal"]).await;
        list.lines().filter(|line| line.contains("cmd=eval")).count()
    };
    fixture.client.enqueue_many(&tasks(2)).await.unwrap();
    fixture.until("alone", async |fixture| clients(fixture).await == 1).await;
    fixture.redis::<String>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let refused = fixture.client.enqueue_many(&tasks(4)[2..]).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    fixture.until("given up", async |fixture| clients(fixture).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_connection_is_a_new_one_listens_on_a_new_one_too() {
    let redis = Redis::start().unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let (server, _jobs) = fixture.server(|_| {}, ok());
    let listening = async |fixture: &Fixture| {
        let list = fixture.redis::<String>(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        let id = |line: &str| line.split_whitespace().next().map(str::to_owned);
        list.lines().filter_map(id).collect::<Vec<String>>()
    };
    fixture.until("listening", async |fixture| listening(fixture).await.len() == 1).await;
    let before = listening(&fixture).await;
    fixture.redis::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    fixture
        .until("listening anew", async |fixture| {
            let now = listening(fixture).await;
            now.len() == 1 && now != before
        })
        .await;
    server.shutdown().await;
}

#[test]
fn a_bad_uri_is_refused_without_repeating_it() {
    let error = queue::Connection::open("http://user:secret@example.com", None).unwrap_err();
    assert!(matches!(error, Error::InvalidUri(_)));
    assert!(!format!("{error} {error:?}").contains("secret"));
}
