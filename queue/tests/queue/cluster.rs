//! A cluster under tasks: slots move, nodes die, and asynq's Go library shares it.

use crate::harness::{
    DEADLINE, Fixture, ok,
    peer::{self, Worker},
};
use queue::{QueuePriority, Task};
use servers::RedisCluster;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

fn task(queue: &str, id: &str) -> Task {
    Task { id: id.to_owned(), queue: queue.to_owned(), ..Task::new("mail:send", r#"{"username":"alice"}"#) }
}

#[tokio::test(flavor = "multi_thread")]
async fn asynq_and_we_run_each_others_tasks_on_a_cluster() {
    let cluster = RedisCluster::start(0).unwrap();
    let fixture = Fixture::at(cluster.uri());
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let enqueue = ["enqueue", "-type", "mail:send", "-payload", r#"{"username":"alice"}"#, "-id", "theirs"];
    peer::run(&fixture.uri, &enqueue).await.unwrap();
    assert_eq!(jobs.next().await.task.id, "theirs");
    server.shutdown().await;
    let mut worker = Worker::start(&fixture.uri, &["-queues", "low=1"]).await;
    fixture.client.enqueue(&task("low", "ours")).await.unwrap();
    let ran = worker.next().await;
    assert_eq!((&ran["id"], &ran["payload"]), (&"ours".into(), &r#"{"username":"alice"}"#.into()));
    fixture.until("acked", async |fixture| fixture.state("low").await.processed == 1).await;
    let servers = fixture.inspector.servers().await.unwrap();
    assert_eq!(servers.len(), 1, "Go's is listed: {servers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_under_load_takes_its_tasks_along() {
    let cluster = RedisCluster::start(0).unwrap();
    let fixture = Fixture::at(cluster.uri());
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let key = "asynq:{default}:pending";
    let before = cluster.owner(key).unwrap();
    let mut waiting = BTreeSet::new();
    for round in 0..3 {
        let mut moving = Some(cluster.begin_move(key).unwrap());
        // While keys are on both nodes, a new task may be refused; it is brought again, as the relay does.
        for number in 0..50 {
            let task = task("default", &format!("{round}-{number}"));
            waiting.insert(task.id.clone());
            let taken = async || {
                let added = fixture.client.enqueue(&task).await;
                if added.is_err()
                    && let Some(moving) = moving.take()
                {
                    moving.end().map_err(|error| error.to_string())?;
                }
                added.map_err(|error| error.to_string())
            };
            servers::until("the task is taken", DEADLINE, taken).await;
        }
        if let Some(moving) = moving {
            moving.end().unwrap();
        }
    }
    assert_eq!(cluster.owner(key).unwrap(), before, "it has been at each of the three");
    while !waiting.is_empty() {
        waiting.remove(&jobs.next().await.task.id);
    }
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 150).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_goes_where_its_slot_is_going() {
    let cluster = RedisCluster::start(0).unwrap();
    let fixture = Fixture::at(cluster.uri());
    let moving = cluster.begin_move("asynq:{default}:pending").unwrap();
    // The owner has no key of this queue, so it sends the task on.
    fixture.client.enqueue(&task("default", "asked")).await.unwrap();
    moving.end().unwrap();
    fixture.client.enqueue(&task("default", "moved")).await.unwrap();
    assert_eq!(fixture.state("default").await.pending, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_name_ports_alone_are_where_the_one_asked_is() {
    let mut cluster = RedisCluster::start(0).unwrap();
    for node in cluster.nodes() {
        let set = node.command(&["CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint"]);
        if set.is_err() {
            // New in Redis 7.0.
            return;
        }
    }
    let fixture = Fixture::at(cluster.uri());
    fixture.client.enqueue(&task("default", "before")).await.unwrap();
    let moving = cluster.begin_move("asynq:{default}:pending").unwrap();
    moving.end().unwrap();
    fixture.client.enqueue(&task("default", "moved")).await.unwrap();
    assert_eq!(fixture.state("default").await.pending, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_living_nodes_are_served_while_another_node_is_dead_for_good() {
    let mut cluster = RedisCluster::start(0).unwrap();
    let fixture = Fixture::at(cluster.uri());
    let (server, mut jobs) = fixture.server(
        |settings| {
            let priority = |name: &str| QueuePriority { name: name.to_owned(), priority: 1, paused: false };
            settings.queues = ["critical", "low"].map(priority).to_vec();
        },
        ok(),
    );
    fixture.client.enqueue(&task("low", "before")).await.unwrap();
    jobs.next().await;
    let dead = cluster.owner("asynq:{low}:pending").unwrap();
    cluster.nodes()[dead].kill();
    let (killed, mut number) = (Instant::now(), 0);
    // Several polls of the dead node's queue: each leaves a dequeue without a reply.
    while killed.elapsed() < Duration::from_secs(3) {
        fixture.client.enqueue(&task("critical", &format!("{number}"))).await.unwrap();
        assert_eq!(jobs.next().await.task.id, number.to_string());
        number += 1;
    }
    assert!(fixture.client.enqueue(&task("low", "after")).await.is_err());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_and_the_queues_of_the_other_nodes_do_not_wait_for_it() {
    let mut cluster = RedisCluster::start(1).unwrap();
    let fixture = Fixture::at(cluster.uri());
    let queues = ["critical", "default", "low"];
    let (server, mut jobs) = fixture.server(
        |settings| {
            let priority = |name: &str| QueuePriority { name: name.to_owned(), priority: 1, paused: false };
            settings.queues = queues.iter().map(|name| priority(name)).collect();
        },
        ok(),
    );
    for queue in queues {
        fixture.client.enqueue(&task(queue, "before")).await.unwrap();
        jobs.next().await;
    }
    let dead = cluster.owner("asynq:{low}:pending").unwrap();
    fixture.until("acked", async |fixture| fixture.state("low").await.processed == 1).await;
    // What its replica has not heard of is lost with it: this comes after all of that.
    let master = redis::Client::open(cluster.nodes()[dead].uri(0)).unwrap();
    let mut master = master.get_multiplexed_async_connection().await.unwrap();
    master.set_response_timeout(DEADLINE);
    let heard: (String, i64) = redis::pipe()
        .cmd("SET")
        .arg("asynq:{low}:last")
        .arg(1)
        .cmd("WAIT")
        .arg(1)
        .arg(30_000)
        .query_async(&mut master)
        .await
        .unwrap();
    assert_eq!(heard.1, 1);
    cluster.nodes()[dead].kill();
    let mut went_on = 0;
    for number in 0.. {
        if fixture.client.enqueue(&task("low", &format!("low-{number}"))).await.is_ok() {
            break;
        }
        let other = fixture.client.enqueue(&task("critical", &format!("critical-{number}"))).await;
        went_on += usize::from(other.is_ok());
    }
    assert!(went_on > 0, "the other nodes take tasks meanwhile");
    loop {
        let job = tokio::time::timeout(Duration::from_secs(60), jobs.next()).await.unwrap();
        if job.task.queue == "low" {
            break;
        }
    }
    fixture.until("acked", async |fixture| fixture.state("low").await.processed >= 2).await;
    server.shutdown().await;
}
