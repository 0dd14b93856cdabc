//! Committed intents on their way to Redis.
//!
//! Takes: rows that are committed, owed and due within a minute. Gives: tasks in asynq's format, under the intent's id,
//! so that handing one over twice is harmless. Does not: hold anything in memory. A row is marked after Redis has it; a
//! crash in between repeats it. A task that Redis refuses is marked too, for the sweeper to try again, so that the
//! tasks behind it are not held up. Rows due later stay in PostgreSQL, which bounds the memory of Redis.
//!
//! Redis may lose its data at any time (I3). A random value of ours in it, its incarnation, then changes; everything
//! that was handed to the old one goes again, within one poll. Every replica runs a relay; claims make them share, and
//! none holds a connection to PostgreSQL while Redis is slow.

use crate::refusal;
use pipeline::chain;
use queue::{Client, Enqueued, Task};
use signup::{Intent, Store, StoreError, task};
use std::time::Duration;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;

/// How often rows are polled when nothing wakes the relay: what a commit of another replica waits at most, and one of
/// this replica whose mail has time. Each poll costs as much as several signups besides their hashes, so it should find
/// many rows.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Time between two polls at least, however many commits there are: one poll takes all of them along, and what is due
/// at once does not wait for it ([`Relay::hand_over`]).
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Rows of one claim: a pipeline of this size takes Redis a few milliseconds.
const BATCH: u32 = 200;

/// How far ahead tasks are handed over.
const LOOKAHEAD: Duration = Duration::from_secs(60);

/// How long Redis may take while rows are claimed; then they are given back.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a poll may take. A PostgreSQL that vanished without a word leaves its connections silent for a quarter of
/// an hour, while new ones reach its successor.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long Redis may take right after a commit.
const HAND_OVER_TIMEOUT: Duration = Duration::from_millis(50);

/// Longest wait after failures; the waits before it double.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Hands committed intents to Redis.
pub(crate) struct Relay {
    store: Store,
    client: Client,
    committed: Notify,
}

/// A poll did not succeed; the rows are waiting still.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// PostgreSQL did not answer.
    #[error("failed to read or mark committed intents")]
    Store(#[from] StoreError),
    /// Redis refused.
    #[error("failed to hand intents to Redis")]
    Queue(#[from] queue::Error),
    /// Redis did not answer in time.
    #[error("failed to hand intents to Redis within {} ms", REDIS_TIMEOUT.as_millis())]
    TooSlow,
    /// PostgreSQL did not answer in time.
    #[error("failed to read or mark committed intents within {} s", POLL_TIMEOUT.as_secs())]
    Silent,
}

impl RelayError {
    /// The part that failed, for metrics.
    fn part(&self) -> &'static str {
        match self {
            Self::Store(_) | Self::Silent => "postgresql",
            Self::Queue(_) | Self::TooSlow => "redis",
        }
    }
}

impl Relay {
    /// A relay between `store` and `client`.
    pub(crate) fn new(store: Store, client: Client) -> Self {
        Self { store, client, committed: Notify::new() }
    }

    /// Says that something was committed that is due soon.
    pub(crate) fn wake(&self) {
        self.committed.notify_one();
    }

    /// Hands over a committed intent that is due now, without waiting for the next poll. Best effort: it gives up
    /// silently after 50 ms, and [`run`](Self::run) finds the row in any case.
    pub(crate) async fn hand_over(&self, intent: &Intent) {
        let task = Task { process_at: None, ..task_of(intent) };
        if let Ok(Ok(Enqueued::Added)) = time::timeout(HAND_OVER_TIMEOUT, self.client.enqueue(&task)).await {
            report_enqueued(intent);
        }
    }

    /// Runs until `stop`. Failures are logged once when they begin, counted, and waited out.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut incarnation = None;
        let mut failures = 0;
        loop {
            let polled = tokio::select! {
                polled = time::timeout(POLL_TIMEOUT, self.poll(&mut incarnation)) => {
                    polled.unwrap_or(Err(RelayError::Silent))
                }
                () = stop.cancelled() => return,
            };
            let pause = match polled {
                Ok(handed_over) => {
                    if failures > 0 {
                        tracing::info!(failures, "committed intents are handed to Redis again");
                    }
                    failures = 0;
                    if handed_over == BATCH as usize { Duration::ZERO } else { POLL_INTERVAL }
                }
                Err(error) => {
                    report_failure(&error, failures);
                    failures += 1;
                    pause_after(failures)
                }
            };
            tokio::select! {
                () = time::sleep(pause) => {}
                () = self.woken(), if failures == 0 => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn woken(&self) {
        time::sleep(MIN_INTERVAL).await;
        self.committed.notified().await;
    }

    /// One poll: is it the same Redis, what is committed, hand it over, mark it. Gives the number of rows.
    async fn poll(&self, incarnation: &mut Option<String>) -> Result<usize, RelayError> {
        let current = in_time(self.client.incarnation()).await?;
        if incarnation.as_ref() != Some(&current) {
            self.hand_over_anew(incarnation.is_some(), &current).await?;
            *incarnation = Some(current.clone());
        }
        let claim = self.store.claim_waiting(BATCH, LOOKAHEAD).await?;
        let intents = claim.intents();
        if intents.is_empty() {
            return Ok(0);
        }
        let tasks: Vec<Task> = intents.iter().map(task_of).collect();
        match self.enqueue(intents, &tasks).await {
            Err(RelayError::Queue(error)) if refusal::can_be_of_one_task(&error) => {
                in_time(refusal::ensure_each(&self.client, &tasks)).await?;
            }
            enqueued => enqueued?,
        }
        let count = intents.len();
        claim.dispatched(&current).await?;
        Ok(count)
    }

    /// Hands all tasks over in one round trip, and a second one for what is there already.
    async fn enqueue(&self, intents: &[Intent], tasks: &[Task]) -> Result<(), RelayError> {
        let enqueued = in_time(self.client.enqueue_many(tasks)).await?;
        // What is there already may be scheduled too late or archived by somebody.
        let there = tasks.iter().zip(&enqueued).filter(|(_, enqueued)| **enqueued != Enqueued::Added);
        let there: Vec<Task> = there.map(|(task, _)| task.clone()).collect();
        if !there.is_empty() {
            in_time(self.client.ensure_many(&there)).await?;
        }
        let added = intents.iter().zip(enqueued).filter(|(_, enqueued)| *enqueued == Enqueued::Added);
        added.for_each(|(intent, _)| report_enqueued(intent));
        Ok(())
    }

    /// A Redis not seen before: what another one was given, this one has to get.
    async fn hand_over_anew(&self, knew_another: bool, current: &str) -> Result<(), RelayError> {
        let intents = self.store.reset_incarnation(current).await?;
        if knew_another {
            metrics::counter!("signup_relay_redis_losses_total").increment(1);
            tracing::warn!(intents, "Redis lost its data; what it was told is handed over again");
        }
        Ok(())
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, queue::Error>>) -> Result<T, RelayError> {
    Ok(time::timeout(REDIS_TIMEOUT, call).await.map_err(|_| RelayError::TooSlow)??)
}

/// 0.6 s, 1.2 s, 2.4 s, 4.8 s, then 5 s.
fn pause_after(failures: u32) -> Duration {
    POLL_INTERVAL.saturating_mul(1 << failures.min(8)).min(MAX_PAUSE)
}

/// The task of an intent, due when the intent is.
pub(crate) fn task_of(intent: &Intent) -> Task {
    let payload = task::Payload { username: intent.username.clone(), intent_id: Some(intent.id) };
    Task {
        id: intent.id.to_string(),
        queue: intent.queue.clone(),
        max_retries: intent.max_retries,
        timeout: intent.timeout,
        deadline: Some(intent.deadline),
        process_at: Some(intent.due_at()),
        ..Task::new(task::KIND, payload.to_json())
    }
}

/// The Go program's line, with its fields.
fn report_enqueued(intent: &Intent) {
    let payload = task::Payload { username: intent.username.clone(), intent_id: None };
    metrics::counter!("signup_relay_dispatched_total").increment(1);
    tracing::info!(
        "type" = task::KIND,
        payload = payload.for_logs(),
        queue = intent.queue,
        max_retry = intent.max_retries,
        task.id = %intent.id,
        "enqueued task"
    );
}

fn report_failure(error: &RelayError, failures_before: u32) {
    metrics::counter!("signup_relay_failures_total", "part" => error.part()).increment(1);
    if failures_before == 0 {
        let cause = std::error::Error::source(error).map(chain);
        tracing::warn!(%error, cause, "intents stay in PostgreSQL until they can be handed over");
    }
}
