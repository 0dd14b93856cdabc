//! From a task to a lease.
//!
//! Takes: a task's payload. Gives: the lease with everything the mail needs, or the outcome that ends the task here.
//! Does not: send.

use super::{
    VerificationEmail,
    outcome::{Outcome, PutOff},
};
use crate::{lease::Lease, random};
use pipeline::Unready;
use queue::Job;
use signup::{IntentFor, LeaseOutcome, Policy, StoreError, task::Payload};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Wait after the database did not answer; short, because it usually comes back soon and nothing is lost by asking.
const DATABASE_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Wait after the row of an intent changed under every look.
const CHANGING_WAIT: Duration = Duration::from_secs(1);

/// Wait after the row of a link was gone and could not be made again.
const LINK_WAIT: Duration = Duration::from_secs(60);

/// How late a lease that nobody waits for any more is still given back; its connection is kept so long.
const MAX_LEASE_DELAY: Duration = Duration::from_secs(60);

/// How long a lease may wait for others while mails with a lease wait for the server.
const MAX_LEASE_BATCH_WAIT: Duration = Duration::from_millis(20);

/// The database was asked in vain.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Failed(StoreError),
    #[error("failed to hear from the database in time")]
    Silent,
}

impl NoAnswer {
    /// What is wrong in a database that answers.
    fn content(&self) -> Option<Unready> {
        match self {
            Self::Failed(error) => Some(error.unready()).filter(Unready::is_about_content),
            Self::Silent => None,
        }
    }
}

impl VerificationEmail {
    /// The lease on the mail that the task is about; an attempt under it ends with the task's cancellation at the
    /// latest.
    pub(super) async fn lease(&self, job: &Job, payload: &Payload) -> Result<Lease, Outcome> {
        let stop = job.cancelled.child_token();
        if let Some(id) = payload.intent_id
            && let Some(lease) = self.lease_known(id, job, &stop).await?
        {
            return Ok(lease);
        }
        // A task of a Go producer, or one whose intent is not in this database (any more).
        let id = self.intent_of(job, payload).await?;
        self.lease_known(id, job, &stop).await?.ok_or_else(Outcome::unknown_user)
    }

    /// `None`: there is no such intent.
    async fn lease_known(&self, id: Uuid, job: &Job, stop: &CancellationToken) -> Result<Option<Lease>, Outcome> {
        let mut asked = Instant::now();
        let mut found = self.answer(self.ask_for_lease(id, &job.server)).await?;
        if found == LeaseOutcome::LinkMissing {
            self.remake_link(id).await?;
            asked = Instant::now();
            found = self.answer(self.ask_for_lease(id, &job.server)).await?;
        }
        let later = |after, why| Err(Outcome::Later { after, why });
        match found {
            LeaseOutcome::Leased(mail) => {
                Ok(Some(Lease::new(mail, self.store.clone(), self.timing, asked, stop.clone())))
            }
            LeaseOutcome::NotDue(after) => later(after, PutOff::NotDue),
            LeaseOutcome::Held(after) => later(after, PutOff::Held),
            LeaseOutcome::Changing => later(CHANGING_WAIT, PutOff::Changing),
            LeaseOutcome::LinkMissing => later(LINK_WAIT, PutOff::LinkMissing),
            LeaseOutcome::Settled(state) => Err(Outcome::Settled(state.as_str())),
            LeaseOutcome::Unknown => Ok(None),
        }
    }

    /// Somebody cleaned old links up and took one that is owed along. What has to be in the mail is in the intent.
    async fn remake_link(&self, id: Uuid) -> Result<(), Outcome> {
        let keys = &self.materials.now().keys;
        if self.answer(self.store.remake_link(id, keys)).await? {
            metrics::counter!("signup_mail_links_remade_total").increment(1);
            tracing::warn!(intent.id = %id, "the row of an owed mail's link was deleted, it is made again");
        }
        Ok(())
    }

    /// Asks in a task of its own: a statement that was sent is carried out however late, and a lease that comes when
    /// nobody waits for it any more is given back. Left alone it would run out like that of a worker that crashed.
    fn ask_for_lease(&self, id: Uuid, owner: &str) -> impl Future<Output = Result<LeaseOutcome, StoreError>> + use<> {
        let (store, owner, length) = (self.store.clone(), owner.to_owned(), self.timing.lease);
        let others = self.time_for_others(MAX_LEASE_BATCH_WAIT);
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(tokio::time::timeout(length + MAX_LEASE_DELAY, async move {
            let answer = store.lease_with_others(id, &owner, length, others).await;
            if let Err(Ok(LeaseOutcome::Leased(late))) = sender.send(answer) {
                // An error means that it runs out by itself.
                let _ = store.record_release(id, late.epoch).await;
            }
        }));
        async move {
            match receiver.await {
                Ok(answer) => answer,
                // The task was given up, which is later than anybody waits.
                Err(_) => std::future::pending().await,
            }
        }
    }

    async fn intent_of(&self, job: &Job, payload: &Payload) -> Result<Uuid, Outcome> {
        let policy = Policy::from(&*self.live.document());
        let keys = &self.materials.now().keys;
        match self.answer(self.store.intent_for(&payload.username, &job.task.id, &policy, keys)).await? {
            IntentFor::Owed(id) | IntentFor::Created(id) => Ok(id),
            IntentFor::AlreadyVerified => Err(Outcome::Settled("verified")),
            IntentFor::UnknownUser => Err(Outcome::unknown_user()),
        }
    }

    /// The database's answer, awaited for the length of a lease. Its absence is logged at the first task that misses
    /// it, and its return at the next one.
    async fn answer<T>(&self, asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, Outcome> {
        let answer = tokio::time::timeout(self.timing.lease, asking).await;
        let answer = answer.map_or(Err(NoAnswer::Silent), |answer| answer.map_err(NoAnswer::Failed));
        let answers = answer.is_ok();
        if self.database_answers.swap(answers, Ordering::Relaxed) != answers {
            match &answer {
                Ok(_) => tracing::info!("the database answers again"),
                Err(error) => {
                    let cause = std::error::Error::source(error).map(pipeline::chain);
                    match error.content() {
                        Some(missing) => tracing::error!(%error, cause, "{missing}; tasks wait"),
                        None => tracing::warn!(%error, cause, "the database does not answer, tasks wait"),
                    }
                }
            }
        }
        let wait = || random::between(DATABASE_WAIT.0, DATABASE_WAIT.1);
        answer.map_err(|_| Outcome::Later { after: wait(), why: PutOff::DatabaseSilent })
    }
}
