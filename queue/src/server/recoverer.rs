//! Gives tasks of dead workers to living ones: an active task whose lease ran out becomes due for retry at once
//! (counted, so that a task that kills its worker comes to an end), or is archived when its retries are used up.

use super::{Shared, queues::Queue};
use crate::{
    broker::{Expired, Guard, NextAttempt, Settled, Taken},
    clock::Now,
    error::Error,
    message::Stored,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A lease counts as lost this long after its end: for holders whose extension is under way. With the lease of 30 s
/// (rounded down to seconds) a dead worker's task runs again after at most 33 s.
const MARGIN: Duration = Duration::from_secs(2);
/// The longest sleep.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// No task of a queue is recovered before Redis has accepted writes to it for this long. After an outage, holders first
/// settle their tasks and extend their leases; Go's do at their next heartbeat, at most 5 s later.
const OUTAGE_GRACE: Duration = Duration::from_secs(6);
/// Pause after an error.
const BACK_OFF: Duration = Duration::from_millis(500);
/// What the task's error text says; asynq's words (v0.26.0, `recoverer.go`).
const CAUSE: &str = "asynq: task lease expired";

/// From when on tasks of a queue (by its number) may be recovered; a queue that last failed, or was never asked, is not
/// in it. A server that has just started cannot know whether an outage has just ended.
type Trusted = HashMap<usize, Instant>;

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut trusted = Trusted::new();
    loop {
        let pause = recover(&shared, &mut trusted).await;
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = tokio::time::sleep_until(Instant::now() + pause) => {}
        }
    }
}

/// Recovers what is lost in all queues, whatever is wrong with one of them; returns how long to sleep.
async fn recover(shared: &Shared, trusted: &mut Trusted) -> Duration {
    let mut pause = POLL_INTERVAL;
    let queues = shared.queues.of(&shared.settings.borrow());
    for queue in queues {
        let next = recover_queue(shared, &queue, trusted).await.unwrap_or_else(|error| {
            shared.log_failure("failed to recover tasks", &error);
            // Holders could not extend their leases either, perhaps; a reply that cannot be understood does not say so.
            if !matches!(error, Error::UnexpectedReply { .. }) {
                trusted.remove(&queue.number);
            }
            BACK_OFF
        });
        pause = pause.min(next);
    }
    pause
}

/// Recovers what is lost in one queue; returns when to poll again.
async fn recover_queue(shared: &Shared, queue: &Queue, trusted: &mut Trusted) -> Result<Duration, Error> {
    let now = shared.broker.now();
    let cutoff = Now(now.0 - MARGIN.as_nanos() as i64);
    let max_payload_bytes = shared.settings.borrow().max_payload_bytes;
    let (expired, next) = shared.broker.list_expired(&queue.keys, cutoff, max_payload_bytes).await?;
    let from = *trusted.entry(queue.number).or_insert_with(|| Instant::now() + OUTAGE_GRACE);
    let distrusted = from.saturating_duration_since(Instant::now());
    if !distrusted.is_zero() {
        // Not longer than the pause after an error: a failure in between must be seen.
        return Ok(distrusted.min(BACK_OFF));
    }
    let mut recovered = 0;
    for expired in expired.into_iter().filter(|expired| !shared.running.holds(&queue.keys.name, &expired.id)) {
        let Expired { id, expiry, message, unread_bytes } = expired;
        let task = Taken { id, message, unread_bytes };
        if give_back(shared, queue, &task, Guard::ExpiredLease(expiry), CAUSE, now).await? == Settled::Done {
            recovered += 1;
            queue.recovered.increment(1);
            tracing::warn!(task.id = task.id, queue.name = queue.keys.name, "recovered a task of a dead worker");
        }
    }
    if recovered == 0 && next.is_some_and(|next| next <= cutoff.seconds()) {
        // What fills the reply is ours; the heartbeat extends it.
        return Ok(BACK_OFF);
    }
    let wait = |next: i64| {
        let nanos = Now(next * 1_000_000_000).plus(MARGIN).0.saturating_sub(now.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)) + Duration::from_millis(1)
    };
    Ok(next.map_or(POLL_INTERVAL, wait))
}

/// Ends the attempt of somebody who is gone, as a failure of the task with this cause.
pub(super) async fn give_back(
    shared: &Shared,
    queue: &Queue,
    task: &Taken,
    guard: Guard<'_>,
    cause: &str,
    now: Now,
) -> Result<Settled, Error> {
    let (keys, id) = (&queue.keys, &*task.id);
    if let Some(bytes) = task.unread_bytes {
        let settled = shared.broker.archive(keys, id, guard, &[], now).await?;
        if settled == Settled::Done {
            queue.tell_too_long(id, bytes);
        }
        return Ok(settled);
    }
    match Stored::decode(&task.message) {
        Err(_) => shared.broker.archive(keys, id, guard, &task.message, now).await,
        Ok(stored) if stored.is_exhausted() => {
            shared.broker.archive(keys, id, guard, &stored.archived(cause, now), now).await
        }
        Ok(stored) => {
            let message = stored.failed(cause, now, true);
            let next = NextAttempt { message: &message, delay: Duration::ZERO, counted: true };
            shared.broker.retry(keys, id, guard, next, now).await
        }
    }
}
