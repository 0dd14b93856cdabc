//! Workers that die or stall at any point: no task is lost, none is stuck, and a stale worker changes nothing. A worker
//! here is a server on a runtime of its own, which is thrown away to kill it.

use crate::harness::{Answer, Fixture, Jobs, answer, gated, nothing_left, ok};
use queue::{Server, Task};
use servers::Redis;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, sync::Semaphore};

/// A worker that can be killed.
pub(crate) struct KillableWorker {
    runtime: Runtime,
    server: Server,
    pub(crate) jobs: Jobs,
}

impl KillableWorker {
    pub(crate) async fn start(fixture: &Fixture, answer: Answer) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (server, jobs) = {
            let _inside = runtime.enter();
            fixture.server(|settings| settings.concurrency = 4, answer)
        };
        Self { runtime, server, jobs }
    }

    pub(crate) fn identity(&self) -> String {
        self.server.identity()
    }

    pub(crate) async fn shutdown(self) {
        self.runtime.spawn(self.server.shutdown()).await.unwrap();
        self.runtime.shutdown_background();
    }

    pub(crate) fn kill(self) -> Jobs {
        self.runtime.shutdown_background();
        self.jobs
    }
}

fn task(id: &str) -> Task {
    Task { id: id.to_owned(), ..Task::new("mail:send", "{}") }
}

/// Lets the leases of all active tasks run out, as time would: the holder's own record of its lease included.
async fn let_leases_expire(fixture: &Fixture) {
    let script = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
                    redis.call('ZADD', KEYS[1], 1000, id) \
                    if redis.call('HEXISTS', 'asynq:{default}:t:' .. id, 'lease_score') == 1 then \
                      redis.call('HSET', 'asynq:{default}:t:' .. id, 'lease_score', 1000) \
                    end \
                  end return 1";
    fixture.redis::<i64>(&["EVAL", script, "1", "asynq:{default}:lease"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_a_killed_worker_runs_elsewhere_when_its_lease_of_30_seconds_is_over() {
    let fixture = Fixture::new();
    let mut doomed = KillableWorker::start(&fixture, answer(|_| std::future::pending())).await;
    fixture.client.enqueue(&task("a")).await.unwrap();
    assert_eq!(doomed.jobs.next().await.retried, 0);
    doomed.kill();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    let job = jobs.next().await;
    assert_eq!((job.task.id.as_str(), job.retried), ("a", 1), "the crash is a counted failure");
    nothing_left(&fixture).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_between_the_handler_and_the_ack_leaves_a_task_that_runs_again() {
    let redis = Arc::new(Redis::start().unwrap());
    let fixture = Fixture::at(redis.uri(0));
    let silenced = Arc::clone(&redis);
    let paused = Arc::new(Semaphore::new(0));
    let reported = Arc::clone(&paused);
    let silencing = answer(move |_| {
        let (redis, reported) = (Arc::clone(&silenced), Arc::clone(&reported));
        async move {
            redis.pause();
            reported.add_permits(1);
            Ok(())
        }
    });
    let doomed = KillableWorker::start(&fixture, silencing).await;
    fixture.client.enqueue(&task("a")).await.unwrap();
    drop(paused.acquire().await);
    doomed.kill();
    redis.resume();
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    // The ack may still have been on its way when the worker died; then there is nothing to run, which is right as
    // well.
    fixture
        .until("run again or acked", async |fixture| {
            let_leases_expire(fixture).await;
            fixture.state("default").await.processed >= 1
        })
        .await;
    nothing_left(&fixture).await;
    let state = fixture.state("default").await;
    let ran_again = jobs.try_next().is_some();
    assert_eq!((state.processed, state.failed), if ran_again { (2, 1) } else { (1, 0) });
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_worker_keeps_dying_ends_in_the_archive() {
    let fixture = Fixture::new();
    fixture.client.enqueue(&Task { max_retries: 1, ..task("poison") }).await.unwrap();
    for retried in 0..2 {
        let mut doomed = KillableWorker::start(&fixture, answer(|_| std::future::pending())).await;
        assert_eq!(doomed.jobs.next().await.retried, retried);
        doomed.kill();
        let_leases_expire(&fixture).await;
    }
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    fixture.until("archived", async |fixture| fixture.state("default").await.archived == 1).await;
    assert!(jobs.try_next().is_none());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_worker_learns_that_its_lease_is_lost_and_its_result_is_refused() {
    let fixture = Fixture::new();
    let release = Arc::new(Semaphore::new(0));
    let stalled = gated(&release);
    let (first, mut first_jobs) = fixture.server(|settings| settings.concurrency = 1, stalled);
    fixture.client.enqueue(&task("a")).await.unwrap();
    let lost = first_jobs.next().await;
    let (second, mut second_jobs) = fixture.server(|_| {}, answer(|_| std::future::pending()));
    // Not its own record of it: a holder that is in time with an extension keeps an expired lease, and should.
    fixture.redis::<i64>(&["ZADD", "asynq:{default}:lease", "XX", "CH", "1000", "a"]).await;
    assert_eq!(second_jobs.next().await.retried, 1);
    tokio::time::timeout(crate::harness::DEADLINE, lost.cancelled.cancelled())
        .await
        .expect("the stalled worker learns of it");
    release.add_permits(1);
    first.shutdown().await;
    let state = fixture.state("default").await;
    assert_eq!((state.active, state.processed, state.failed), (1, 1, 1), "only the recovery was written");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_active_without_a_lease_is_found_and_run() {
    let fixture = Fixture::new();
    fixture.client.enqueue(&task("a")).await.unwrap();
    // What an eviction or a half-done dequeue of another program leaves.
    fixture.redis::<String>(&["RPOPLPUSH", "asynq:{default}:pending", "asynq:{default}:active"]).await;
    fixture.redis::<i64>(&["HSET", "asynq:{default}:t:a", "state", "active"]).await;
    fixture.redis::<i64>(&["RPUSH", "asynq:{default}:active", "ghost"]).await;
    let (server, mut jobs) = fixture.server(|_| {}, ok());
    fixture
        .until("given a lease", async |fixture| fixture.redis::<i64>(&["ZCARD", "asynq:{default}:lease"]).await == 1)
        .await;
    let_leases_expire(&fixture).await;
    assert_eq!(jobs.next().await.task.id, "a");
    nothing_left(&fixture).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_random_moments_lose_no_task_and_leave_none_stuck() {
    let fixture = Fixture::new();
    let mut tasks: Vec<Task> =
        (0..200).map(|number| Task { max_retries: 1_000, ..task(&format!("{number:03}")) }).collect();
    for (number, task) in tasks.iter_mut().enumerate().filter(|(number, _)| number % 3 == 0) {
        task.process_at = Some(jiff::Timestamp::now() + Duration::from_millis(10 * number as u64));
    }
    fixture.client.enqueue_many(&tasks).await.unwrap();
    let brief = || {
        answer(|_| async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            Ok(())
        })
    };
    let mut ran = BTreeSet::new();
    for round in 0..25_u64 {
        let doomed = KillableWorker::start(&fixture, brief()).await;
        // Moments spread over the start, the first dequeues and the middle of the work.
        tokio::time::sleep(Duration::from_micros(round * round * 137)).await;
        let mut jobs = doomed.kill();
        while let Some(job) = jobs.try_next() {
            ran.insert(job.task.id);
        }
        let_leases_expire(&fixture).await;
    }
    let (server, mut jobs) = fixture.server(|_| {}, brief());
    nothing_left(&fixture).await;
    while let Some(job) = jobs.try_next() {
        ran.insert(job.task.id);
    }
    assert_eq!(ran.len(), 200);
    server.shutdown().await;
}
