//! The handler of `task:send_verify_email`: lease, write, send, record.
//!
//! Takes: a task. Gives: the mail to the mail server and its fate to PostgreSQL, then the same fate, in the queue's words, to
//! Redis. Does not: trust the task for anything but which intent it is about; what is owed, due and free is asked from
//! PostgreSQL, and what happened is written there first. Whatever Redis does later, at worst asks the same question again.
//!
//! # Layout
//!
//! - `intent`: from a task to a lease
//! - `attempt`: the mail, written and sent under the lease
//! - `outcome`: what became of it, recorded
//! - `report`: log lines and metrics

mod attempt;
mod intent;
mod outcome;
mod report;

use crate::{
    lease::Timing,
    mail::{Mailer, pace::Pace},
    materials::LiveMaterials,
};
use outcome::Outcome;
use pipeline::Live;
use queue::{Handler, Job, TaskError};
use signup::{
    Store,
    task::{self, Payload},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sends verification mails; one per process.
pub(crate) struct VerificationEmail {
    pub(crate) live: Live,
    pub(crate) store: Store,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) materials: Arc<LiveMaterials>,
    pub(crate) pace: Pace,
    pub(crate) timing: Timing,
    /// Names this process in leases: host, process id, random number.
    pub(crate) owner: String,
    /// Cancelled when the process stops taking tasks.
    pub(crate) draining: CancellationToken,
}

impl Handler for VerificationEmail {
    async fn handle(&self, job: Job) -> Result<(), TaskError> {
        if job.task.kind != task::KIND {
            let cause = format!("no handler for tasks of type {}", job.task.kind);
            return Err(TaskError::Retry { after: None, counted: true, cause });
        }
        let payload = match Payload::from_json(&job.task.payload) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(%error, "type" = task::KIND, task.id = job.task.id, "process task failed");
                return Err(TaskError::GiveUp { cause: error.to_string() });
            }
        };
        let outcome = self.settle(&job, &payload).await;
        report::report(&outcome, &payload, &job, self.live.document().observability.log_personal_data);
        outcome.for_the_queue()
    }
}

impl VerificationEmail {
    async fn settle(&self, job: &Job, payload: &Payload) -> Outcome {
        let document = self.live.document();
        tokio::select! {
            biased;
            () = job.cancelled.cancelled() => return Outcome::cancelled(),
            () = self.pace.turn(document.mail.smtp.max_per_second) => {}
        }
        let stop = job.cancelled.child_token();
        match self.lease(job, payload, &stop).await {
            Ok((leased, lease)) => self.attempt(&document, job, &leased, &lease, &stop).await,
            Err(outcome) => outcome,
        }
    }
}
