//! The same tasks go the same ways on everything that a URI can name: a server that speaks RESP2, one that does not
//! know HELLO, a unix socket, a cluster, whether named or found out, and a master that sentinels name.

use crate::harness::{DEADLINE, Fixture, Jobs, answer};
use queue::{Connection, Enqueued, Error, Job, QueuePriority, Server, Supervisor, Task, TaskError};
use servers::{Redis, RedisCluster, RedisSentinel};
use std::time::Duration;

/// Their slots (5320, 8090 and 15214 of 16384) are on the three nodes of a cluster of three.
const QUEUES: [&str; 3] = ["bulk", "critical", "low"];

fn task(queue: &str, kind: &str) -> Task {
    Task { id: format!("{queue}-{kind}"), queue: queue.to_owned(), ..Task::new(kind, "{}") }
}

/// What each kind of task makes its handler do.
async fn by_kind(job: Job) -> Result<(), TaskError> {
    let again = |after| TaskError::Retry { after: Some(after), counted: true, cause: "boom".to_owned() };
    match &*job.task.kind {
        "twice" if job.retried == 0 => Err(again(Duration::ZERO)),
        "later" => Err(again(Duration::from_secs(600))),
        "never" => Err(TaskError::GiveUp { cause: "never".to_owned() }),
        "cancelled" => {
            job.cancelled.cancelled().await;
            Err(TaskError::GiveUp { cause: "told so".to_owned() })
        }
        _ => Ok(()),
    }
}

fn server(fixture: &Fixture) -> (Server, Jobs) {
    let priority = |name: &str| QueuePriority { name: name.to_owned(), priority: 1, paused: false };
    let queues = QUEUES.iter().map(|name| priority(name)).collect();
    fixture.server(move |settings| (settings.queues, settings.concurrency) = (queues, 20), answer(by_kind))
}

/// Every way of a task, in three queues at once.
async fn all_of_it(uri: String) {
    let fixture = Fixture::at(uri);
    let client = &fixture.client;
    let soon = Some(jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300));
    let mut tasks = Vec::new();
    for queue in QUEUES {
        tasks.extend(["once", "twice", "later", "never", "cancelled"].map(|kind| task(queue, kind)));
        tasks.push(Task { process_at: soon, ..task(queue, "soon") });
        tasks.push(Task { retention: Duration::from_secs(600), ..task(queue, "kept") });
        tasks.push(Task { unique_for: Some(Duration::from_secs(600)), ..task(queue, "unique") });
    }
    let added = client.enqueue_many(&tasks).await.unwrap();
    assert!(added.iter().all(|result| *result == Enqueued::Added), "{added:?}");
    for queue in QUEUES {
        assert_eq!(client.enqueue(&task(queue, "once")).await.unwrap(), Enqueued::AlreadyThere);
        let twin =
            Task { id: format!("{queue}-twin"), unique_for: Some(Duration::from_secs(9)), ..task(queue, "unique") };
        assert_eq!(client.enqueue(&twin).await.unwrap(), Enqueued::Duplicate);
    }
    client.ensure_many(&QUEUES.map(|queue| task(queue, "ensured"))).await.unwrap();
    assert!(client.pause("low").await.unwrap());
    let (server, mut jobs) = server(&fixture);
    // The ones that are to be cancelled, of the two queues that are not paused; only a message reaches them.
    let mut cancelled = 0;
    while cancelled < 2 {
        let job = jobs.next().await;
        if job.task.kind == "cancelled" {
            let told = async || {
                client.cancel(&job.task.id).await.unwrap();
                job.cancelled.is_cancelled().then_some(()).ok_or_else(String::new)
            };
            servers::until("cancelled", DEADLINE, told).await;
            cancelled += 1;
        }
        assert_ne!(job.task.queue, "low", "it is paused");
    }
    assert!(client.unpause("low").await.unwrap());
    while jobs.next().await.task.id != "low-cancelled" {}
    fixture
        .until("all are settled", async |fixture| {
            client.cancel("low-cancelled").await.unwrap();
            let mut settled = true;
            for queue in QUEUES {
                let state = fixture.state(queue).await;
                settled &= state.pending + state.active + state.scheduled == 0 && state.retry == 1;
            }
            settled
        })
        .await;
    for queue in QUEUES {
        let state = fixture.state(queue).await;
        // Those that succeeded (once, twice, soon, kept, unique, ensured), and what failed at first, for now and for
        // good.
        assert_eq!(
            (state.archived, state.completed, state.processed, state.failed),
            (2, 1, 10, 4),
            "{queue}: {state:?}"
        );
    }
    assert_eq!(fixture.inspector.queues().await.unwrap(), QUEUES);
    fixture.until("listed", async |fixture| fixture.inspector.servers().await.unwrap().len() == 1).await;
    supervised(&fixture, &server).await;
    assert_eq!(client.incarnation().await.unwrap(), client.incarnation().await.unwrap());
    server.shutdown().await;
    assert!(fixture.inspector.servers().await.unwrap().is_empty());
}

/// What is said of a server reaches it, and what it makes of it is seen.
async fn supervised(fixture: &Fixture, server: &Server) {
    let supervisor = Supervisor::new(Connection::open(&fixture.uri, None).unwrap());
    let told = [server.identity()];
    supervisor.ended(&told).await.unwrap();
    for (marked, status) in [(&told[..], "stopped"), (&[][..], "active")] {
        supervisor.drain("me", marked).await.unwrap();
        assert_eq!(supervisor.draining("me").await.unwrap(), marked);
        let is_published =
            async |fixture: &Fixture| fixture.inspector.servers().await.unwrap().iter().all(|one| one.status == status);
        fixture.until(status, is_published).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_resp2_will_do() {
    let redis = Redis::start().unwrap();
    all_of_it(format!("{}?protocol=2", redis.uri(3))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_know_hello_will_do() {
    let redis = Redis::start_with(&["--rename-command", "HELLO", ""]).unwrap();
    all_of_it(redis.uri(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_will_do() {
    let redis = Redis::start_with(&["--unixsocket", "redis.sock"]).unwrap();
    let uri = redis.uri(0);
    let (login, _) = uri.trim_start_matches("redis://").split_once('@').unwrap();
    let (path, password) = (redis.socket().display().to_string(), login.trim_start_matches("default:"));
    all_of_it(format!("redis+unix://{path}?db=3&pass={password}")).await;
    // asynq's form of the same, of another database.
    let asynqs = Fixture::at(format!("redis-socket://:{password}@{path}?db=4"));
    assert_eq!(asynqs.client.enqueue(&task("low", "once")).await.unwrap(), Enqueued::Added);
    assert_eq!(Fixture::at(redis.uri(4)).state("low").await.pending, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_will_do() {
    let cluster = RedisCluster::start(0).unwrap();
    let owners: std::collections::BTreeSet<usize> =
        QUEUES.iter().map(|queue| cluster.owner(&format!("{{{queue}}}")).unwrap()).collect();
    assert_eq!(owners.len(), QUEUES.len(), "each queue has a node of its own");
    all_of_it(cluster.uri()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_found_out_by_itself_and_has_no_database_but_0() {
    let mut cluster = RedisCluster::start(0).unwrap();
    let one = cluster.nodes()[1].uri(0);
    let refused = Fixture::at(cluster.nodes()[1].uri(3)).client.enqueue(&task("low", "once")).await.unwrap_err();
    assert!(matches!(&refused, Error::InvalidUri(error) if error.fix().contains("database 0 alone")), "{refused:?}");
    all_of_it(format!("{one}?protocol=2")).await;
    let found = Fixture::at(one);
    for queue in QUEUES {
        assert_eq!(found.client.enqueue(&task(queue, "again")).await.unwrap(), Enqueued::Added);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_sentinels_name_will_do_also_where_one_of_them_is_silent() {
    let sentinel = RedisSentinel::start().unwrap();
    sentinel.pause_first_sentinel();
    all_of_it(sentinel.uri(3)).await;
    let unknown = sentinel.uri(0).replace("/tasks/", "/others/");
    let refused = Fixture::at(unknown).client.enqueue(&task("low", "once")).await.unwrap_err();
    assert!(matches!(&refused, Error::NoMaster { master } if master == "others"), "{refused:?}");
    let (without, _) = sentinel.uri(0).split_once('?').map(|(uri, query)| (uri.to_owned(), query.to_owned())).unwrap();
    let refused = Fixture::at(without).client.enqueue(&task("low", "once")).await.unwrap_err();
    assert!(matches!(refused, Error::Sentinel(_)), "{refused:?}");
    let uri = sentinel.uri(0);
    let (before, own) = uri.split_once("?sentinelPassword=").unwrap();
    let second = before.split(['@', ',', '/']).filter(|part| part.starts_with("127.0.0.1:")).nth(1).unwrap();
    let as_server = format!("redis://:{own}@{second}/0");
    let refused = Fixture::at(as_server).client.enqueue(&task("low", "once")).await.unwrap_err();
    let names_it = |error: &queue::UriError| error.fix().contains("redis+sentinel://");
    assert!(matches!(&refused, Error::InvalidUri(error) if names_it(error)), "{refused:?}");
}

#[test]
fn what_is_wrong_with_a_uri_is_told_before_anything_is_sent() {
    let error = Connection::open("redis+cluster://:hunter2@a,b/3", None).unwrap_err();
    assert!(error.to_string().contains("Fix: remove the index") && !error.to_string().contains("hunter2"), "{error}");
}
