//! What is decided.
//!
//! Gives: the types. Does not: decide.

use super::Terms;

/// What kept the number away from what the queue asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// Most attempts fail; more workers would only fail more often.
    RetryStorm,
    /// The last growths brought nothing.
    Ineffective,
    /// Workers that were asked for long ago have not started.
    NotStarting,
    /// The mail server takes no more.
    Mail,
    /// `minReplicas`.
    MinReplicas,
    /// `maxReplicas`.
    MaxReplicas,
    /// `behavior.scaleUp`: its window or its policies.
    ScaleUp,
    /// More were needed within `cooldownPeriod`.
    Cooldown,
    /// More will be needed within `cooldownPeriod`, by the schedule.
    LookAhead,
    /// A queue could not be read.
    MissingQueue,
    /// `behavior.scaleDown`: its window or its policies.
    ScaleDown,
    /// Tasks that run are not cut.
    Busy,
}

impl LimitedBy {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::RetryStorm,
        Self::Ineffective,
        Self::NotStarting,
        Self::Mail,
        Self::MinReplicas,
        Self::MaxReplicas,
        Self::ScaleUp,
        Self::Cooldown,
        Self::LookAhead,
        Self::MissingQueue,
        Self::ScaleDown,
        Self::Busy,
    ];

    /// The field of `worker.autoscaling` that limits, or a word for what else does.
    pub fn name(self) -> &'static str {
        match self {
            Self::RetryStorm => "retryStorm",
            Self::Ineffective => "ineffective",
            Self::NotStarting => "notStarting",
            Self::Mail => "mail",
            Self::MinReplicas => "minReplicas",
            Self::MaxReplicas => "maxReplicas",
            Self::ScaleUp => "behavior.scaleUp",
            Self::Cooldown => "cooldownPeriod",
            Self::LookAhead => "lookAhead",
            Self::MissingQueue => "missingQueue",
            Self::ScaleDown => "behavior.scaleDown",
            Self::Busy => "busy",
        }
    }
}

/// What else makes the number what it is.
pub(crate) const FALLBACK: &str = "fallback";
pub(crate) const QUEUES: &str = "queues";

/// Why a decision does not follow the queues as it does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Redis has not answered for `fallback.after`.
    Fallback,
    /// Counters or the clock of Redis went backwards: what was learnt before is forgotten.
    CounterReset,
}

/// The number of workers, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Workers wanted.
    pub desired: u32,
    /// Workers that the queue alone asks for.
    pub recommended: u32,
    /// The limit that made the difference.
    pub limited_by: Option<LimitedBy>,
    /// What it lacks.
    pub gap: Option<Gap>,
    /// The decision in one sentence.
    pub explanation: String,
    /// What it was computed from; `None` when Redis did not answer.
    pub terms: Option<Terms>,
}

impl Decision {
    /// What made the number what it is: the limit, else `fallback` or `queues`.
    pub(crate) fn by(&self) -> &'static str {
        match (self.limited_by, self.gap) {
            (Some(limit), _) => limit.name(),
            (None, Some(Gap::Fallback)) => FALLBACK,
            (None, Some(Gap::CounterReset) | None) => QUEUES,
        }
    }

    /// Turns into one that changes nothing, and says why.
    pub(crate) fn keep(&mut self, running: u32, explanation: &str) {
        (self.desired, self.limited_by) = (running, None);
        explanation.clone_into(&mut self.explanation);
    }
}
