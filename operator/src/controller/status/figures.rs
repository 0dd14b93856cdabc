//! Figures of the queues in the status.
//!
//! Takes: the state of the queues. Gives: fields of the status, and whether they say something new. Pure. Does not:
//! know anything else of the pipeline.

use super::{
    condition::whole_second,
    steps::{if_late, is_same_count},
};
use crate::crd::status::{QueueStatus, TaskCounts};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use queue::QueueState;

pub(super) fn queue_status((name, state): &(String, QueueState), now: Timestamp) -> QueueStatus {
    let count = |tasks: u64| i64::try_from(tasks).unwrap_or(i64::MAX);
    let time = |at: Timestamp| Time(whole_second(at));
    let counts = TaskCounts {
        due: count(state.pending.saturating_add(state.due)),
        scheduled: count(state.scheduled),
        retry: count(state.retry),
        active: count(state.active),
        archived: count(state.archived),
        oldest_due_at: state.oldest_pending_since.and_then(|since| if_late(since, now)).map(time),
        next_due_at: state.next_due_at.map(time),
    };
    QueueStatus { name: name.clone(), counts }
}

/// Whether the status of queues need not be written anew.
pub(in crate::controller) fn are_same(before: &[(String, QueueState)], after: &[(String, QueueState)]) -> bool {
    let now = Timestamp::now();
    let is_same = |(before, after): (&(String, QueueState), &(String, QueueState))| {
        before.0 == after.0 && is_same_count(&queue_status(before, now).counts, &queue_status(after, now).counts, now)
    };
    before.len() == after.len() && before.iter().zip(after).all(is_same)
}

pub(super) fn sum(queues: &[QueueStatus]) -> TaskCounts {
    let total =
        |count: fn(&TaskCounts) -> i64| queues.iter().map(|queue| count(&queue.counts)).fold(0, i64::saturating_add);
    let earliest = |at: fn(&TaskCounts) -> Option<&Time>| {
        queues.iter().filter_map(|queue| at(&queue.counts)).min_by_key(|time| time.0).cloned()
    };
    TaskCounts {
        due: total(|counts| counts.due),
        scheduled: total(|counts| counts.scheduled),
        retry: total(|counts| counts.retry),
        active: total(|counts| counts.active),
        archived: total(|counts| counts.archived),
        oldest_due_at: earliest(|counts| counts.oldest_due_at.as_ref()),
        next_due_at: earliest(|counts| counts.next_due_at.as_ref()),
    }
}
