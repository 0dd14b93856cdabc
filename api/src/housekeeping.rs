//! What is removed after a while.
//!
//! Takes: `retention` of the configuration in force, asked before each step. Gives: small steps, after each of which
//! PostgreSQL has twenty times as long for others; one process at a time takes one, of all replicas. Does not: count
//! for readiness: what cannot be removed is a warning, and stays.

use pipeline::{Live, chain, document::Retention};
use signup::{Pace, Step, Store, StoreError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long mails that are over are kept in a database that was new, where nobody said.
const MAILS_KEPT_BY_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Mails of one step.
const MAILS: u32 = 500;

/// Users looked at in one step.
const USERS: u32 = 200;

/// Time between two steps where there is nothing to do.
const INTERVAL: Duration = Duration::from_secs(60);

/// Time between two steps while there is something to do, at least; more where steps take long.
const MIN_PAUSE: Duration = Duration::from_millis(500);

/// A step has this part of the time: 5 % of a core at most, were it PostgreSQL's work alone.
const PAUSE_FACTOR: u32 = 20;

/// How long a step may take. A PostgreSQL that vanished without a word never answers.
const STEP_TIMEOUT: Duration = Duration::from_secs(25);

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chore {
    Mails,
    Users,
}

/// Removes what has had its time.
pub(crate) struct Housekeeping {
    store: Store,
    live: Live,
}

/// A step failed; the next one tries again.
#[derive(Debug, thiserror::Error)]
enum ChoreError {
    #[error(
        "failed to remove what spec.retention says; it takes DELETE on the tables users, email_intents and \
         verify_emails"
    )]
    Store(#[from] StoreError),
    #[error("failed to remove what spec.retention says within {} s", STEP_TIMEOUT.as_secs())]
    Silent,
}

impl Housekeeping {
    /// Housekeeping of `store` as `live` says.
    pub(crate) fn new(store: Store, live: Live) -> Self {
        Self { store, live }
    }

    /// Runs until `stop`. Failures are logged once when they begin.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.keep_doing(Chore::Mails, &stop), self.keep_doing(Chore::Users, &stop));
    }

    async fn keep_doing(&self, chore: Chore, stop: &CancellationToken) {
        let (mut pause, mut has_failed) = (MIN_PAUSE, false);
        loop {
            let begin = Instant::now();
            let stepped = tokio::select! {
                stepped = tokio::time::timeout(STEP_TIMEOUT, self.step(chore, pause)) => {
                    stepped.unwrap_or(Err(ChoreError::Silent))
                }
                () = stop.cancelled() => return,
            };
            report_failure(stepped.as_ref().err(), has_failed);
            has_failed = stepped.is_err();
            let wait = match stepped {
                Ok(Some(step)) => {
                    metrics::counter!("signup_housekeeping_removed_total", "what" => chore.label())
                        .increment(step.removed);
                    pause = (begin.elapsed() * PAUSE_FACTOR).max(MIN_PAUSE);
                    if step.goes_on { pause } else { INTERVAL }
                }
                Ok(None) | Err(_) => INTERVAL,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// `None`: the configuration keeps everything, or it is another process's turn.
    async fn step(&self, chore: Chore, pause: Duration) -> Result<Option<Step>, ChoreError> {
        let document = self.live.document();
        let kept_for = match chore {
            Chore::Mails => self.mails(document.retention).await?,
            Chore::Users => document.retention.unverified_users,
        };
        let seconds = kept_for.map_or(0.0, |kept_for| kept_for.as_secs_f64());
        metrics::gauge!("signup_retention_seconds", "what" => chore.label()).set(seconds);
        let Some(kept_for) = kept_for else { return Ok(None) };
        let pace = |rows| Pace { rows, pause, interval: INTERVAL };
        Ok(match chore {
            // What cannot be clicked any more is all that goes, so that no step looks in vain at links that work.
            Chore::Mails => {
                self.store.remove_settled(kept_for.max(document.verification.link_ttl), pace(MAILS)).await?
            }
            Chore::Users => self.store.purge_unverified(kept_for, pace(USERS)).await?,
        })
    }

    async fn mails(&self, retention: Retention) -> Result<Option<Duration>, StoreError> {
        Ok(match retention.mails {
            Some(kept_for) => (!kept_for.is_zero()).then_some(kept_for),
            None => self.store.removes_settled_by_default().await?.then_some(MAILS_KEPT_BY_DEFAULT),
        })
    }
}

impl Chore {
    fn label(self) -> &'static str {
        match self {
            Self::Mails => "mails",
            Self::Users => "users",
        }
    }
}

/// Counted each time, logged when it begins.
fn report_failure(error: Option<&ChoreError>, failed_before: bool) {
    let Some(error) = error else { return };
    metrics::counter!("signup_housekeeping_failures_total").increment(1);
    if !failed_before {
        let cause = std::error::Error::source(error).map(chain);
        tracing::warn!(%error, cause, "nothing is removed for now; it is tried again every minute");
    }
}
