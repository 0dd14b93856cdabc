//! Workers that die or stall at any point: no task is lost, none is stuck, and a stale worker changes nothing. A worker here is
//! a server on a runtime of its own, which is thrown away to kill it.

#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod harness;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harness::{Answer, Bench, Jobs, answer, gated, nothing_left, ok};
use queue::{Server, Task};
use servers::Redis;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// A worker that can be killed.
struct Mortal {
    runtime: Runtime,
    _server: Server,
    jobs: Jobs,
}

impl Mortal {
    async fn start(bench: &Bench, answer: Answer) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (server, jobs) = {
            let _inside = runtime.enter();
            bench.server(|settings| settings.concurrency = 4, answer)
        };
        Self { runtime, _server: server, jobs }
    }

    fn kill(self) -> Jobs {
        self.runtime.shutdown_background();
        self.jobs
    }
}

fn task(id: &str) -> Task {
    Task { id: id.to_owned(), ..Task::new("greet", "{}") }
}

/// Lets the leases of all active tasks run out, as time would: the holder's own record of its lease included.
async fn let_leases_expire(bench: &Bench) {
    let script = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
                    redis.call('ZADD', KEYS[1], 1000, id) \
                    if redis.call('HEXISTS', 'asynq:{default}:t:' .. id, 'lease_score') == 1 then \
                      redis.call('HSET', 'asynq:{default}:t:' .. id, 'lease_score', 1000) \
                    end \
                  end return 1";
    bench.redis::<i64>(&["EVAL", script, "1", "asynq:{default}:lease"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_killed_worker_runs_elsewhere_when_its_lease_of_30_seconds_is_over() {
    let bench = Bench::new();
    let mut doomed = Mortal::start(&bench, answer(|_| std::future::pending())).await;
    bench.client.enqueue(&task("a")).await.unwrap();
    assert_eq!(doomed.jobs.next().await.retried, 0);
    doomed.kill();
    let (server, mut jobs) = bench.server(|_| {}, ok());
    let job = jobs.next().await;
    assert_eq!((job.task.id.as_str(), job.retried), ("a", 1), "the crash is a counted failure");
    nothing_left(&bench).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_the_handler_and_the_ack_leaves_a_task_that_runs_again() {
    let redis = Arc::new(Redis::start().unwrap());
    let bench = Bench::at(redis.uri(0));
    let (silenced, paused) = (Arc::clone(&redis), Arc::new(Semaphore::new(0)));
    let told = Arc::clone(&paused);
    let silencing = answer(move |_| {
        let (redis, told) = (Arc::clone(&silenced), Arc::clone(&told));
        async move {
            redis.pause();
            told.add_permits(1);
            Ok(())
        }
    });
    let doomed = Mortal::start(&bench, silencing).await;
    bench.client.enqueue(&task("a")).await.unwrap();
    drop(paused.acquire().await);
    doomed.kill();
    redis.resume();
    let (server, mut jobs) = bench.server(|_| {}, ok());
    // The ack may still have been on its way when the worker died; then there is nothing to run, which is right as well.
    bench
        .until("run again or acked", async |bench| {
            let_leases_expire(bench).await;
            bench.state("default").await.processed >= 1
        })
        .await;
    nothing_left(&bench).await;
    let state = bench.state("default").await;
    let ran_again = jobs.try_next().is_some();
    assert_eq!((state.processed, state.failed), if ran_again { (2, 1) } else { (1, 0) });
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_worker_keeps_dying_ends_in_the_archive() {
    let bench = Bench::new();
    bench.client.enqueue(&Task { max_retries: 1, ..task("poison") }).await.unwrap();
    for retried in 0..2 {
        let mut doomed = Mortal::start(&bench, answer(|_| std::future::pending())).await;
        assert_eq!(doomed.jobs.next().await.retried, retried);
        doomed.kill();
        let_leases_expire(&bench).await;
    }
    let (server, mut jobs) = bench.server(|_| {}, ok());
    bench.until("archived", async |bench| bench.state("default").await.archived == 1).await;
    assert!(jobs.try_next().is_none());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_worker_learns_that_its_lease_is_lost_and_its_result_is_refused() {
    let bench = Bench::new();
    let release = Arc::new(Semaphore::new(0));
    let stalled = gated(&release);
    let (first, mut first_jobs) = bench.server(|settings| settings.concurrency = 1, stalled);
    bench.client.enqueue(&task("a")).await.unwrap();
    let lost = first_jobs.next().await;
    let (second, mut second_jobs) = bench.server(|_| {}, answer(|_| std::future::pending()));
    // Not its own record of it: a holder that is in time with an extension keeps an expired lease, and should.
    bench.redis::<i64>(&["ZADD", "asynq:{default}:lease", "XX", "CH", "1000", "a"]).await;
    assert_eq!(second_jobs.next().await.retried, 1);
    tokio::time::timeout(harness::DEADLINE, lost.cancelled.cancelled()).await.expect("the stalled worker learns of it");
    release.add_permits(1);
    first.shutdown().await;
    let state = bench.state("default").await;
    assert_eq!((state.active, state.processed, state.failed), (1, 1, 1), "only the recovery was written");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_active_without_a_lease_is_found_and_run() {
    let bench = Bench::new();
    bench.client.enqueue(&task("a")).await.unwrap();
    // What an eviction or a half-done dequeue of another program leaves.
    bench.redis::<String>(&["RPOPLPUSH", "asynq:{default}:pending", "asynq:{default}:active"]).await;
    bench.redis::<i64>(&["HSET", "asynq:{default}:t:a", "state", "active"]).await;
    bench.redis::<i64>(&["RPUSH", "asynq:{default}:active", "ghost"]).await;
    let (server, mut jobs) = bench.server(|_| {}, ok());
    bench
        .until("given a lease", async |bench| bench.redis::<i64>(&["ZCARD", "asynq:{default}:lease"]).await == 1)
        .await;
    let_leases_expire(&bench).await;
    assert_eq!(jobs.next().await.task.id, "a");
    nothing_left(&bench).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_moments_lose_no_task_and_leave_none_stuck() {
    let bench = Bench::new();
    let mut tasks: Vec<Task> =
        (0..200).map(|number| Task { max_retries: 1_000, ..task(&format!("{number:03}")) }).collect();
    for (number, task) in tasks.iter_mut().enumerate().filter(|(number, _)| number % 3 == 0) {
        task.process_at = Some(jiff::Timestamp::now() + Duration::from_millis(10 * number as u64));
    }
    bench.client.enqueue_many(&tasks).await.unwrap();
    let brief = || {
        answer(|_| async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            Ok(())
        })
    };
    let mut ran = BTreeSet::new();
    for round in 0..25_u64 {
        let doomed = Mortal::start(&bench, brief()).await;
        // Moments spread over the start, the first dequeues and the middle of the work.
        tokio::time::sleep(Duration::from_micros(round * round * 137)).await;
        let mut jobs = doomed.kill();
        while let Some(job) = jobs.try_next() {
            ran.insert(job.task.id);
        }
        let_leases_expire(&bench).await;
    }
    let (server, mut jobs) = bench.server(|_| {}, brief());
    nothing_left(&bench).await;
    while let Some(job) = jobs.try_next() {
        ran.insert(job.task.id);
    }
    assert_eq!(ran.len(), 200);
    server.shutdown().await;
}
