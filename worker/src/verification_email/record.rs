//! The end of an attempt, recorded in PostgreSQL.
//!
//! Takes: how the attempt ended. Gives: the [`Outcome`] for the queue. Does not: let Redis hear of anything that
//! PostgreSQL has not recorded; where it cannot be recorded, the lease runs out and the mail is owed again.

use super::{
    VerificationEmail,
    attempt::AttemptEnd,
    outcome::{Outcome, PutOff},
    report,
};
use crate::{
    lease::Lease,
    mail::{Class, Failure, Sent},
    random, retry_wait,
};
use pipeline::Document;
use signup::{Ground, RecordError, RefusalOutcome, RetryOutcome, State};
use std::time::Duration;
use tokio::time::Instant;

/// Wait between two tries to record a result.
const RECORD_INTERVAL: Duration = Duration::from_millis(500);
/// Wait after the lease turned out to be another worker's, or was given back.
const YIELD_WAIT: Duration = Duration::from_secs(5);

/// How long the record of a mail that is out may wait for others while mails with a lease wait for the server: short,
/// because a worker that is killed meanwhile leaves a mail to be sent twice.
const MAX_RECORD_BATCH_WAIT: Duration = Duration::from_millis(5);

/// Bounds of the wait for a server that takes no more connections.
const CROWDED_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// A failed attempt, as it is recorded.
struct Failed {
    class: Class,
    /// Kept in PostgreSQL; may hold addresses.
    record: String,
    /// For logs and the queue.
    cause: String,
    /// Held: nothing is wrong with the mail, and the server answers something else to others.
    is_held: bool,
    /// What a permanent verdict rests on.
    ground: Ground,
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        let class = failure.class();
        let ground = match failure.code() {
            None => Ground::Ours,
            Some(_) if failure.names_the_mailbox() => Ground::Code,
            Some(_) => Ground::Words,
        };
        let is_held = failure.is_about_the_mail() && matches!(class, Class::Misconfigured | Class::Limited);
        Self { class, record: failure.for_the_record(), cause: failure.to_string(), is_held, ground }
    }
}

impl VerificationEmail {
    pub(super) async fn record(&self, document: &Document, lease: &Lease, end: AttemptEnd) -> Outcome {
        let failed = match end {
            AttemptEnd::Dialogue(Sent::Accepted(reply)) => {
                return self.record_sent(document, lease, &reply.for_the_record()).await;
            }
            AttemptEnd::Dialogue(Sent::Interrupted(_) | Sent::Withheld) => {
                let after = if self.draining.is_cancelled() { Duration::ZERO } else { YIELD_WAIT };
                return self.record_release(lease, after, PutOff::Withheld).await;
            }
            AttemptEnd::PutOff { after, why } => return self.record_release(lease, after, why).await,
            AttemptEnd::Dialogue(Sent::Crowded) => {
                let wait = random::between(CROWDED_WAIT.0, CROWDED_WAIT.1);
                let after = if self.draining.is_cancelled() { Duration::ZERO } else { wait };
                return self.record_release(lease, after, PutOff::Crowded).await;
            }
            AttemptEnd::Dialogue(Sent::Failed(failure)) => Failed::from(&failure),
            AttemptEnd::Fault { class, cause } => {
                Failed { class, record: cause.clone(), cause, is_held: false, ground: Ground::Ours }
            }
        };
        match failed.class {
            Class::Permanent => self.record_refused(document, lease, failed).await,
            _ => self.record_retry(document, lease, failed).await,
        }
    }

    async fn record_sent(&self, document: &Document, lease: &Lease, reply: &str) -> Outcome {
        let others = self.time_for_others(MAX_RECORD_BATCH_WAIT);
        let record = || self.store.record_sent_with_others(lease.id(), lease.epoch(), reply, others);
        match self.persist(record).await {
            Ok(()) => Outcome::Sent { email: lease.mail.email.clone() },
            Err(error) => {
                let after = retry_wait::wait(Class::Unknown, 0, &document.task.backoff, random::number());
                accepted_but_not_recorded(&error, after)
            }
        }
    }

    async fn record_refused(&self, document: &Document, lease: &Lease, failed: Failed) -> Outcome {
        let Failed { class, record, cause, ground, .. } = failed;
        let (id, epoch) = (lease.id(), lease.epoch());
        let after = retry_wait::held(lease.mail.attempts, &document.task.backoff, random::number());
        let refuse = || self.store.record_refused(id, epoch, class.label(), &record, ground, after);
        match self.persist(refuse).await {
            Ok(RefusalOutcome::Refused) => {
                if ground != Ground::Ours {
                    self.mailer.refuses_everybody(false);
                }
                Outcome::Over { class, cause }
            }
            Ok(RefusalOutcome::TakenBack { others }) => {
                self.mailer.refuses_everybody(true);
                report::taken_back(others);
                Outcome::Again { class: Some(class), after: Some(after), is_counted: false, cause }
            }
            Err(error) => not_recorded(&error),
        }
    }

    async fn record_retry(&self, document: &Document, lease: &Lease, failed: Failed) -> Outcome {
        let Failed { class, record, cause, is_held, .. } = failed;
        let (is_counted, backoff) = (class.is_counted(), &document.task.backoff);
        let after = match is_held {
            true => retry_wait::held(lease.mail.attempts, backoff, random::number()),
            false => retry_wait::wait(class, lease.mail.failures, backoff, random::number()),
        };
        let (id, epoch) = (lease.id(), lease.epoch());
        let retry = || self.store.record_retry(id, epoch, class.label(), &record, is_counted, after);
        match self.persist(retry).await {
            Ok(RetryOutcome::Again) => Outcome::Again { class: Some(class), after: Some(after), is_counted, cause },
            Ok(RetryOutcome::Dead) => Outcome::Over { class, cause },
            Err(error) => match self.recorded_before(lease, class, &record, error).await {
                Ok(State::Dead) => Outcome::Over { class, cause },
                Ok(_) => Outcome::Again { class: Some(class), after: Some(after), is_counted, cause },
                Err(error) => not_recorded(&error),
            },
        }
    }

    /// What an earlier try recorded whose answer did not come in time.
    async fn recorded_before(
        &self,
        lease: &Lease,
        class: Class,
        record: &str,
        error: NotRecorded,
    ) -> Result<State, NotRecorded> {
        if !matches!(error, NotRecorded::Superseded) {
            return Err(error);
        }
        let asking = self.store.recorded(lease.id(), lease.epoch(), class.label(), record);
        match tokio::time::timeout(self.timing.answer, asking).await {
            Ok(Ok(Some(state))) => Ok(state),
            _ => Err(error),
        }
    }

    /// Gives the lease back: the mail was not sent, and the attempt does not count.
    async fn record_release(&self, lease: &Lease, after: Duration, why: PutOff) -> Outcome {
        // An error means that the lease is lost or runs out by itself: the same for the mail.
        let release = self.store.record_release(lease.id(), lease.epoch());
        let _ = tokio::time::timeout(self.timing.answer, release).await;
        Outcome::Later { after, why }
    }

    /// Offers a result to the database until it answers. Recording is by epoch, so it is right as long as no other
    /// worker got the lease, even after ours has run out; and while the database is down nobody gets one.
    async fn persist<T, F>(&self, record: impl Fn() -> F) -> Result<T, NotRecorded>
    where
        F: Future<Output = Result<T, RecordError>>,
    {
        let give_up = Instant::now() + self.timing.record_timeout;
        let mut asked_before = false;
        loop {
            let error = match tokio::time::timeout(self.timing.answer, record()).await {
                Ok(Ok(recorded)) => return Ok(recorded),
                Ok(Err(RecordError::Stale)) if asked_before => return Err(NotRecorded::Superseded),
                Ok(Err(RecordError::Stale)) => return Err(RecordError::Stale.into()),
                Ok(Err(error)) => NotRecorded::Refused(error),
                Err(_) => NotRecorded::Silent,
            };
            if Instant::now() >= give_up {
                return Err(error);
            }
            asked_before = true;
            tracing::debug!(%error, "result not recorded yet");
            tokio::time::sleep(RECORD_INTERVAL).await;
        }
    }
}

/// A result that PostgreSQL does not have, as far as we know.
#[derive(Debug, thiserror::Error)]
enum NotRecorded {
    #[error(transparent)]
    Refused(#[from] RecordError),
    /// Another lease was given since, or an earlier try was carried out after its time.
    #[error("the lease on the intent is over")]
    Superseded,
    /// What was asked may be done all the same.
    #[error("failed to hear from the database in time")]
    Silent,
}

/// The mail is out. The worker that leases it next sends an identical copy; this is the window the README names.
fn accepted_but_not_recorded(error: &NotRecorded, after: Duration) -> Outcome {
    let cause = format!("the mail server took the mail, but the result is not recorded: {error}");
    Outcome::Again { class: Some(Class::Unknown), after: Some(after), is_counted: true, cause }
}

fn not_recorded(error: &NotRecorded) -> Outcome {
    tracing::warn!(%error, "the result of an attempt is not recorded");
    Outcome::Later { after: YIELD_WAIT, why: PutOff::NotRecorded }
}
