//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment,
//! which `replicas` writes, and a [`Scaling`] for the status. Does not: shrink anything while Redis does not answer,
//! before a cool-down that began with the first evaluation, or while the pipeline is paused.
//!
//! Each pipeline has an `Evaluation` of its own, begun by its first reconcile and ended with its state: no reconcile
//! is waited for to scale, and none is made while nothing changes that the status shows.
//!
//! # Layout
//!
//! - `evaluation`: when; `scaler`: one evaluation; `replicas`: the write
//! - `endpoint`: which Redis; `source`: what a pipeline learns of it; `redis`: why it cannot be read
//! - `servers`: one connection for all pipelines of a login; `server`: reads for them; `schedule`: when; `pace`;
//!   `backoff`
//! - `presence`: who else uses the database
//! - `tally`: decisions and changes, counted
//! - `ended`: workers that are known to have ended; `leaving`: those that are too many; `unserved`: queues without any

mod backoff;
mod ended;
mod endpoint;
mod evaluation;
mod leaving;
mod pace;
mod presence;
mod redis;
mod replicas;
mod scaler;
mod schedule;
mod server;
mod servers;
mod source;
mod tally;
mod unserved;

pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::presence::{known_as, shares_with};
pub(super) use self::tally::REPLICAS;
pub(super) use self::{
    ended::EndedWorkers,
    evaluation::{Evaluation, Surroundings},
    servers::Servers,
};

use self::scaler::Scaler;
use super::{
    reason::{self, Finding},
    status::figures,
};
use crate::{
    crd::SignupPipeline,
    scaling::{Decision, Gap, LimitedBy},
};
use jiff::Timestamp;
use queue::{QueueState, Untracked};
use std::{sync::Arc, time::Duration};

/// The API server may never answer: kube has no read timeout.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// What a reconcile knows of a pipeline.
pub(super) struct Inputs {
    pub(super) pipeline: Arc<SignupPipeline>,
    pub(super) endpoint: Endpoint,
    /// By what it is known to others that use the same Redis.
    pub(super) known_as: String,
    /// Another pipeline uses the same Redis database.
    pub(super) shared: Option<Finding>,
    /// Connections that the mail server lets all workers together have; `None` while one of them knows no limit.
    pub(super) mail_connections: Option<u32>,
}

/// What an evaluation came to.
#[derive(Debug)]
pub struct Scaling {
    /// The queues, or why Redis could not be asked.
    pub queues: Result<Vec<(String, QueueState)>, Finding>,
    /// Why Redis does not tell of changes, so that it is polled.
    pub untracked: Option<Untracked>,
    /// Seconds by which the clock of Redis is ahead of the operator's.
    pub clock_ahead_s: Option<f64>,
    /// The decision; `None` when the operator does not decide.
    pub decision: Option<Decision>,
    /// Workers that there are to be now, as observed or written since.
    pub running: Option<u32>,
    /// The number was changed: from, to.
    pub changed: Option<(u32, u32)>,
    /// When this process changed the number last.
    pub scaled_at: Option<Timestamp>,
    /// The number that was written, now or just before, while the observed Deployment still has another.
    pub awaited: Option<u32>,
    /// Workers that are too many and have not left yet.
    pub leaving: u32,
    /// Why the number is not the operator's, could not be written, or does not fall as it should.
    pub refused: Option<Finding>,
    /// Another pipeline uses the same Redis database.
    pub shared: Option<Finding>,
    /// The access list of Redis forbids to look whether one does.
    pub is_presence_forbidden: bool,
    /// It forbids to ask workers that are too many to take no more tasks, so they are stopped as they are.
    pub is_drain_forbidden: bool,
    /// Some queues could not be read, or no worker takes from them.
    pub partial: Option<Finding>,
    /// What keeps workers away that the work asks for.
    pub limited: Option<LimitedBy>,
}

impl Scaling {
    /// Before the first evaluation.
    pub(super) fn not_known() -> Self {
        Self {
            queues: Err(not_asked()),
            untracked: None,
            clock_ahead_s: None,
            decision: None,
            running: None,
            changed: None,
            scaled_at: None,
            awaited: None,
            leaving: 0,
            refused: None,
            shared: None,
            is_presence_forbidden: false,
            is_drain_forbidden: false,
            partial: None,
            limited: None,
        }
    }

    /// What the decision lacks.
    pub(super) fn gap(&self) -> Option<Gap> {
        self.decision.as_ref().and_then(|decision| decision.gap)
    }

    /// The first thing that is wrong with it.
    pub(super) fn trouble(&self) -> Option<&Finding> {
        self.refused.as_ref().or(self.shared.as_ref()).or(self.partial.as_ref())
    }

    /// Whether time alone changes nothing: nothing waits or runs, and there is nothing to remove, to add or to write.
    fn is_settled(&self) -> bool {
        let is_idle = |(_, state): &(String, QueueState)| state.pending + state.active + state.due == 0;
        let is_minimal = self.decision.as_ref().is_none_or(|decision| decision.desired == decision.recommended);
        let is_written = self.awaited.is_none() && self.trouble().is_none() && self.leaving == 0;
        self.queues.as_ref().is_ok_and(|queues| queues.iter().all(is_idle)) && is_minimal && is_written
    }

    /// Whether the status has to tell `newer` at once.
    fn differs(&self, newer: &Self) -> bool {
        let desired = |scaling: &Self| scaling.decision.as_ref().map(|decision| decision.desired);
        self.queues.as_ref().err() != newer.queues.as_ref().err()
            || self.untracked != newer.untracked
            || desired(self) != desired(newer)
            || self.scaled_at != newer.scaled_at
            || self.gap() != newer.gap()
            || (&self.refused, &self.shared, &self.partial) != (&newer.refused, &newer.shared, &newer.partial)
            || self.limited != newer.limited
            || (self.is_presence_forbidden, self.is_drain_forbidden)
                != (newer.is_presence_forbidden, newer.is_drain_forbidden)
    }

    /// Whether the status would show other figures.
    fn figures_differ(&self, newer: &Self) -> bool {
        let limited = |scaling: &Self| scaling.decision.as_ref().map(|decision| decision.limited_by);
        let are_same = match (&self.queues, &newer.queues) {
            (Ok(before), Ok(after)) => figures::are_same(before, after),
            (before, after) => before.is_err() && after.is_err(),
        };
        !are_same || limited(self) != limited(newer)
    }
}

fn not_asked() -> Finding {
    Finding::with_default_fix(reason::NOT_KNOWN, "Redis was not asked yet")
}

/// `spec.replicas` of a Deployment.
pub fn replicas(deployment: &kube::api::DynamicObject) -> Option<u32> {
    deployment.data.pointer("/spec/replicas")?.as_u64()?.try_into().ok()
}
