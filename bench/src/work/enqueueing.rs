//! Tasks enqueued per second by one process, with one caller and with eight, one by one and in batches.
//!
//! asynq v0.26.0 has no batch, so both of our ways are compared with its one. Each run starts with an empty Redis.

use super::{Round, processing::Throughput};
use crate::{
    figure::{Better, Goal, Measured, Target, Unit},
    peers::{Peer, Peers},
};

pub(super) const GOALS: [Goal; 4] = [
    goal("enqueueing_1_caller", "enqueue, 1 caller, one by one", 1.5),
    goal("enqueueing_8_callers", "enqueue, 8 callers, one by one", 1.5),
    goal("enqueueing_1_caller_batched", "enqueue, 1 caller, batches of 100", 4.0),
    goal("enqueueing_8_callers_batched", "enqueue, 8 callers, batches of 100", 4.0),
];

/// About two seconds of the slowest side.
const TASKS: &str = "80000";
const BATCH: &str = "100";

const fn goal(key: &'static str, work: &'static str, times: f64) -> Goal {
    Goal { key, work, unit: Unit::PerSecond, better: Better::Higher, target: Target::TimesBaseline(times) }
}

pub(super) async fn measure(peers: &Peers, round: Round) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (callers, single, batched) in [
        ("1", "enqueueing_1_caller", "enqueueing_1_caller_batched"),
        ("8", "enqueueing_8_callers", "enqueueing_8_callers_batched"),
    ] {
        let mut baseline = 0.0;
        if round.baseline_first() {
            baseline = one(peers, Peer::Asynq, callers, "1").await?;
        }
        let one_by_one = one(peers, Peer::Ours, callers, "1").await?;
        let in_batches = one(peers, Peer::Ours, callers, BATCH).await?;
        if !round.baseline_first() {
            baseline = one(peers, Peer::Asynq, callers, "1").await?;
        }
        measured.push(Measured::against(single, one_by_one, baseline));
        measured.push(Measured::against(batched, in_batches, baseline));
    }
    Ok(measured)
}

async fn one(peers: &Peers, peer: Peer, callers: &str, batch: &str) -> anyhow::Result<f64> {
    let redis = servers::Redis::start()?;
    let arguments = ["enqueue", "--tasks", TASKS, "--callers", callers, "--batch", batch, "--queues", "default:1"];
    let enqueued: Throughput = peers.run(peer, &redis.uri(0), &arguments).await?;
    Ok(enqueued.per_second())
}
