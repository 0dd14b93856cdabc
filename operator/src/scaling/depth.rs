//! What one snapshot says of one queue.
//!
//! Takes: what `queue` read and the queue's entry in the resource. Gives: a [`Depth`]. Does not: know the
//! past; `rates` adds what it taught.

use crate::crd::task::Queue;
use jiff::Timestamp;
use queue::{DUE_LATER_S, QueueReading};
use std::time::Duration;

/// Depth of one queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Depth {
    /// Its name.
    pub name: String,
    /// Tasks ready to run.
    pub pending: u64,
    /// Tasks that run.
    pub active: u64,
    /// Scheduled and retry tasks that are due now or within a worker's start-up time.
    pub due_soon: u64,
    /// Nothing is taken from it.
    pub paused: bool,
    /// It could not be read: nothing here is known but its name.
    pub missing: bool,
    /// Weight among the queues, or rank; 0 counts as 1.
    pub priority: u32,
    /// Its own `targetLatency`; `None`: the pipeline's.
    pub target: Option<Duration>,
    /// How long the task that runs next has been pending.
    pub age: Duration,
    /// Time until the first of `due_soon` is due.
    pub due_in: Duration,
    /// Tasks that are due by each of [`DUE_LATER_S`], `due_soon` included.
    pub due_later: [u64; DUE_LATER_S.len()],
    /// Attempts that ended, ever.
    pub processed: u64,
    /// Attempts that failed, ever.
    pub failed: u64,
    /// When it was read, by the Redis clock.
    pub at: Timestamp,
    /// What the snapshots before taught; [`Autoscaler`](super::Autoscaler) fills it in.
    pub learnt: Learnt,
}

/// What the past of a queue taught.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Learnt {
    /// Tasks that became ready to run, per second.
    pub arrivals_per_s: f64,
    /// Seconds that one attempt takes; `None` while too few have ended.
    pub service_s: Option<f64>,
    /// Attempts that ended, per second.
    pub completions_per_s: f64,
}

impl Depth {
    /// Of a queue that is paused in the resource, or by a tool in Redis.
    pub fn new(reading: &QueueReading, queue: &Queue) -> Self {
        let QueueReading { state, at: read_at, due_later, .. } = reading;
        let since = |at: Timestamp| Duration::try_from(read_at.duration_since(at)).unwrap_or_default();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(*read_at)).unwrap_or_default();
        Self {
            pending: state.pending,
            active: state.active,
            due_soon: state.due_within,
            paused: queue.paused || state.paused,
            age: state.oldest_pending_since.map(since).unwrap_or_default(),
            due_in: state.next_due_at.map(until).unwrap_or_default(),
            due_later: *due_later,
            processed: state.processed,
            failed: state.failed,
            at: *read_at,
            ..Self::of(queue)
        }
    }

    /// Of a queue that could not be read while others could.
    pub fn missing(queue: &Queue) -> Self {
        Self { missing: true, ..Self::of(queue) }
    }

    fn of(queue: &Queue) -> Self {
        let Queue { name, priority, target_latency, .. } = queue;
        let target = target_latency.map(|target| target.get());
        Self { name: name.clone(), priority: priority.unsigned_abs(), target, ..Self::default() }
    }

    /// Tasks that want a slot and have none; nothing is taken from a paused queue.
    pub(super) fn backlog(&self) -> u64 {
        if self.paused { 0 } else { self.pending.saturating_add(self.due_soon) }
    }
}
