//! From enqueue to handler on an idle worker, ours and asynq with its default settings.
//!
//! Each side is one process with a producer and a worker on connections of their own. 200 tasks a round come at random,
//! about 20 a second. Does not: measure a busy worker (that is `processing`).

use super::Round;
use crate::{
    figure::{Better, Goal, Measured, Target, Unit},
    peers::{Peer, Peers},
    statistics::percentile,
};
use anyhow::Context;
use serde::Deserialize;

pub(super) const GOALS: [Goal; 2] = [
    goal("latency_p50", "enqueue to handler, idle worker: p50", 2.0),
    goal("latency_p99", "enqueue to handler, idle worker: p99", 10.0),
];

const fn goal(key: &'static str, work: &'static str, at_most_ms: f64) -> Goal {
    Goal { key, work, unit: Unit::Milliseconds, better: Better::Lower, target: Target::AtMost(at_most_ms) }
}

/// What both programs print.
#[derive(Debug, Deserialize)]
pub(super) struct Waits {
    samples_ms: Vec<f64>,
}

pub(super) async fn measure(peers: &Peers, round: Round) -> anyhow::Result<Vec<Measured>> {
    let [ours, asynq] = waits(peers, round, &["latency", "--tasks", "200"]).await?;
    Ok(vec![
        Measured::against("latency_p50", ours.at(0.5)?, asynq.at(0.5)?),
        Measured::against("latency_p99", ours.at(0.99)?, asynq.at(0.99)?),
    ])
}

/// Runs the command on both sides, each with an empty Redis; ours first in the result.
pub(super) async fn waits(peers: &Peers, round: Round, arguments: &[&str]) -> anyhow::Result<[Waits; 2]> {
    let (mut ours, mut asynq) = (None, None);
    for peer in Peer::in_turn(round.baseline_first()) {
        let redis = servers::Redis::start()?;
        let waits = peers.run(peer, &redis.uri(0), arguments).await?;
        match peer {
            Peer::Ours => ours = Some(waits),
            Peer::Asynq => asynq = Some(waits),
        }
    }
    Ok([ours.context("ours was not run")?, asynq.context("asynq was not run")?])
}

impl Waits {
    pub(super) fn at(&self, share: f64) -> anyhow::Result<f64> {
        percentile(&self.samples_ms, share).context("no samples")
    }
}
