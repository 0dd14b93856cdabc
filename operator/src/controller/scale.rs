//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment,
//! which `replicas` writes, and a [`Scaling`] for the status. Does not: shrink anything while Redis does not answer,
//! before a cool-down that began with the first evaluation, or while the pipeline is paused.
//!
//! Each pipeline has an [`Evaluation`] of its own, begun by its first reconcile and ended with its state: no reconcile
//! is waited for to scale, and none is made while nothing changes that the status shows.
//!
//! # Layout
//!
//! - `evaluation`: when; `scaler`: one evaluation
//! - `endpoint`: which Redis; `redis`: why it cannot be read
//! - `replicas`: the write

mod endpoint;
mod evaluation;
mod redis;
mod replicas;
mod scaler;

pub(super) use self::{
    endpoint::Endpoint,
    evaluation::{Evaluation, Surroundings},
};

use self::scaler::Scaler;
use super::reason::{self, Finding};
use crate::{crd::SignupPipeline, scaling::Decision};
use jiff::Timestamp;
use queue::QueueState;
use std::sync::Arc;

/// What a reconcile knows of a pipeline.
pub(super) struct Inputs {
    pub(super) pipeline: Arc<SignupPipeline>,
    pub(super) endpoint: Endpoint,
    /// Another pipeline uses the same Redis database.
    pub(super) shared: Option<Finding>,
}

/// What an evaluation came to.
#[derive(Debug)]
pub struct Scaling {
    /// The queues, or why Redis could not be asked.
    pub queues: Result<Vec<(String, QueueState)>, Finding>,
    /// The decision; `None` when the operator does not decide.
    pub decision: Option<Decision>,
    /// The number was changed: from, to.
    pub changed: Option<(u32, u32)>,
    /// When this process changed the number last.
    pub scaled_at: Option<Timestamp>,
    /// The number that was written, now or just before, while the observed Deployment still has another.
    pub awaited: Option<u32>,
    /// Why a decision does not hold.
    pub trouble: Option<Finding>,
}

impl Scaling {
    /// Before the first evaluation.
    pub(super) fn not_known() -> Self {
        let queues = Err(Finding::with_default_fix(reason::NOT_KNOWN, "Redis was not asked yet"));
        Self { queues, decision: None, changed: None, scaled_at: None, awaited: None, trouble: None }
    }

    /// Whether the status has to tell `newer` at once.
    fn differs(&self, newer: &Self) -> bool {
        let desired = |scaling: &Self| scaling.decision.as_ref().map(|decision| decision.desired);
        self.queues.as_ref().err() != newer.queues.as_ref().err()
            || desired(self) != desired(newer)
            || self.scaled_at != newer.scaled_at
            || self.trouble != newer.trouble
    }

    /// Whether the status would show other figures.
    fn figures_differ(&self, newer: &Self) -> bool {
        let decided = |scaling: &Self| scaling.decision.clone().map(|decision| decision.explanation);
        self.queues != newer.queues || decided(self) != decided(newer)
    }
}

/// `spec.replicas` of a Deployment.
pub fn replicas(deployment: &kube::api::DynamicObject) -> Option<u32> {
    deployment.data.pointer("/spec/replicas")?.as_u64()?.try_into().ok()
}
