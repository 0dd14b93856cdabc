//! A task as callers see it: what to do, in which queue, when, how often. Knows asynq's defaults and rules; knows
//! nothing of bytes or Redis.

use crate::error::Error;
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Queue of a task that names none (asynq v0.26.0, `client.go`).
const DEFAULT_QUEUE: &str = "default";
/// Retries of a task that states none (asynq v0.26.0, `client.go`).
const DEFAULT_MAX_RETRIES: u32 = 25;
/// Timeout of a task with neither timeout nor deadline (asynq v0.26.0, `client.go`).
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// One task. Times are absolute; durations are stored in whole seconds, truncated, because asynq's format has no finer
/// unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Unique within the queue, whatever state the task is in. Must not be blank.
    pub id: String,
    /// What to do; asynq calls it the type. Must not be blank.
    pub kind: String,
    /// Opaque to the queue. asynq's tools show it when it is compact JSON.
    pub payload: Vec<u8>,
    /// Queue name: not blank, no braces (they would break Redis Cluster's hash tag).
    pub queue: String,
    /// Retries allowed after the first attempt.
    pub max_retries: u32,
    /// How long one attempt may take; zero means no limit of its own. Zero without a deadline becomes asynq's 30
    /// minutes.
    pub timeout: Duration,
    /// No attempt starts or goes on after this moment.
    pub deadline: Option<Timestamp>,
    /// How long a succeeded task is kept as completed; zero deletes it at once.
    pub retention: Duration,
    /// Refuses a second task of the same queue, kind and payload for this long, or until this one succeeds. At least 1
    /// s.
    pub unique_for: Option<Duration>,
    /// When the task becomes due. `None` or a past time: at once.
    pub process_at: Option<Timestamp>,
    /// Carried along unchanged, for example a trace context.
    pub headers: BTreeMap<String, String>,
}

impl Task {
    /// A task with asynq's defaults: queue `default`, 25 retries, 30 minutes a try, due at once, and a random id (UUID
    /// v4).
    pub fn new(kind: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            kind: kind.into(),
            payload: payload.into(),
            queue: DEFAULT_QUEUE.to_owned(),
            max_retries: DEFAULT_MAX_RETRIES,
            timeout: DEFAULT_TIMEOUT,
            deadline: None,
            retention: Duration::ZERO,
            unique_for: None,
            process_at: None,
            headers: BTreeMap::new(),
        }
    }

    /// Checks the rules of asynq's format.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTask`] names the field and the rule.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let broken = |field, rule| Err(Error::InvalidTask { field, rule });
        if self.id.trim().is_empty() || self.id.contains(['{', '}']) {
            return broken("id", "must not be blank and must not contain braces");
        }
        if self.kind.trim().is_empty() {
            return broken("kind", "must not be blank");
        }
        if self.queue.trim().is_empty() || self.queue.contains(['{', '}']) {
            return broken("queue", "must not be blank and must not contain braces");
        }
        if self.unique_for.is_some_and(|ttl| ttl < Duration::from_secs(1)) {
            return broken("unique_for", "must be at least 1 s");
        }
        if self.max_retries > i32::MAX as u32 {
            return broken("max_retries", "must fit into 31 bits");
        }
        Ok(())
    }
}

/// What became of one task given to [`crate::Client::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// Written: pending, or scheduled when its time is in the future.
    Added,
    /// A task with this id exists in this queue, in whatever state, and was left as it is (asynq: task ID conflict).
    AlreadyThere,
    /// Another task holds the uniqueness lock (asynq: duplicate task).
    Duplicate,
}
