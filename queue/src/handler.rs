//! What a worker program implements, and what it is handed for each attempt. No Redis here.

use crate::task::Task;
use std::{future::Future, time::Duration};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// Runs tasks. One value serves all attempts of a server, concurrently.
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt. Delivery is at least once: the same task may come again after a crash, so make it harmless.
    ///
    /// When `job.cancelled` fires the handler should come to an end soon; its slot stays taken until it returns, and
    /// its result counts whatever it is. A panic is caught and becomes a counted retry.
    fn handle(&self, job: Job) -> impl Future<Output = Result<(), TaskError>> + Send;

    /// Hears that a server has ended, before its tasks are given to others: one that keeps leases of its own, in
    /// [`Job::server`]'s name, ends them here. May come several times for one server, and be wrong: what the server
    /// does nevertheless has to be refused by those leases.
    fn server_ended(&self, server: &str) -> impl Future<Output = ()> + Send {
        let _ = server;
        std::future::ready(())
    }
}

/// One attempt at one task.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task; `process_at` and `unique_for` are `None` here.
    pub task: Task,
    /// Counted failures so far.
    pub retried: u32,
    /// From when the timeout counts, and whether it was reached.
    pub limit: TimeLimit,
    /// Who runs it: [`crate::Server::identity`].
    pub server: String,
    /// Fires when the timeout or deadline is reached, the task is cancelled (`asynq:cancel`), the lease is lost, or the
    /// shutdown's grace period is over.
    pub cancelled: CancellationToken,
}

/// The timeout of one attempt, which counts from the attempt's start unless the handler says otherwise. The deadline of
/// a task is no part of it: nothing moves that.
#[derive(Debug, Clone, Default)]
pub struct TimeLimit(watch::Sender<Counted>);

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    from: Option<Instant>,
    is_reached: bool,
}

impl TimeLimit {
    /// Counts the timeout from another moment: for a handler that first waits for something that is no part of the
    /// work.
    pub fn count_from(&self, moment: Instant) {
        self.0.send_modify(|counted| counted.from = Some(moment));
    }

    /// The moment that the handler named.
    pub fn counted_from(&self) -> Option<Instant> {
        self.0.borrow().from
    }

    /// Waits until the handler has named a moment that is not `known` yet.
    pub(crate) async fn moved(&self, known: Option<Instant>) -> Option<Instant> {
        let mut counted = self.0.subscribe();
        // The sender, which we borrow, lives; without it the moment would never change.
        counted.wait_for(|counted| counted.from != known).await.ok().and_then(|counted| counted.from)
    }

    /// True when `job.cancelled` fired because the timeout was reached, and not for another reason.
    pub fn is_reached(&self) -> bool {
        self.0.borrow().is_reached
    }

    /// Marks the timeout as reached, as the server does right before it cancels the attempt.
    pub fn reach(&self) {
        self.0.send_modify(|counted| counted.is_reached = true);
    }
}

/// Why an attempt did not succeed, and what happens next. `cause` is stored with the task, shown by tools, and cut at 8
/// KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// Try again.
    Retry {
        /// When; `None` asks the server's [`crate::RetryPolicy`].
        after: Option<Duration>,
        /// Whether this uses up one of `max_retries`. An uncounted retry never archives, however often it happens.
        counted: bool,
        /// For people, not for programs.
        cause: String,
    },
    /// Archive at once (asynq: SkipRetry).
    GiveUp {
        /// For people, not for programs.
        cause: String,
    },
}
