//! Figures of the status: the queues, and the number of workers.
//!
//! Takes: the state of the queues and what was decided. Gives: fields of the status. Pure. Does not: decide the number
//! of workers.

use super::{
    condition::whole_second,
    facts::Facts,
    steps::{if_late, is_same_count},
};
use crate::{
    crd::status::{AutoscalingStatus, QueueStatus, TaskCounts},
    scaling::Decision,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use queue::QueueState;

/// `None` when the operator does not decide.
pub(super) fn autoscaling(facts: &Facts<'_>, now: Timestamp) -> Option<AutoscalingStatus> {
    let decision: &Decision = facts.scaling.decision.as_ref()?;
    let count = |workers: u32| i32::try_from(workers).unwrap_or(i32::MAX);
    let before = facts.previous.and_then(|status| status.autoscaling.as_ref());
    let last_scale_time = match (facts.scaling.scaled_at, before) {
        (None, Some(before)) => before.last_scale_time.clone(),
        (at, _) => Some(Time(whole_second(at.unwrap_or(now)))),
    };
    Some(AutoscalingStatus {
        desired: count(decision.desired),
        recommended: count(decision.recommended),
        limited_by: decision.limited_by.map(|limit| limit.name().to_owned()),
        explanation: decision.explanation.clone(),
        last_scale_time,
    })
}

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
