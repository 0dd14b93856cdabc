//! `spec.worker.autoscaling`: how the number of workers follows the queue.
//!
//! Takes and gives: the fields as written in the resource. `behavior` has the shape of the HorizontalPodAutoscaler's.
//! Does not: decide anything; `scaling` does.

use super::time_span::TimeSpan;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// How the number of workers follows the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaling {
    /// Who decides the number of workers. Write "Off" in quotes: YAML reads a bare Off as false.
    pub mode: AutoscalingMode,
    /// Fewest workers; 0 to 1000. With 0, workers start when a mail comes due.
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: i32,
    /// Most workers; 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Longest wait of a due mail that the number of workers aims at; 1s to 1h. `queues[].targetLatency` is one queue's
    /// own.
    pub target_latency: TimeSpan<1, 3600>,
    /// Work that is known to come due soon.
    pub look_ahead: LookAhead,
    /// Speed limits, as in the HorizontalPodAutoscaler's `behavior`. A direction left out has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// Longest time between two reads of the queues; 1s to 10m. They are read at once when Redis tells of a change, and
    /// every second where it does not tell.
    pub poll_interval: TimeSpan<1, 600>,
    /// Time that fewer workers must have been enough before workers are removed; 0s to 1h.
    pub cooldown_period: TimeSpan<0, 3600>,
    /// How workers leave.
    pub drain: Drain,
    /// Fewest workers when Redis cannot be asked for long. Without it, and until then, the number stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

impl Default for Autoscaling {
    fn default() -> Self {
        Self {
            mode: AutoscalingMode::Auto,
            min_replicas: 1,
            max_replicas: 10,
            target_latency: TimeSpan::from_secs(10),
            look_ahead: LookAhead::default(),
            behavior: None,
            poll_interval: TimeSpan::from_secs(10),
            cooldown_period: TimeSpan::from_secs(60),
            drain: Drain::default(),
            fallback: None,
        }
    }
}

/// How workers leave: they are asked to take no more mails, idle ones first, and are stopped when they are idle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drain {
    /// Longest wait for a worker's last mail; 0s to 24h. After it the worker is stopped, and what it does not finish
    /// within `shutdownGracePeriod` is sent by another.
    pub timeout: TimeSpan<0, 86_400>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout: TimeSpan::from_secs(600) }
    }
}

/// Who decides the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalingMode {
    /// The operator, by the work that is due.
    Auto,
    /// `worker.replicas`; what Auto would do is reported only.
    DryRun,
    /// Somebody else, through the scale subresource (`kubectl scale`, a HorizontalPodAutoscaler). `operator local` has
    /// none and uses `worker.replicas`.
    External,
    /// `worker.replicas`.
    Off,
}

/// Work that is known to come due soon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LookAhead {
    /// True: tasks that come due within the start-up time count like due ones, and no worker is removed that the
    /// schedule needs again within `cooldownPeriod`.
    pub enabled: bool,
    /// Time a worker needs from its start to its first mail; 0s to 10m. The first guess: the operator learns it.
    pub startup_time: TimeSpan<0, 600>,
}

impl Default for LookAhead {
    fn default() -> Self {
        Self { enabled: true, startup_time: TimeSpan::from_secs(10) }
    }
}

/// Speed limits of scaling (autoscaling/v2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Behavior {
    /// Limits of growth; window 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,
    /// Limits of shrinking; window `cooldownPeriod` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Speed limits in one direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingRules {
    /// Seconds over which past recommendations are considered; 0 to 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// Which of `policies` counts: the largest change (Max), the smallest (Min), or none is allowed (Disabled).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<PolicySelection>,
    /// Changes allowed. None: the HorizontalPodAutoscaler's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub policies: Vec<ScalingPolicy>,
    /// How far the demand may be from what the workers are meant to carry (90 % of their slots) before their number
    /// changes in this direction, as a fraction such as 0.1; 0 to 1. Absent: 0.08 for growth, 0.17 for shrinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fraction")]
    pub tolerance: Option<f64>,
}

/// A number whose format the API server knows without a word for it.
fn fraction(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": 0, "maximum": 1})
}

/// Which policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicySelection {
    /// The largest change.
    Max,
    /// The smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One allowed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicy {
    /// Unit of `value`.
    #[serde(rename = "type")]
    pub kind: ScalingPolicyType,
    /// Workers, or per cent of the workers; 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub value: i32,
    /// Seconds in which the change is allowed once; 1 to 1800.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// Unit of a policy's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingPolicyType {
    /// A number of workers.
    Pods,
    /// Per cent of the workers.
    Percent,
}

/// Fewest workers when Redis cannot be asked for long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Workers; 0 to 1000.
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Time without an answer after which it applies; 10s to 1h.
    #[serde(default = "three_minutes")]
    pub after: TimeSpan<10, 3600>,
}

fn three_minutes() -> TimeSpan<10, 3600> {
    TimeSpan::from_secs(180)
}
