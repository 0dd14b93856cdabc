//! What a worker program implements, and what it is handed for each attempt. No Redis here.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::task::Task;

/// Runs tasks. One value serves all attempts of a server, concurrently.
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt. Delivery is at least once: the same task may come again after a crash, so make it harmless.
    ///
    /// When `job.cancelled` fires the handler should come to an end soon; its slot stays taken until it returns, and its
    /// result counts whatever it is. A panic is caught and becomes a counted retry.
    fn handle(&self, job: Job) -> impl Future<Output = Result<(), TaskError>> + Send;
}

/// One attempt at one task.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task; `process_at` and `unique_for` are `None` here.
    pub task: Task,
    /// Counted failures so far.
    pub retried: u32,
    /// Fires when the timeout or deadline is reached, somebody cancels the task (`asynq:cancel`), the lease is lost, or the
    /// shutdown's grace period is over.
    pub cancelled: CancellationToken,
}

/// Why an attempt did not succeed, and what happens next. `cause` is stored with the task, shown by tools, and cut at 8 KiB.
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
