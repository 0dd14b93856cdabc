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
    /// Not now; nothing is used up.
    Later { after: Duration, why: PutOff },
    /// Failed; to be tried again.
    Again { class: Option<Class>, after: Option<Duration>, is_counted: bool, cause: String },
    /// Failed for good.
    Over { class: Class, cause: String },
}

/// Why a task is put off although its mail may be owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOff {
    NotDue,
    Held,
    Changing,
    LinkMissing,
    KeyMissing,
    Pace,
    DatabaseSilent,
    Stopping,
    Withheld,
    Crowded,
    NotRecorded,
}

impl PutOff {
    pub(super) const ALL: [Self; 11] = [
        Self::NotDue,
        Self::Held,
        Self::Changing,
        Self::LinkMissing,
        Self::KeyMissing,
        Self::Pace,
        Self::DatabaseSilent,
        Self::Stopping,
        Self::Withheld,
        Self::Crowded,
        Self::NotRecorded,
    ];

    /// The label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::Held => "held",
            Self::Changing => "changing",
            Self::LinkMissing => "link_missing",
            Self::KeyMissing => "key_missing",
            Self::Pace => "pace",
            Self::DatabaseSilent => "database_silent",
            Self::Stopping => "stopping",
            Self::Withheld => "withheld",
            Self::Crowded => "crowded",
            Self::NotRecorded => "not_recorded",
        }
    }

    /// In words, for logs and the queue.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "the mail is not due yet",
            Self::Held => "another worker is sending the mail",
            Self::Changing => "the intent of the mail changed under every look at it",
            Self::LinkMissing => "the row of the mail's link is gone and could not be made again",
            Self::KeyMissing => "the verification key of this mail is missing and may be on its way",
            Self::Pace => "too many mails wait for their turn",
            Self::DatabaseSilent => "the database did not answer",
            Self::Stopping => "the worker is stopping",
            Self::Withheld => "the mail was withheld: the worker is stopping or its lease was lost",
            Self::Crowded => "the mail server takes no more connections than other mails use",
            Self::NotRecorded => "the result of the attempt was not recorded",
        }
    }

    /// Happens every day, or has a line of its own.
    pub(super) fn is_usual(self) -> bool {
        matches!(self, Self::NotDue | Self::Pace | Self::Stopping | Self::DatabaseSilent | Self::NotRecorded)
    }
}

impl Outcome {
    /// The task was cancelled before anything was done.
    pub(super) fn cancelled() -> Self {
        Self::Later { after: Duration::ZERO, why: PutOff::Stopping }
    }

    /// The Go program's text. Never skipped: the transaction that creates the user may still be open.
    pub(super) fn unknown_user() -> Self {
        Self::Again { class: None, after: None, is_counted: true, cause: "user doesn't exist".into() }
    }

    pub(super) fn for_the_queue(self) -> Result<(), TaskError> {
        match self {
            Self::Sent { .. } | Self::Settled(_) => Ok(()),
            Self::Later { after, why } => {
                Err(TaskError::Retry { after: Some(after), counted: false, cause: why.as_str().to_owned() })
            }
            Self::Again { after, is_counted, cause, .. } => Err(TaskError::Retry { after, counted: is_counted, cause }),
            Self::Over { cause, .. } => Err(TaskError::GiveUp { cause }),
        }
    }
}
