//! No-op tasks processed per second by one process, with one queue and with three.
//!
//! asynq's producer fills an empty Redis for either side, so both find the same tasks; with three queues their shares
//! are those of the priorities, so that all three last. Does not: count the filling.

use super::Round;
use crate::{
    figure::{Better, Goal, Measured, Target, Unit},
    peers::{Peer, Peers},
};
use anyhow::ensure;
use serde::Deserialize;
use std::time::Duration;

pub(super) const GOALS: [Goal; 2] = [
    goal("processing_1_queue", "no-op tasks processed, one process, 1 queue"),
    goal("processing_3_queues", "no-op tasks processed, one process, 3 queues 6:3:1"),
];

const TASKS: &str = "80000";
/// Concurrency of either side; asynq is as fast with 10.
const CONCURRENCY: &str = "100";

const fn goal(key: &'static str, work: &'static str) -> Goal {
    Goal { key, work, unit: Unit::PerSecond, better: Better::Higher, target: Target::TimesBaseline(4.0) }
}

/// What both programs print.
#[derive(Debug, Deserialize)]
pub(super) struct Throughput {
    tasks: usize,
    seconds: f64,
}

impl Throughput {
    pub(super) fn per_second(&self) -> f64 {
        self.tasks as f64 / self.seconds
    }
}

pub(super) async fn measure(peers: &Peers, round: Round) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (key, queues) in [("processing_1_queue", "default:1"), ("processing_3_queues", "critical:6,default:3,low:1")] {
        let (mut ours, mut baseline) = (0.0, 0.0);
        for peer in Peer::in_turn(round.baseline_first()) {
            let rate = one(peers, peer, queues).await?;
            match peer {
                Peer::Ours => ours = rate,
                Peer::Asynq => baseline = rate,
            }
        }
        measured.push(Measured::against(key, ours, baseline));
    }
    Ok(measured)
}

async fn one(peers: &Peers, peer: Peer, queues: &str) -> anyhow::Result<f64> {
    let redis = servers::Redis::start()?;
    let uri = redis.uri(0);
    let fill = ["enqueue", "--tasks", TASKS, "--callers", "8", "--batch", "1", "--queues", queues];
    let filled: Throughput = peers.run(Peer::Asynq, &uri, &fill).await?;
    let process = ["process", "--tasks", TASKS, "--concurrency", CONCURRENCY, "--queues", queues];
    let processed: Throughput = peers.run(peer, &uri, &process).await?;
    check_empty(&uri, queues, filled.tasks).await?;
    Ok(processed.per_second())
}

/// A task counted but not finished would make the rate a lie.
async fn check_empty(uri: &str, queues: &str, tasks: usize) -> anyhow::Result<()> {
    let inspector = queue::Inspector::new(queue::Connection::open(uri, None)?);
    let mut processed = 0;
    for queue in queues.split(',').filter_map(|queue| queue.split(':').next()) {
        let state = inspector.queue(queue, Duration::ZERO).await?;
        ensure!(state.pending + state.active + state.retry + state.archived == 0, "tasks are left in {queue}");
        processed += state.processed;
    }
    ensure!(processed == tasks as u64, "{processed} of {tasks} tasks were processed");
    Ok(())
}
