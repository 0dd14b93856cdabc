//! What can be changed of a running server. Values only; who reads the configuration validates it.

use crate::backoff::RetryPolicy;

/// Settings of a [`crate::Server`]; every change takes effect at the next choice of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The queues to serve.
    pub queues: Vec<QueuePriority>,
    /// True: a queue is polled only when all of higher priority are empty. False: priorities are weights.
    pub strict_priority: bool,
    /// Attempts running at once. Zero takes nothing and lets running ones finish.
    pub concurrency: usize,
    /// Delay before the next attempt when the handler does not say.
    pub retry: RetryPolicy,
}

/// One queue of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePriority {
    /// Queue name.
    pub name: String,
    /// Weight or rank. Zero: not served (as in asynq).
    pub priority: u32,
    /// True: this server takes no more of its tasks, but still forwards and recovers them. asynq's own pause flag in
    /// Redis is honoured besides.
    pub paused: bool,
}
