//! `spec.task` and `spec.queues`: when a mail is sent, how often it is tried, and which queue it waits in.
//!
//! Takes and gives: the fields as written in the resource. Does not: know how the queue works.

#![expect(unreachable_pub, reason = "KubeSchema derives a hidden copy of each struct inside a function")]

use super::{forms, time_span::TimeSpan};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Policy of the verification mails, copied into each mail at signup: an edit changes new signups only.
/// `backoff` alone follows at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Time between the commit of a signup and its mail; 0s to 24h.
    pub delay: TimeSpan<0, 86_400>,
    /// Attempts after the first one that may fail before the mail is given up; 0 to 100. Trouble of the mail server
    /// (down, busy, misconfigured) does not count.
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: i32,
    /// Name of the queue that the mails wait in; one of `queues`.
    #[schemars(schema_with = "forms::queue_name")]
    pub queue: String,
    /// How long after its delay a mail that could not be sent is given up; 1m to 30 days (720h).
    pub deadline: TimeSpan<60, 2_592_000>,
    /// Time limit of one attempt, from its turn under `maxPerSecond`; 1s to 10m.
    pub timeout: TimeSpan<1, 600>,
    /// Waiting time between attempts.
    pub backoff: Backoff,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            delay: TimeSpan::from_secs(10),
            max_retries: 10,
            queue: "critical".into(),
            deadline: TimeSpan::from_secs(72 * 3600),
            timeout: TimeSpan::from_secs(30),
            backoff: Backoff::default(),
        }
    }
}

/// Waiting time between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// Upper bound of the first wait; 1s to 1h.
    pub initial: TimeSpan<1, 3600>,
    /// Upper bound of every wait; 1s to 24h.
    pub max: TimeSpan<1, 86_400>,
    /// How the wait grows.
    pub formula: BackoffFormula,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: TimeSpan::from_secs(15), max: TimeSpan::from_secs(30 * 60), formula: BackoffFormula::Jitter }
    }
}

/// How the wait between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackoffFormula {
    /// Full-jitter exponential: uniform between 0 and `initial` * 2^n, at most `max`.
    Jitter,
    /// asynq's own: n^4 + 15 + rand(0..29) * (n + 1) seconds.
    Asynq,
}

/// One queue of asynq's layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.priority >= 1")
        .message("priority must be 1 or more; to stop taking from a queue, set paused: true")
        .field_path(".priority")
)]
pub struct Queue {
    /// Name, as asynq's tools show it.
    #[schemars(schema_with = "forms::queue_name")]
    pub name: String,
    /// Weight among the queues (or rank, with `strictPriority`); 1 to 1000. Higher is served more often.
    #[schemars(range(max = 1000))]
    pub priority: i32,
    /// True: nothing is taken from this queue; its tasks wait. Absent: false. It has no default in the definition, for
    /// one inside a list is a difference that GitOps tools would see for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Longest wait of a due task of this queue that the number of workers aims at; 1s to 1h. Absent:
    /// `worker.autoscaling.targetLatency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_latency: Option<TimeSpan<1, 3600>>,
}

/// asynq's usual pair: `critical` for the mails, `default` for everything else.
pub(super) fn default_queues() -> Vec<Queue> {
    [("critical", 10), ("default", 5)]
        .map(|(name, priority)| Queue { name: name.into(), priority, paused: false, target_latency: None })
        .into()
}
