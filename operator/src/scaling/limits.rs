//! What the resource and the past allow.
//!
//! Takes: the resource. Gives: [`Limits`]; [`Past`] is filled in by `autoscaler`. Does not: apply them; `bounds` does.

use super::LimitedBy;
use crate::crd::{
    SignupPipelineSpec,
    autoscaling::{AutoscalingMode, ScalingRules},
    mail::Smtp,
    workload::Worker,
};
use std::time::Duration;

/// What the resource allows.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Longest wait aimed at, for queues without their own.
    pub target: Duration,
    /// A queue is served only when all of higher priority are empty.
    pub strict: bool,
    /// The band in which the number stays.
    pub tolerances: Tolerances,
    /// What the mail server takes, as the resource says.
    pub mail: MailLimits,
}

impl Limits {
    /// Of an empty resource, for hand-made cases.
    pub const DEFAULT: Self = Self {
        mode: AutoscalingMode::Auto,
        min: 1,
        max: 10,
        replicas: 1,
        concurrency: 16,
        target: Duration::from_secs(10),
        strict: false,
        tolerances: Tolerances::DEFAULT,
        mail: MailLimits { connections: None, per_second: None },
    };

    /// Tasks that one worker runs at once.
    pub(super) fn slots(&self) -> f64 {
        self.concurrency.max(1).into()
    }
}

/// How far the demand may be from what the workers are meant to carry before their number changes, as a fraction
/// (autoscaling/v2, `HPAScalingRules.tolerance`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Of more demand.
    pub up: f64,
    /// Of less demand.
    pub down: f64,
}

impl Tolerances {
    /// With 90 % of the slots meant to be busy: 97 % and 75 % of them.
    pub const DEFAULT: Self = Self { up: 0.97 / 0.9 - 1.0, down: 1.0 - 0.75 / 0.9 };
}

/// What the mail server takes from all workers together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailLimits {
    /// `mail.smtp.maxConnections`.
    pub connections: Option<u32>,
    /// `mail.smtp.maxPerSecond`.
    pub per_second: Option<u32>,
}

impl From<&Worker> for Limits {
    fn from(worker: &Worker) -> Self {
        let scaling = &worker.autoscaling;
        let replicas = worker.replicas.unwrap_or(scaling.min_replicas);
        // The schema keeps them all at 0 or above.
        let [min, max, replicas, concurrency] =
            [scaling.min_replicas, scaling.max_replicas, replicas, worker.concurrency].map(i32::unsigned_abs);
        let behavior = scaling.behavior.as_ref();
        let tolerance = |rules: Option<&ScalingRules>| rules.and_then(|rules| rules.tolerance);
        let tolerances = Tolerances {
            up: tolerance(behavior.and_then(|both| both.scale_up.as_ref())).unwrap_or(Tolerances::DEFAULT.up),
            down: tolerance(behavior.and_then(|both| both.scale_down.as_ref())).unwrap_or(Tolerances::DEFAULT.down),
        };
        let target = scaling.target_latency.get();
        Self { mode: scaling.mode, min, max, replicas, concurrency, target, tolerances, ..Self::DEFAULT }
    }
}

impl From<&SignupPipelineSpec> for Limits {
    fn from(spec: &SignupPipelineSpec) -> Self {
        let Smtp { max_connections, max_per_second, .. } = &spec.mail.smtp;
        let mail = MailLimits {
            connections: max_connections.map(i32::unsigned_abs),
            per_second: max_per_second.map(i32::unsigned_abs),
        };
        Self { strict: spec.strict_priority, mail, ..Self::from(&spec.worker) }
    }
}

/// What the past allows and taught; by default everything, and nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Counters of Redis went backwards within the window of shrinking, or the last minute.
    pub reset: bool,
    /// Time that a worker needs from its start to its first task.
    pub startup: Duration,
    /// What is left of it for workers that were asked for already.
    pub starting: Duration,
    /// How far ahead the schedule is respected before a worker is removed; 0: not at all.
    pub ahead: Duration,
    /// Share of the latest attempts that failed, 0 to 1; 0 while there were few.
    pub failing: f64,
    /// The last growths did not help.
    pub ineffective: bool,
    /// Workers that were asked for have had the time of several starts, and have not started.
    pub not_starting: bool,
    /// Every worker was told by the mail server to open no more connections: so many in all.
    pub mail_connections: Option<u32>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            most: 0,
            window: LimitedBy::Cooldown,
            fewest: None,
            grow_to: u32::MAX,
            shrink_to: 0,
            fallback: None,
            reset: false,
            startup: Duration::ZERO,
            starting: Duration::ZERO,
            ahead: Duration::ZERO,
            failing: 0.0,
            ineffective: false,
            not_starting: false,
            mail_connections: None,
        }
    }
}
