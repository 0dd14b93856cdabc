//! What a supervisor says of servers: that one has ended, which may be wrong, and that one shall take no more tasks.

use crate::{
    crash::KillableWorker,
    harness::{DEADLINE, Fixture, answer, gated, nothing_left, ok},
};
use queue::{Connection, Server, Supervisor, Task};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, mpsc},
};
use tokio::sync::Semaphore;

fn supervisor(fixture: &Fixture) -> Supervisor {
    Supervisor::new(Connection::open(&fixture.uri, None).unwrap())
}

fn tasks(count: usize) -> Vec<Task> {
    (0..count).map(|number| Task { id: format!("{number:03}"), ..Task::new("mail:send", "{}") }).collect()
}

/// Waits until the heartbeat of a server says this, and that it runs so many tasks.
async fn until_published(fixture: &Fixture, server: &Server, status: &str, running: u32) {
    let is_published = async |fixture: &Fixture| {
        let servers = fixture.inspector.servers().await.unwrap();
        servers.iter().any(|known| (&*known.id, &*known.status, known.running) == (server.id(), status, running))
    };
    fixture.until(&format!("{status}, {running} running"), is_published).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_server_that_is_said_to_have_ended_run_elsewhere_while_their_leases_last() {
    let fixture = Fixture::new();
    fixture.client.enqueue_many(&tasks(4)).await.unwrap();
    let mut doomed = KillableWorker::start(&fixture, answer(|_| std::future::pending())).await;
    for _ in 0..4 {
        doomed.jobs.next().await;
    }
    let identity = doomed.identity();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    doomed.kill();
    let leases: Vec<(String, i64)> = fixture.redis(&["ZRANGE", "asynq:{default}:lease", "0", "-1", "WITHSCORES"]).await;
    assert_eq!(leases.len(), 4);
    supervisor(&fixture).ended(std::slice::from_ref(&identity)).await.unwrap();
    let mut ran = BTreeSet::new();
    for _ in 0..4 {
        let job = jobs.next().await;
        assert_eq!((job.retried, job.server == identity), (1, false), "the crash is a counted failure");
        ran.insert(job.task.id);
    }
    let now: (i64, i64) = fixture.redis(&["TIME"]).await;
    assert!(leases.iter().all(|(_, expiry)| *expiry > now.0), "not because leases were over: {leases:?}, {now:?}");
    assert_eq!(ran.len(), 4);
    nothing_left(&fixture).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lives_denies_its_end_and_finishes_its_tasks() {
    let fixture = Fixture::new();
    let release = Arc::new(Semaphore::new(0));
    let (first, mut first_jobs) = fixture.server(|_| {}, gated(&release));
    fixture.client.enqueue_many(&tasks(3)).await.unwrap();
    for _ in 0..3 {
        first_jobs.next().await;
    }
    let (second, mut second_jobs) = fixture.server(|_| {}, ok());
    let gone = "gone:1:another".to_owned();
    supervisor(&fixture).ended(&[first.identity(), gone.clone()]).await.unwrap();
    let is_denied = async |fixture: &Fixture| {
        fixture.redis::<Vec<String>>(&["ZRANGE", "asynq:ended", "0", "-1"]).await == [gone.clone()]
    };
    fixture.until("denied, and by nobody else", is_denied).await;
    release.add_permits(1);
    nothing_left(&fixture).await;
    let state = fixture.state("default").await;
    assert_eq!((state.processed, state.failed, second_jobs.try_next().is_none()), (3, 0, true));
    first.shutdown().await;
    second.shutdown().await;
}

/// The worst that a wrong word does: the server hears of nothing, and goes on when others have its task.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lives_and_cannot_deny_its_end_loses_its_task_once_and_its_ack_is_refused() {
    let fixture = Fixture::new();
    let (release, block) = mpsc::channel::<()>();
    let block = Arc::new(Mutex::new(block));
    let deaf = answer(move |_| {
        let block = Arc::clone(&block);
        async move {
            // The only thread of its runtime.
            let _ = block.lock().unwrap().recv();
            Ok(())
        }
    });
    fixture.client.enqueue_many(&tasks(1)).await.unwrap();
    let mut first = KillableWorker::start(&fixture, deaf).await;
    first.jobs.next().await;
    let (second, mut jobs) = fixture.server(|_| {}, ok());
    supervisor(&fixture).ended(&[first.identity()]).await.unwrap();
    assert_eq!(jobs.next().await.retried, 1);
    nothing_left(&fixture).await;
    drop(release);
    first.shutdown().await;
    let state = fixture.state("default").await;
    assert_eq!((state.processed, state.failed, state.retry, state.pending), (2, 1, 0, 0), "one success");
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_finishes_what_runs_takes_nothing_more_and_goes_on_when_it_is_let_off() {
    let fixture = Fixture::new();
    let supervisor = supervisor(&fixture);
    let release = Arc::new(Semaphore::new(0));
    let (server, mut jobs) = fixture.server(|settings| settings.concurrency = 2, gated(&release));
    fixture.client.enqueue_many(&tasks(2)).await.unwrap();
    for _ in 0..2 {
        jobs.next().await;
    }
    let identity = server.identity();
    supervisor.drain("me", std::slice::from_ref(&identity)).await.unwrap();
    until_published(&fixture, &server, "stopped", 2).await;
    fixture.client.enqueue_many(&tasks(4)[2..]).await.unwrap();
    release.add_permits(1);
    until_published(&fixture, &server, "stopped", 0).await;
    supervisor.drain("somebody else", &[]).await.unwrap();
    assert_eq!(supervisor.draining("me").await.unwrap(), [identity]);
    let state = fixture.state("default").await;
    assert_eq!((state.pending, state.processed, jobs.try_next().is_none()), (2, 2, true));
    supervisor.drain("me", &[]).await.unwrap();
    nothing_left(&fixture).await;
    until_published(&fixture, &server, "active", 0).await;
    assert_eq!(supervisor.draining("me").await.unwrap(), Vec::<String>::new());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_nobody_renews_ends_with_its_time() {
    let fixture = Fixture::new();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let now: (i64, i64) = fixture.redis(&["TIME"]).await;
    let mark = format!("{} me", now.0 * 1_000 + 3_000);
    fixture.redis::<i64>(&["HSET", "asynq:draining", &server.identity(), &mark]).await;
    fixture.redis::<i64>(&["PUBLISH", &wake_channel(&fixture), "drain"]).await;
    until_published(&fixture, &server, "stopped", 0).await;
    fixture.client.enqueue_many(&tasks(1)).await.unwrap();
    tokio::time::timeout(DEADLINE, jobs.next()).await.expect("it takes tasks again");
    until_published(&fixture, &server, "active", 0).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_say_it_is_told_so() {
    let fixture = Fixture::new();
    let user = format!("reader{}", fixture.uri.rsplit('/').next().unwrap());
    let make =
        ["ACL", "SETUSER", &user, "on", ">none", "~asynq:*", "&*", "+@read", "+@connection", "+evalsha", "+eval"];
    fixture.redis::<String>(&make).await;
    let address = fixture.uri.rsplit_once('@').unwrap().1;
    let reader = Connection::open(&format!("redis://{user}:none@{address}"), None).unwrap();
    let refused = Supervisor::new(reader).ended(&["a:1:b".to_owned()]).await.expect_err("it may read only");
    assert!(!refused.is_unreachable(), "{refused:?}");
    assert_eq!(fixture.redis::<i64>(&["EXISTS", "asynq:ended"]).await, 0);
}

fn wake_channel(fixture: &Fixture) -> String {
    format!("asynq:wake:{}", fixture.uri.rsplit('/').next().unwrap())
}
