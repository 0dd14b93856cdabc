//! What nobody finished.
//!
//! Takes: every 5 s, the rows whose worker vanished, that nobody started although they are due, or that are too late.
//! Gives: each its next state, and the figures of the intents to `/metrics`. Does not: hold anything in memory; every
//! replica sweeps, and each row is put right by one of them.

use crate::{refusal, relay::task_of};
use pipeline::chain;
use queue::{Client, Task};
use signup::{Store, StoreError};
use std::time::Duration;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

/// Time between two sweeps.
const INTERVAL: Duration = Duration::from_secs(5);

/// Rows made sure of in Redis in one sweep; the rest has its turn in the next.
const BATCH: u32 = 500;

/// Answers under idempotency keys that are forgotten in one statement, and statements in one sweep.
const FORGOTTEN: u32 = 500;
const FORGETS: u32 = 20;

/// How long Redis may take in one sweep.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a sweep may take, counting included. A PostgreSQL that vanished without a word never answers.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Counting reads what is due. The next count is this many times as long away as one took, which bounds it to 2 % of a
/// core however many wait.
const COUNT_INTERVAL_FACTOR: u32 = 50;

/// Puts right what nobody finished.
pub(crate) struct Sweeper {
    store: Store,
    client: Client,
}

/// A sweep ended early; the next one does what this one left.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("failed to put intents right")]
    Store(#[from] StoreError),
    #[error("failed to make sure that Redis knows what is overdue")]
    Queue(#[from] queue::Error),
    #[error("failed to make sure that Redis knows what is overdue within {} ms", REDIS_TIMEOUT.as_millis())]
    TooSlow,
    #[error("failed to put intents right within {} s", SWEEP_TIMEOUT.as_secs())]
    Silent,
    #[error("failed to count intents; their figures are old")]
    Count(#[source] StoreError),
}

impl Sweeper {
    /// A sweeper over `store` and `client`.
    pub(crate) fn new(store: Store, client: Client) -> Self {
        Self { store, client }
    }

    /// Runs until `stop`. Failures are logged once when they begin.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut tick = time::interval(INTERVAL);
        tick.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut failed = false;
        let mut next_count = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let swept = tokio::select! {
                swept = time::timeout(SWEEP_TIMEOUT, self.sweep(&mut next_count)) => {
                    swept.unwrap_or(Err(SweepError::Silent))
                }
                () = stop.cancelled() => return,
            };
            report_failure(swept.as_ref().err(), failed);
            failed = swept.is_err();
        }
    }

    /// One sweep. What needs PostgreSQL only comes first, so that it is done while Redis is away; figures come last,
    /// because nobody's mail waits for them.
    async fn sweep(&self, next_count: &mut Instant) -> Result<(), SweepError> {
        let expired = self.store.expire_leases().await?;
        report("signup_sweeper_expired_leases_total", expired, "workers vanished; their mails are owed again");
        let buried = self.store.bury_expired().await?;
        report(
            "signup_sweeper_buried_total",
            buried,
            "mails could not be sent before their deadline and were given up",
        );
        self.forget_answers().await?;
        let ensured = self.ensure_overdue().await;
        if Instant::now() >= *next_count {
            let start = Instant::now();
            let counted = self.count().await;
            *next_count = start + start.elapsed() * COUNT_INTERVAL_FACTOR;
            return ensured.and(counted.map_err(SweepError::Count));
        }
        ensured
    }

    /// Forgets answers under idempotency keys that are a day old, in small steps: nobody waits for long for a lock.
    async fn forget_answers(&self) -> Result<(), StoreError> {
        for _ in 0..FORGETS {
            let forgotten = self.store.forget_answers(FORGOTTEN).await?;
            metrics::counter!("signup_sweeper_forgotten_answers_total").increment(forgotten);
            if forgotten < u64::from(FORGOTTEN) {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure that Redis is going to run what is overdue: it may have lost single tasks, or somebody deleted or
    /// archived them. Those that only wait for a free worker are left as they are.
    async fn ensure_overdue(&self) -> Result<(), SweepError> {
        let tasks: Vec<Task> = self.store.overdue(BATCH).await?.iter().map(task_of).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        metrics::counter!("signup_sweeper_overdue_total").increment(tasks.len() as u64);
        match in_time(self.client.ensure_many(&tasks)).await {
            Err(SweepError::Queue(error)) if refusal::can_be_of_one_task(&error) => {
                in_time(refusal::ensure_each(&self.client, &tasks)).await
            }
            ensured => ensured,
        }
    }

    async fn count(&self) -> Result<(), StoreError> {
        self.store.add_counts_together().await?;
        let counts = self.store.counts().await?;
        for (state, intents) in counts.by_state {
            metrics::gauge!("signup_intents", "state" => state.as_str()).set(intents as f64);
        }
        metrics::gauge!("signup_intents_due").set(counts.due as f64);
        metrics::gauge!("signup_intents_oldest_due_age_seconds").set(counts.oldest_due_age.as_secs_f64());
        Ok(())
    }
}

async fn in_time(call: impl Future<Output = Result<(), queue::Error>>) -> Result<(), SweepError> {
    Ok(time::timeout(REDIS_TIMEOUT, call).await.map_err(|_| SweepError::TooSlow)??)
}

/// Counted each time, logged when it begins.
fn report_failure(error: Option<&SweepError>, failed_before: bool) {
    let Some(error) = error else { return };
    metrics::counter!("signup_sweeper_failures_total").increment(1);
    if !failed_before {
        let cause = std::error::Error::source(error).map(chain);
        tracing::warn!(%error, cause, "a sweep ended early; the next one goes on");
    }
}

fn report(counter: &'static str, intents: u64, message: &str) {
    metrics::counter!(counter).increment(intents);
    if intents > 0 {
        tracing::warn!(intents, "{message}");
    }
}
