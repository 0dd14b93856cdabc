//! What became of a task: recorded in PostgreSQL, then told to the queue.
//!
//! Takes: how an attempt ended. Gives: an [`Outcome`]. Does not: let Redis hear of anything that PostgreSQL has not recorded;
//! where it cannot be recorded, the lease runs out and the mail is owed again.

use super::{VerificationEmail, attempt::Ended};
use crate::{backoff, lease::Lease, mail::Class, random};
use pipeline::Document;
use queue::TaskError;
use signup::{Leased, RecordError, RetryOutcome};
use std::time::Duration;
use tokio::time::Instant;

/// Wait between two tries to record a result.
const RECORD_WAIT: Duration = Duration::from_millis(500);
/// Wait after the lease turned out to be somebody else's, or was given back.
const ASIDE_WAIT: Duration = Duration::from_secs(5);

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

impl VerificationEmail {
    pub(super) async fn record(&self, document: &Document, leased: &Leased, lease: &Lease, ended: Ended) -> Outcome {
        match ended {
            Ended::Accepted(reply) => {
                let reply = reply.for_the_record();
                let recorded = self.persist(|| self.store.record_sent(lease.id, lease.epoch, &reply)).await;
                match recorded {
                    Ok(()) => Outcome::Sent { email: leased.email.clone() },
                    Err(error) => accepted_but_not_recorded(
                        &error,
                        backoff::wait(Class::Unknown, 0, &document.task.backoff, random::number()),
                    ),
                }
            }
            Ended::Failed { class: Class::Permanent, record, cause } => {
                let class = Class::Permanent;
                let refuse = || self.store.record_refused(lease.id, lease.epoch, class.label(), &record);
                match self.persist(refuse).await {
                    Ok(()) => Outcome::Over { class, cause },
                    Err(error) => not_recorded(&error),
                }
            }
            Ended::Failed { class, record, cause } => {
                self.record_retry(document, leased, lease, class, &record, cause).await
            }
            Ended::Interrupted(_) | Ended::Withheld => {
                // An error means that the lease is lost or runs out by itself: the same for the mail.
                let release = self.store.record_release(lease.id, lease.epoch);
                let _ = tokio::time::timeout(self.timing.answer, release).await;
                let after = if self.draining.is_cancelled() { Duration::ZERO } else { ASIDE_WAIT };
                Outcome::Later { after, why: "the mail was withheld: the worker is stopping or its lease was lost" }
            }
        }
    }

    async fn record_retry(
        &self,
        document: &Document,
        leased: &Leased,
        lease: &Lease,
        class: Class,
        record: &str,
        cause: String,
    ) -> Outcome {
        let is_counted = class.is_counted();
        let after = backoff::wait(class, leased.failures, &document.task.backoff, random::number());
        let retry = || self.store.record_retry(lease.id, lease.epoch, class.label(), record, is_counted, after);
        match self.persist(retry).await {
            Ok(RetryOutcome::Again) => Outcome::Again { class: Some(class), after: Some(after), is_counted, cause },
            Ok(RetryOutcome::Dead) => Outcome::Over { class, cause },
            Err(error) => not_recorded(&error),
        }
    }

    /// Offers a result to the database until it answers. Recording is by epoch, so it is right as long as nobody else got the
    /// lease, even after ours has run out; and while the database is down nobody gets one.
    async fn persist<T, F>(&self, record: impl Fn() -> F) -> Result<T, NotRecorded>
    where
        F: Future<Output = Result<T, RecordError>>,
    {
        let give_up = Instant::now() + self.timing.record_patience;
        loop {
            let error = match tokio::time::timeout(self.timing.answer, record()).await {
                Ok(Ok(recorded)) => return Ok(recorded),
                Ok(Err(RecordError::Stale)) => return Err(RecordError::Stale.into()),
                Ok(Err(error)) => NotRecorded::Refused(error),
                Err(_) => NotRecorded::Silent,
            };
            if Instant::now() >= give_up {
                return Err(error);
            }
            tracing::debug!(%error, "result not recorded yet");
            tokio::time::sleep(RECORD_WAIT).await;
        }
    }
}

/// A result that PostgreSQL does not have, as far as we know.
#[derive(Debug, thiserror::Error)]
enum NotRecorded {
    #[error(transparent)]
    Refused(#[from] RecordError),
    /// What was asked may be done all the same.
    #[error("failed to hear from the database in time")]
    Silent,
}

/// The mail is out. Whoever leases it next sends an identical copy; this is the window the README names.
fn accepted_but_not_recorded(error: &NotRecorded, after: Duration) -> Outcome {
    let cause = format!("the mail server took the mail, but the result is not recorded: {error}");
    Outcome::Again { class: Some(Class::Unknown), after: Some(after), is_counted: true, cause }
}

fn not_recorded(error: &NotRecorded) -> Outcome {
    tracing::warn!(%error, "the result of an attempt is not recorded");
    Outcome::Later { after: ASIDE_WAIT, why: "the result of the attempt was not recorded" }
}
