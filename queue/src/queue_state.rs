//! What can be read of one queue. Values only.

use jiff::Timestamp;

/// Seconds from now up to which [`QueueReading::due_later`] counts: fine where the number of workers is decided, coarse
/// up to the longest cool-down of an hour.
pub const DUE_LATER_S: [u64; 16] = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600];

/// One queue at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueState {
    /// Tasks ready to run.
    pub pending: u64,
    /// Tasks being run.
    pub active: u64,
    /// Tasks scheduled for later, due ones not forwarded yet included.
    pub scheduled: u64,
    /// Tasks waiting for their next attempt, due ones included.
    pub retry: u64,
    /// Tasks given up.
    pub archived: u64,
    /// Succeeded tasks within their retention.
    pub completed: u64,
    /// Scheduled and retry tasks that are due by the Redis clock.
    pub due: u64,
    /// Scheduled and retry tasks that are due now or within the asked period.
    pub due_within: u64,
    /// When the next scheduled or retry task is (or was) due; whole seconds.
    pub next_due_at: Option<Timestamp>,
    /// Since when the task that runs next has been pending. `None` when nothing is pending or its producer did not say.
    pub oldest_pending_since: Option<Timestamp>,
    /// Attempts that ended, ever.
    pub processed: u64,
    /// Attempts that failed, ever.
    pub failed: u64,
    /// asynq's pause flag.
    pub paused: bool,
}

/// One queue as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueReading {
    /// What is in it.
    pub state: QueueState,
    /// The time by the Redis clock, in milliseconds.
    pub at: Timestamp,
    /// When the first scheduled or retry task is due that [`QueueState::due_within`] does not count; whole seconds.
    pub next_beyond_at: Option<Timestamp>,
    /// Scheduled and retry tasks that are due by each of [`DUE_LATER_S`], earlier ones included.
    pub due_later: [u64; DUE_LATER_S.len()],
}
