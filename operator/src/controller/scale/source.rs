//! The Redis of one pipeline, as its evaluation sees it.
//!
//! Takes: what a reconcile knows. Gives: readings of the queues, or why there are none. Does not: keep a connection of
//! its own; `servers` has one for all pipelines of a server and login.

use super::{
    Inputs, redis,
    schedule::Interest,
    server::{Reading, Subscription},
    servers::{Account, Servers},
};
use crate::{controller::reason::Finding, crd::SignupPipelineSpec};
use jiff::{SignedDuration, Timestamp};
use queue::{QueueReading, Untracked};
use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

/// The queues, or why Redis could not be asked.
pub(super) type Queues = Result<Vec<(String, QueueReading)>, Finding>;

/// What a reading says.
pub(super) struct Seen {
    pub(super) queues: Queues,
    /// Some queues could not be read while others could.
    pub(super) partial: Option<Finding>,
    /// Why Redis does not tell of changes.
    pub(super) untracked: Option<Untracked>,
    /// Seconds by which the clock of Redis is ahead of ours; below 0: behind it.
    pub(super) clock_ahead_s: Option<f64>,
}

/// A subscription that follows the resource.
#[derive(Default)]
pub(super) struct Source {
    subscribed: Option<(Account, Subscription)>,
    interest: Option<Interest>,
    /// Which database was asked last, also while nobody knows which it is; a password is no part of it.
    database: Option<String>,
    /// Why there is none.
    refused: Option<Finding>,
    /// What the last error meant.
    trouble: Option<(String, Finding)>,
}

impl Source {
    /// Takes over what a reconcile found; tasks that come due `ahead` of now count as due. True: another database than
    /// before is read from now on.
    pub(super) fn follow(&mut self, servers: &Servers, inputs: &Inputs, ahead: Duration) -> bool {
        let followed = inputs.endpoint.account().and_then(|(account, database)| {
            let interest = interest(&inputs.pipeline.spec, database, ahead);
            self.interest = Some(interest.clone());
            match self.subscribed.take().filter(|(known, _)| *known == account) {
                Some((account, subscription)) => {
                    subscription.ask(&interest);
                    Ok((account, subscription))
                }
                None => {
                    let subscription = servers.subscribe(&account, interest);
                    let subscription = subscription.map_err(|error| inputs.endpoint.unusable(&error))?;
                    Ok((account, subscription))
                }
            }
        });
        (self.subscribed, self.refused) = match followed {
            Ok(subscribed) => (Some(subscribed), None),
            Err(finding) => (None, Some(finding)),
        };
        let Some(database) = inputs.endpoint.database() else { return false };
        let before = self.database.replace(database);
        before.is_some() && before != self.database
    }

    /// The newest reading of what is asked now; waits for the first. `None` where nobody can be asked.
    pub(super) async fn latest(&mut self) -> Option<Arc<Reading>> {
        let (_, subscription) = self.subscribed.as_mut()?;
        let mut latest = subscription.latest();
        loop {
            match latest {
                Some(reading) if self.interest.as_ref() == Some(&reading.interest) => return Some(reading),
                _ => latest = Some(subscription.next().await?),
            }
        }
    }

    /// Waits for another reading.
    pub(super) async fn changed(&mut self) {
        let next = match &mut self.subscribed {
            Some((_, subscription)) => subscription.next().await,
            None => None,
        };
        // Without a source nothing changes but the inputs.
        if next.is_none() {
            pending::<()>().await;
        }
    }

    /// What a reading says, with the reason of an error, which is looked for once.
    pub(super) async fn queues(&mut self, inputs: &Inputs, reading: Option<&Reading>) -> Seen {
        let Some(Reading { queues, unread, untracked, at, .. }) = reading else {
            let refused = self.refused.clone().unwrap_or_else(super::not_asked);
            return Seen { queues: Err(refused), partial: None, untracked: None, clock_ahead_s: None };
        };
        let untracked = *untracked;
        match queues {
            Ok(queues) => {
                self.trouble = None;
                let partial = unread.first().map(|(queue, error)| redis::unreadable(queue, error));
                Seen { queues: Ok(queues.clone()), partial, untracked, clock_ahead_s: clock_ahead_s(queues, *at) }
            }
            Err(error) => {
                // It may hold an address, so it is compared and not shown.
                let words = pipeline::chain(error);
                let known = self.trouble.take().filter(|(known, _)| *known == words);
                let finding = match known {
                    Some((_, finding)) => finding,
                    None => inputs.endpoint.trouble(error).await,
                };
                self.trouble = Some((words, finding.clone()));
                Seen { queues: Err(finding), partial: None, untracked, clock_ahead_s: None }
            }
        }
    }
}

/// Without what the answer took on its way.
fn clock_ahead_s(queues: &[(String, QueueReading)], answered: Instant) -> Option<f64> {
    let (_, reading) = queues.first()?;
    let ours = Timestamp::now() - SignedDuration::try_from(answered.elapsed()).ok()?;
    Some(reading.at.duration_since(ours).as_secs_f64())
}

fn interest(spec: &SignupPipelineSpec, database: i64, ahead: Duration) -> Interest {
    Interest {
        database,
        queues: spec.queues.iter().map(|queue| queue.name.clone()).collect(),
        // Redis counts by whole seconds.
        ahead: Duration::from_secs(ahead.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
        poll_interval: spec.worker.autoscaling.poll_interval.get(),
    }
}
