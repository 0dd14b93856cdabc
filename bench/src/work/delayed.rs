//! How late a delayed task starts, ours and asynq with its default settings.
//!
//! 200 tasks a round are scheduled at once, due at random within ten seconds, and the worker is idle between them.
//! asynq stores due times in whole seconds, so its lateness can be negative: a task that runs early.

use super::{Round, latency::waits};
use crate::{
    figure::{Better, Goal, Measured, Target, Unit},
    peers::Peers,
};

pub(super) const GOALS: [Goal; 2] = [
    goal("delayed_p50", "lateness of a delayed task: p50", 10.0),
    goal("delayed_p99", "lateness of a delayed task: p99", 50.0),
];

const fn goal(key: &'static str, work: &'static str, at_most_ms: f64) -> Goal {
    Goal { key, work, unit: Unit::Milliseconds, better: Better::Lower, target: Target::AtMost(at_most_ms) }
}

pub(super) async fn measure(peers: &Peers, round: Round) -> anyhow::Result<Vec<Measured>> {
    let [ours, asynq] = waits(peers, round, &["delayed", "--tasks", "200", "--spread-ms", "10000"]).await?;
    Ok(vec![
        Measured::against("delayed_p50", ours.at(0.5)?, asynq.at(0.5)?),
        Measured::against("delayed_p99", ours.at(0.99)?, asynq.at(0.99)?),
    ])
}
