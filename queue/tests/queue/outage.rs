//! Attempts during an outage of Redis: they stay with their holders, and are settled late, but settled.

use crate::harness::{Fixture, Jobs, answer, gated, ok};
use queue::{Server, Task};
use servers::Redis;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

fn task() -> Task {
    Task { id: "0000".to_owned(), ..Task::new("mail:send", "{}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_lease_ran_out_during_an_outage_of_redis_stays_with_its_living_holder() {
    let mut redis = Redis::start_with(&["--appendonly", "yes"]).unwrap();
    let fixture = Fixture::at(redis.uri(0));
    let release = Arc::new(Semaphore::new(0));
    let waiting = gated(&release);
    let started = Instant::now();
    let (holder, mut jobs) = fixture.server(|_| {}, waiting);
    fixture.client.enqueue(&task()).await.unwrap();
    let job = jobs.next().await;
    let (there_before, mut others) = fixture.server(|_| {}, ok());
    // As if the holder had last extended its lease 29 s ago.
    let ending = (jiff::Timestamp::now().as_second() + 1).to_string();
    fixture.redis::<i64>(&["HSET", "asynq:{default}:t:0000", "lease_score", &ending]).await;
    fixture.redis::<i64>(&["ZADD", "asynq:{default}:lease", "XX", "CH", &ending, "0000"]).await;
    redis.kill();
    // Its heartbeat of 5 s after the start fails; the lease is over.
    fixture.until("a heartbeat failed", async |_| started.elapsed() > Duration::from_millis(5_700)).await;
    redis.start_again().unwrap();
    let (new, mut new_jobs) = fixture.server(|_| {}, ok());
    let ending = ending.parse::<i64>().unwrap();
    fixture
        .until("extended or recovered", async |fixture| {
            fixture.redis::<Option<i64>>(&["ZSCORE", "asynq:{default}:lease", "0000"]).await != Some(ending)
        })
        .await;
    release.add_permits(1);
    fixture.until("acked", async |fixture| fixture.state("default").await.processed >= 1).await;
    let state = fixture.state("default").await;
    assert_eq!((state.processed, state.failed, state.active, job.cancelled.is_cancelled()), (1, 0, 0, false));
    assert!(others.try_next().is_none() && new_jobs.try_next().is_none());
    for server in [holder, there_before, new] {
        server.shutdown().await;
    }
}

/// A server whose handler silences Redis and succeeds; it has begun.
async fn silenced_at_a_success() -> (Arc<Redis>, Fixture, Server, Jobs) {
    let redis = Arc::new(Redis::start().unwrap());
    let fixture = Fixture::at(redis.uri(0));
    let silenced = Arc::clone(&redis);
    let silencing = answer(move |_| {
        let redis = Arc::clone(&silenced);
        async move {
            redis.pause();
            Ok(())
        }
    });
    let (server, mut jobs) = fixture.server(|_| {}, silencing);
    fixture.client.enqueue(&task()).await.unwrap();
    jobs.next().await;
    (redis, fixture, server, jobs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_got_no_answer_is_written_again_and_the_task_does_not_run_again() {
    let (redis, fixture, server, mut jobs) = silenced_at_a_success().await;
    // Longer than the response timeout of 1 s: the first write-back is given up.
    fixture.until("noticed", async |_| !server.healthy()).await;
    redis.resume();
    fixture.until("acked", async |fixture| fixture.state("default").await.processed == 1).await;
    let state = fixture.state("default").await;
    assert_eq!((state.active, state.failed, jobs.try_next().is_none()), (0, 0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_uses_its_whole_grace_to_settle_a_success_with_a_silent_redis() {
    let (redis, fixture, server, _jobs) = silenced_at_a_success().await;
    let asked = Instant::now();
    let silence = async {
        // More than twice the time for last writes after the grace; the grace of this server is 10 s.
        fixture.until("silent for long", async |_| asked.elapsed() > Duration::from_secs(5)).await;
        redis.resume();
    };
    tokio::join!(server.shutdown(), silence);
    let state = fixture.state("default").await;
    assert_eq!((state.active, state.processed, state.failed), (0, 1, 0));
}
