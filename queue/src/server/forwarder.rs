//! Makes due tasks pending, on time: sleeps until the next one, or until an earlier one is scheduled.

use super::Shared;
use crate::{broker::Forwarded, error::Error, keys::QueueKeys};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Longest sleep, for tasks scheduled by producers that do not publish (Go's).
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Entries of the running second cost Redis some time at each poll. The pause is at least this many times as long as
/// the poll took, so that forwarding takes at most a fifth of Redis.
const PAUSE_PER_POLL: u32 = 4;
/// Pause after Redis failed.
const BACK_OFF: Duration = Duration::from_millis(500);
/// A queue that failed is left out for so long: a silent node of a cluster takes a second to fail, in which the tasks
/// on other nodes come due.
const LEFT_OUT: Duration = Duration::from_secs(4);

/// Queues that failed, and until when they are left out.
type Failed = HashMap<String, Instant>;

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut failed = Failed::new();
    while !shared.quit.is_cancelled() {
        let begun = Instant::now();
        let _ = shared.wake.take_due();
        let (next_ms, pause) = match forward(&shared, &mut failed).await {
            Ok(next_ms) if failed.is_empty() => (next_ms, begun.elapsed() * PAUSE_PER_POLL),
            // The poll may have waited for a silent node, which is no work for the others.
            Ok(next_ms) => (next_ms, (begun.elapsed() * PAUSE_PER_POLL).min(BACK_OFF)),
            Err(error) => {
                shared.log_failure("failed to forward due tasks", &error);
                (None, BACK_OFF)
            }
        };
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = sleep(&shared, next_ms, pause) => {}
        }
    }
}

/// Forwards what is due in all queues but those that `failed` just before; returns when the next entry is (Unix time,
/// milliseconds). An error only where every queue fails.
async fn forward(shared: &Shared, failed: &mut Failed) -> Result<Option<i64>, Error> {
    let queues = shared.queues.of(&shared.settings.borrow());
    let mut next_ms: HashMap<&str, i64> = HashMap::new();
    loop {
        failed.retain(|_, until| *until > Instant::now());
        let asked: Vec<&QueueKeys> =
            queues.iter().map(|queue| &*queue.keys).filter(|keys| !failed.contains_key(&keys.name)).collect();
        let replies = shared.broker.forward(&asked, shared.broker.now()).await?;
        let mut more = false;
        for (keys, replies) in asked.iter().zip(replies.chunks(2)) {
            for reply in replies {
                match reply {
                    Ok(Forwarded { forwarded, .. }) if *forwarded > 0 => shared.wake.pending(&keys.name),
                    Ok(_) => {}
                    Err(error) => {
                        shared.log_failure("failed to forward the due tasks of a queue", error);
                        failed.insert(keys.name.clone(), Instant::now() + LEFT_OUT);
                    }
                }
            }
            let done = || replies.iter().flatten();
            more |= done().any(|container| container.more);
            match done().filter_map(|container| container.next_poll_ms).min() {
                Some(next) => next_ms.insert(&keys.name, next),
                None => next_ms.remove(&*keys.name),
            };
        }
        if !more {
            return Ok(next_ms.into_values().min());
        }
    }
}

/// Sleeps until `next_ms` or an earlier time heard of meanwhile; at least `pause`, at most the poll interval.
async fn sleep(shared: &Shared, mut next_ms: Option<i64>, pause: Duration) {
    let earliest = Instant::now() + pause;
    let latest = Instant::now() + POLL_INTERVAL;
    loop {
        let until = next_ms.map_or(latest, |ms| moment(shared, ms).clamp(earliest, latest.max(earliest)));
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            () = shared.wake.for_forwarder() => {
                let Some(due_ms) = shared.wake.take_due() else { return };
                next_ms = Some(next_ms.map_or(due_ms, |known| known.min(due_ms)));
            }
        }
    }
}

/// Unix time in milliseconds, by the Redis clock, as a moment of the local timer.
fn moment(shared: &Shared, ms: i64) -> Instant {
    let nanos = ms.saturating_mul(1_000_000).saturating_sub(shared.broker.now().0);
    Instant::now() + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).min(Duration::from_secs(3600))
}
