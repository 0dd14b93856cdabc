//! What became of a task.
//!
//! Takes: what was found or recorded. Gives: an [`Outcome`], for log lines and metrics, and the same in the queue's
//! words. Does not: record anything; what it says of a mail is in PostgreSQL by then.

use crate::mail::Class;
use queue::TaskError;
use std::time::Duration;

/// What became of a task.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The mail is out and recorded.
    Sent {
        /// The recipient. Personal.
        email: String,
    },
    /// Nothing is owed any more; the state says why.
    Settled(&'static str),
    /// Not now, and nobody's fault.
    Later { after: Duration, why: &'static str },
    /// Failed; to be tried again.
    Again { class: Option<Class>, after: Option<Duration>, is_counted: bool, cause: String },
    /// Failed for good.
    Over { class: Class, cause: String },
}

impl Outcome {
    /// The task was cancelled before anything was done.
    pub(super) fn cancelled() -> Self {
        Self::Later { after: Duration::ZERO, why: "the worker is stopping" }
    }

    /// The Go program's text. Never skipped: the transaction that creates the user may still be open.
    pub(super) fn unknown_user() -> Self {
        Self::Again { class: None, after: None, is_counted: true, cause: "user doesn't exist".into() }
    }

    pub(super) fn for_the_queue(self) -> Result<(), TaskError> {
        match self {
            Self::Sent { .. } | Self::Settled(_) => Ok(()),
            Self::Later { after, why } => {
                Err(TaskError::Retry { after: Some(after), counted: false, cause: why.to_owned() })
            }
            Self::Again { after, is_counted, cause, .. } => Err(TaskError::Retry { after, counted: is_counted, cause }),
            Self::Over { cause, .. } => Err(TaskError::GiveUp { cause }),
        }
    }
}
