//! Deletes completed tasks whose retention ended (every 8 s, as asynq) and repairs what other programs left half done
//! (every 32 s): ids without a hash, active tasks without a lease.

use super::{Shared, queues::Queue};
use crate::error::Error;
use std::{sync::Arc, time::Duration};

/// asynq's interval (v0.26.0, `janitor.go`).
const INTERVAL: Duration = Duration::from_secs(8);
/// Every so many rounds a repair.
const ROUNDS_PER_REPAIR: u64 = 4;
/// Each repair reads the next window of ranks; after this many it starts over.
const WINDOWS: u64 = 20;
/// Ranks per window.
const WINDOW: u64 = 500;

/// Runs until the server's loops end. The first round repairs.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut beat = tokio::time::interval(INTERVAL);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0.. {
        tokio::select! {
            () = shared.quit.cancelled() => return,
            _ = beat.tick() => {}
        }
        let queues = shared.queues.of(&shared.settings.borrow());
        for queue in queues {
            if let Err(error) = clean(&shared, &queue, round).await {
                shared.log_failure("failed to clean up", &error);
            }
        }
    }
}

async fn clean(shared: &Shared, queue: &Queue, round: u64) -> Result<(), Error> {
    let now = shared.broker.now();
    shared.broker.delete_expired(&queue.keys, now).await?;
    if !round.is_multiple_of(ROUNDS_PER_REPAIR) {
        return Ok(());
    }
    let window = (round / ROUNDS_PER_REPAIR % WINDOWS) * WINDOW;
    let repairs = shared.broker.repair(&queue.keys, window as usize, now).await?;
    if repairs > 0 {
        queue.repaired.increment(repairs);
        tracing::warn!(queue.name = queue.keys.name, repairs, "repaired entries without a task or without a lease");
    }
    Ok(())
}
