//! How many workers there should be.
//!
//! Takes: the depth of the queues, the limits of the resource, and how many workers run. Gives: a [`Decision`] with its
//! reason in one sentence. Pure: no clock, no Redis, no processes. Does not: choose which worker goes.
//!
//! The work counted is pending + active + what is due by now or within a worker's start-up time. Paused queues count only
//! what runs. Workers needed = work / concurrency, rounded up; then, in this order: never more than `maxReplicas`, never
//! fewer than `minReplicas`, no shrinking before the cool-down is over, never fewer than what is busy.

use crate::crd::{autoscaling::AutoscalingMode, workload::Worker};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

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

/// What kept the number away from what the queue asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// `minReplicas`.
    MinReplicas,
    /// `maxReplicas`.
    MaxReplicas,
    /// More were needed within `cooldownPeriod`.
    Cooldown,
    /// Tasks that run are not cut.
    Busy,
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

/// Decides. `depths` is `None` when Redis does not answer; `recent` is the most that was recommended within the cool-down.
pub fn decide(depths: Option<&[Depth]>, limits: &Limits, running: u32, recent: u32) -> Decision {
    let recommended = depths.map(|depths| workers_for(work(depths), limits));
    let fixed = |desired, explanation| Decision {
        desired,
        recommended: recommended.unwrap_or(desired),
        limited_by: None,
        explanation,
    };
    match (limits.mode, depths) {
        (AutoscalingMode::Auto, Some(depths)) => follow(depths, limits, running, recent),
        (AutoscalingMode::Auto, None) => {
            fixed(running.clamp(limits.min, limits.max), "Redis does not answer, so the number stays as it is".into())
        }
        (AutoscalingMode::DryRun, Some(depths)) => {
            let auto = follow(depths, limits, running, recent);
            fixed(
                limits.replicas,
                format!("worker.replicas is {}; Auto would say: {}", limits.replicas, auto.explanation),
            )
        }
        _ => fixed(limits.replicas, format!("worker.replicas is {}", limits.replicas)),
    }
}

fn follow(depths: &[Depth], limits: &Limits, running: u32, recent: u32) -> Decision {
    let work = work(depths);
    let recommended = workers_for(work, limits);
    let busy = workers_for(active(depths), limits).min(running);
    let mut desired = recommended;
    let mut limited_by = None;
    let mut limit = |candidate: u32, by| {
        if candidate != desired {
            (desired, limited_by) = (candidate, Some(by));
        }
        desired
    };
    let bounded = limit(recommended.min(limits.max), LimitedBy::MaxReplicas);
    let bounded = limit(bounded.max(limits.min), LimitedBy::MinReplicas);
    let held = bounded.max(recent.min(running).min(limits.max));
    let bounded = limit(held, LimitedBy::Cooldown);
    let desired = limit(bounded.max(busy), LimitedBy::Busy);
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
        Some(LimitedBy::Cooldown) => format!("{counted}; more were needed within cooldownPeriod"),
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

/// Recommendations of the cool-down period.
#[derive(Debug, Default)]
pub struct Recommendations(VecDeque<(Instant, u32)>);

impl Recommendations {
    /// The most that was recommended within `period` before `now`; 0 when nothing was.
    pub fn most_within(&mut self, period: Duration, now: Instant) -> u32 {
        self.0.retain(|(at, _)| now.saturating_duration_since(*at) < period);
        self.0.iter().map(|(_, recommended)| *recommended).max().unwrap_or(0)
    }

    /// Remembers a recommendation; smaller ones before it will never count again and are forgotten.
    pub fn add(&mut self, recommended: u32, now: Instant) {
        while self.0.back().is_some_and(|(_, earlier)| *earlier <= recommended) {
            self.0.pop_back();
        }
        self.0.push_back((now, recommended));
    }
}
