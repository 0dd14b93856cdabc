//! The handler of `task:send_verify_email`: lease, attempt, record.
//!
//! Takes: a task. Gives: the mail to the mail server and what became of it to PostgreSQL, then the same, in the
//! queue's words, to Redis. Does not: trust the task for anything but which intent it is about; what is owed, due and
//! free is asked from PostgreSQL, and what happened is written there first. Whatever Redis does later, at worst it
//! asks the same question again.
//!
//! # Layout
//!
//! - `intent`: from a task to a lease
//! - `attempt`: the mail, written and sent under the lease; `keys`: the code of its link
//! - `record`: how the attempt ended, recorded
//! - `outcome`: what became of the task
//! - `report`: log lines and metrics

mod attempt;
mod intent;
mod keys;
mod outcome;
mod record;
pub(crate) mod report;

use crate::{
    lease::Timing,
    mail::{
        Mailer,
        pace::{self, Pace},
    },
    materials::LiveMaterials,
};
use keys::MissingKeys;
use outcome::{Outcome, PutOff};
use pipeline::{Document, Live};
use queue::{Handler, Job, TaskError};
use signup::{
    Store,
    task::{self, Payload},
    verification::KeysError,
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sends verification mails; one per process.
pub struct VerificationEmail {
    live: Live,
    store: Store,
    mailer: Arc<Mailer>,
    materials: Arc<LiveMaterials>,
    missing_keys: MissingKeys,
    pace: Pace,
    timing: Timing,
    /// Cancelled when the process stops taking tasks.
    draining: CancellationToken,
    /// False after the database failed to answer; so that its loss is logged once, not once per task.
    database_answers: AtomicBool,
}

impl VerificationEmail {
    /// Loads keys and templates; connects to nothing. `draining` is cancelled when the process stops taking tasks.
    ///
    /// # Errors
    ///
    /// [`KeysError`] when no key can be loaded, so no link could be written.
    pub fn new(
        live: Live,
        store: Store,
        mailer: Arc<Mailer>,
        timing: Timing,
        draining: CancellationToken,
    ) -> Result<Self, KeysError> {
        let materials = Arc::new(LiveMaterials::load(&live.document())?);
        Ok(Self {
            live,
            store,
            mailer,
            materials,
            missing_keys: MissingKeys::default(),
            pace: Pace::default(),
            timing,
            draining,
            database_answers: AtomicBool::new(true),
        })
    }

    /// Keys and templates, to be reloaded when the configuration changes.
    pub(crate) fn materials(&self) -> Arc<LiveMaterials> {
        Arc::clone(&self.materials)
    }
}

impl Handler for VerificationEmail {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        if job.task.kind != task::KIND {
            let cause = format!("no handler for tasks of type {}", job.task.kind);
            tracing::error!(error = cause, "type" = job.task.kind, task.id = job.task.id, "process task failed");
            return Err(TaskError::Retry { after: None, counted: true, cause });
        }
        let payload = match Payload::from_json(&job.task.payload) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(%error, "type" = task::KIND, task.id = job.task.id, "process task failed");
                return Err(TaskError::GiveUp { cause: error.to_string() });
            }
        };
        let (Ok(outcome) | Err(outcome)) = self.settle(&job, &payload).await;
        report::report(&outcome, &payload, &job, self.live.document().observability.log_personal_data);
        outcome.for_the_queue()
    }

    async fn server_ended(&self, server: &str) {
        match tokio::time::timeout(self.timing.answer, self.store.end_leases(server)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(leases)) => tracing::warn!(server, leases, "ended the leases of a worker that has ended"),
            Ok(Err(error)) => tracing::warn!(server, %error, "leases of an ended worker run out by themselves"),
            Err(_) => tracing::warn!(server, "leases of an ended worker run out by themselves, the database is silent"),
        }
    }
}

impl VerificationEmail {
    /// `Err`: the task ended before there was a lease.
    async fn settle(&self, job: &Job, payload: &Payload) -> Result<Outcome, Outcome> {
        let document = self.live.document();
        self.turn(&document, job).await?;
        let lease = self.lease(job, payload).await?;
        // The wait for the database was not the mail server's either.
        job.limit.count_from(Instant::now());
        let end = self.attempt(&document, &job.limit, &lease).await;
        Ok(self.record(&document, &lease, end).await)
    }

    /// How long a statement may wait for others to share it, `max` at most: no mail is to be later for it.
    fn time_for_others(&self, max: Duration) -> Duration {
        if self.mailer.has_next_mails() { max } else { Duration::ZERO }
    }

    /// Waits for the mail's turn. The timeout counts from then: it is the mail server's time, and the wait is ours.
    async fn turn(&self, document: &Document, job: &Job) -> Result<(), Outcome> {
        if let Some(limit) = document.mail.smtp.max_per_second {
            let gap = self.mailer.share().borrow().unwrap_or_default().gap(limit);
            let turn = self.pace.turn(gap, pace::longest_wait(job.task.timeout), Instant::now());
            let turn = turn.map_err(|after| Outcome::Later { after, why: PutOff::Pace })?;
            job.limit.count_from(turn);
            job.cancelled.run_until_cancelled(tokio::time::sleep_until(turn)).await;
        }
        if job.cancelled.is_cancelled() { Err(Outcome::cancelled()) } else { Ok(()) }
    }
}
