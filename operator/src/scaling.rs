//! How many workers there should be.
//!
//! Takes: the depth of the queues, the limits of the resource, how many workers run, and what the past allows. Gives: a
//! [`Decision`] with its reason in one sentence. Pure: no clock, no Redis, no processes. Does not: choose which worker
//! goes.
//!
//! The work counted is pending + active + what is due by now or within a worker's start-up time. Paused queues count
//! only what runs. Workers needed = work / concurrency, rounded up; then, in this order: never more than `maxReplicas`,
//! never fewer than `minReplicas`, no faster growth than `behavior.scaleUp` allows, no shrinking before the cool-down
//! is over and no faster than `behavior.scaleDown` allows, never fewer than what is busy.
//!
//! # Layout
//!
//! - `autoscaler`: one pipeline's decisions, poll by poll
//! - `drain`: which workers leave when there are too many
//! - `history`: what was recommended and done lately
//! - `speed`: the policies of `behavior`

mod autoscaler;
mod drain;
mod history;
mod speed;

pub use autoscaler::Autoscaler;
pub use drain::{Drain, Step};

use crate::crd::{autoscaling::AutoscalingMode, workload::Worker};
use queue::QueueState;

/// Depth of one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Tasks ready to run.
    pub pending: u64,
    /// Tasks that run.
    pub active: u64,
    /// Scheduled and retry tasks that are due now or within a worker's start-up time.
    pub due_soon: u64,
    /// Nothing is taken from it.
    pub paused: bool,
}

impl Depth {
    /// Of a queue that is `paused` in the resource, or by a tool in Redis.
    pub fn new(state: &QueueState, paused: bool) -> Self {
        let QueueState { pending, active, due_within, paused: paused_in_redis, .. } = *state;
        Self { pending, active, due_soon: due_within, paused: paused || paused_in_redis }
    }
}

/// What the resource allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Who decides.
    pub mode: AutoscalingMode,
    /// Fewest workers.
    pub min: u32,
    /// Most workers.
    pub max: u32,
    /// `worker.replicas`, for the modes that follow it.
    pub replicas: u32,
    /// Tasks that one worker runs at once; 0 counts as 1.
    pub concurrency: u32,
}

impl From<&Worker> for Limits {
    fn from(worker: &Worker) -> Self {
        let scaling = &worker.autoscaling;
        let replicas = worker.replicas.unwrap_or(scaling.min_replicas);
        // The schema keeps them all at 0 or above.
        let [min, max, replicas, concurrency] =
            [scaling.min_replicas, scaling.max_replicas, replicas, worker.concurrency].map(i32::unsigned_abs);
        Self { mode: scaling.mode, min, max, replicas, concurrency }
    }
}

/// What the past allows; by default everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// The most that was recommended within the window of shrinking.
    pub most: u32,
    /// What sets that window: [`LimitedBy::Cooldown`] or [`LimitedBy::ScaleDown`].
    pub window: LimitedBy,
    /// The fewest that was recommended within the window of growth, if there is one.
    pub fewest: Option<u32>,
    /// Workers up to which `behavior.scaleUp` allows growth now.
    pub grow_to: u32,
    /// Workers down to which `behavior.scaleDown` allows shrinking now.
    pub shrink_to: u32,
    /// `fallback.replicas`, once Redis has been silent for `fallback.after`.
    pub fallback: Option<u32>,
}

impl Default for Past {
    fn default() -> Self {
        Self { most: 0, window: LimitedBy::Cooldown, fewest: None, grow_to: u32::MAX, shrink_to: 0, fallback: None }
    }
}

/// What kept the number away from what the queue asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// `minReplicas`.
    MinReplicas,
    /// `maxReplicas`.
    MaxReplicas,
    /// `behavior.scaleUp`: its window or its policies.
    ScaleUp,
    /// More were needed within `cooldownPeriod`.
    Cooldown,
    /// `behavior.scaleDown`: its window or its policies.
    ScaleDown,
    /// Tasks that run are not cut.
    Busy,
}

impl LimitedBy {
    /// The field of `worker.autoscaling` that limits, or `busy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinReplicas => "minReplicas",
            Self::MaxReplicas => "maxReplicas",
            Self::ScaleUp => "behavior.scaleUp",
            Self::Cooldown => "cooldownPeriod",
            Self::ScaleDown => "behavior.scaleDown",
            Self::Busy => "busy",
        }
    }
}

/// The number of workers, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Workers wanted.
    pub desired: u32,
    /// Workers that the queue alone asks for.
    pub recommended: u32,
    /// The limit that made the difference.
    pub limited_by: Option<LimitedBy>,
    /// The decision in one sentence.
    pub explanation: String,
}

impl Decision {
    /// Turns into one that changes nothing, and says why.
    pub(crate) fn keep(&mut self, running: u32, explanation: &str) {
        (self.desired, self.limited_by) = (running, None);
        explanation.clone_into(&mut self.explanation);
    }
}

/// Decides. `depths` is `None` when Redis does not answer.
pub fn decide(depths: Option<&[Depth]>, limits: &Limits, running: u32, past: &Past) -> Decision {
    let recommended = depths.map(|depths| workers_for(work(depths), limits));
    let fixed = |desired, explanation| Decision {
        desired,
        recommended: recommended.unwrap_or(desired),
        limited_by: None,
        explanation,
    };
    match (limits.mode, depths) {
        (AutoscalingMode::Auto, Some(depths)) => follow(depths, limits, running, past),
        (AutoscalingMode::Auto, None) => {
            let (desired, explanation) = blind(limits, running, past);
            fixed(desired, explanation)
        }
        (AutoscalingMode::DryRun, Some(depths)) => {
            let Decision { desired, recommended, limited_by, explanation } = follow(depths, limits, running, past);
            let explanation =
                format!("worker.replicas is {}; Auto would have {desired}: {explanation}", limits.replicas);
            Decision { desired: limits.replicas, recommended, limited_by, explanation }
        }
        _ => fixed(limits.replicas, format!("worker.replicas is {}", limits.replicas)),
    }
}

/// Without an answer nothing is removed, and after a while `fallback.replicas` are there at least.
fn blind(limits: &Limits, running: u32, past: &Past) -> (u32, String) {
    let fallback = past.fallback.filter(|fallback| (*fallback).min(limits.max) >= running);
    match fallback {
        Some(fallback) => (
            fallback.min(limits.max).max(limits.min),
            format!("Redis has not answered for fallback.after; fallback.replicas is {fallback}"),
        ),
        None if running < limits.min => (limits.min, format!("Redis does not answer; minReplicas is {}", limits.min)),
        None => (running, "Redis does not answer, so the number stays as it is".into()),
    }
}

fn follow(depths: &[Depth], limits: &Limits, running: u32, past: &Past) -> Decision {
    let work = work(depths);
    let recommended = workers_for(work, limits);
    let busy = workers_for(active(depths), limits).min(running);
    // The past holds back changes only: up to what runs it allows growth, down to what runs it allows shrinking.
    let (grown, shrunk) = (running.max(limits.min), running.min(limits.max));
    let steps = [
        (LimitedBy::MaxReplicas, 0, limits.max),
        (LimitedBy::MinReplicas, limits.min, u32::MAX),
        (LimitedBy::ScaleUp, 0, past.fewest.unwrap_or(u32::MAX).min(past.grow_to).max(grown)),
        (past.window, past.most.min(shrunk), u32::MAX),
        (LimitedBy::ScaleDown, past.shrink_to.min(shrunk), u32::MAX),
        (LimitedBy::Busy, busy, u32::MAX),
    ];
    let (mut desired, mut limited_by) = (recommended, None);
    for (by, fewest, most) in steps {
        let bounded = desired.min(most).max(fewest);
        if bounded != desired {
            (desired, limited_by) = (bounded, Some(by));
        }
    }
    let explanation = explain(work, active(depths), recommended, limits, limited_by);
    Decision { desired, recommended, limited_by, explanation }
}

fn explain(work: u64, active: u64, recommended: u32, limits: &Limits, limited_by: Option<LimitedBy>) -> String {
    let counted = match work {
        0 => "nothing is due".to_owned(),
        work => {
            format!(
                "{work} running or due ({active} running), {} at once per worker: {recommended}",
                limits.concurrency
            )
        }
    };
    match limited_by {
        None => counted,
        Some(LimitedBy::MinReplicas) => format!("{counted}; minReplicas is {}", limits.min),
        Some(LimitedBy::MaxReplicas) => format!("{counted}; maxReplicas is {}", limits.max),
        Some(LimitedBy::ScaleUp) => format!("{counted}; behavior.scaleUp allows no more now"),
        Some(LimitedBy::Cooldown) => format!("{counted}; more were needed within cooldownPeriod"),
        Some(LimitedBy::ScaleDown) => format!("{counted}; behavior.scaleDown allows no fewer now"),
        Some(LimitedBy::Busy) => format!("{counted}; busy workers are not stopped"),
    }
}

fn work(depths: &[Depth]) -> u64 {
    let waiting = depths.iter().filter(|depth| !depth.paused).map(|depth| depth.pending.saturating_add(depth.due_soon));
    waiting.fold(active(depths), u64::saturating_add)
}

fn active(depths: &[Depth]) -> u64 {
    depths.iter().map(|depth| depth.active).fold(0, u64::saturating_add)
}

fn workers_for(tasks: u64, limits: &Limits) -> u32 {
    u32::try_from(tasks.div_ceil(limits.concurrency.max(1).into())).unwrap_or(u32::MAX)
}
