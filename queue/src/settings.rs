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
    /// A task with a longer payload (bytes) is archived and never run; see [`MAX_PAYLOAD_BYTES`].
    pub max_payload_bytes: usize,
}

/// What [`Settings::max_payload_bytes`] usually is: 1 MiB. Redis answers on one connection, in order and within a
/// second, so what is much larger holds up every other task; such data belongs elsewhere, and where it is into the
/// task.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

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

impl Default for Settings {
    /// No queue, ten attempts at once.
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            strict_priority: false,
            concurrency: 10,
            retry: RetryPolicy::default(),
            max_payload_bytes: MAX_PAYLOAD_BYTES,
        }
    }
}
