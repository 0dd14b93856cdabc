//! When figures have changed enough to be written.
//!
//! Takes: figures as they were written, and as they are. Gives: whether one of them left its step of the series 1, 2,
//! 5, 10, 20, 50, ... Pure: the time is a parameter. Does not: round what is written.

use crate::crd::status::{AutoscalingStatus, SignupPipelineStatus, TaskCounts};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A task that waits for less is not called late: under load there is always one, each time another.
const MIN_LATENESS_S: i64 = 10;

/// Work that comes due within this time is the same news, whichever second it is.
const SOON_S: i64 = 60;

/// Whether figures that were written need not be written anew.
pub(in crate::controller) fn is_same(
    before: &SignupPipelineStatus,
    after: &SignupPipelineStatus,
    now: Timestamp,
) -> bool {
    let totals = match (&before.tasks, &after.tasks) {
        (Some(before), Some(after)) => is_same_count(before, after, now),
        (before, after) => before.is_none() && after.is_none(),
    };
    let pairs = || before.queues.iter().zip(&after.queues);
    let queues = before.queues.len() == after.queues.len()
        && pairs()
            .all(|(before, after)| before.name == after.name && is_same_count(&before.counts, &after.counts, now));
    totals && queues && is_same_decision(before.autoscaling.as_ref(), after.autoscaling.as_ref())
}

pub(in crate::controller) fn is_same_count(before: &TaskCounts, after: &TaskCounts, now: Timestamp) -> bool {
    // Field by field: a new one has to be compared too.
    let TaskCounts { due, scheduled, retry, active, archived, oldest_due_at, next_due_at } = before;
    let counts = [
        (due, after.due),
        (scheduled, after.scheduled),
        (retry, after.retry),
        (active, after.active),
        (archived, after.archived),
    ];
    let late = |time: &Option<Time>| time.as_ref().map(|time| step(seconds(time.0, now)));
    let ahead = |time: &Option<Time>| time.as_ref().map(|time| step(seconds(now, time.0).max(SOON_S)));
    counts.into_iter().all(|(before, after)| step(*before) == step(after))
        && late(oldest_due_at) == late(&after.oldest_due_at)
        && (*next_due_at == after.next_due_at || ahead(next_due_at) == ahead(&after.next_due_at))
}

/// The explanation speaks of figures; it is written with them.
fn is_same_decision(before: Option<&AutoscalingStatus>, after: Option<&AutoscalingStatus>) -> bool {
    let figures = |status: &AutoscalingStatus| (step(i64::from(status.recommended)), status.limited_by.clone());
    before.map(figures) == after.map(figures)
}

/// Since when the oldest due task waits, if that is late.
pub(super) fn if_late(oldest: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (seconds(oldest, now) >= MIN_LATENESS_S).then_some(oldest)
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second())
}

/// The largest of 1, 2, 5, 10, 20, 50, ... that is not larger; 0 below 1.
fn step(value: i64) -> i64 {
    let mut ten = 1i64;
    while value / 10 >= ten {
        ten *= 10;
    }
    [5, 2, 1].into_iter().map(|factor| ten.saturating_mul(factor)).find(|step| value >= *step).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn counts(due: i64, oldest: Option<i64>, next: Option<i64>) -> TaskCounts {
        let time = |second: Option<i64>| second.map(|second| Time(at(second)));
        TaskCounts { due, oldest_due_at: time(oldest), next_due_at: time(next), ..TaskCounts::default() }
    }

    #[test]
    fn the_steps_are_those_of_the_series() {
        let steps = [-1, 0, 1, 2, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 1_999, i64::MAX].map(step);
        assert_eq!(steps[..15], [0, 0, 1, 2, 2, 5, 5, 10, 10, 20, 20, 50, 50, 100, 1_000]);
        assert_eq!(steps[15], 5_000_000_000_000_000_000);
    }

    #[test]
    fn a_count_is_news_when_it_leaves_its_step() {
        let is_same = |before, after| is_same_count(&counts(before, None, None), &counts(after, None, None), at(0));
        assert!(is_same(20, 49) && is_same(0, 0));
        assert!(!is_same(19, 20) && !is_same(0, 1) && !is_same(50, 49));
    }

    #[test]
    fn how_late_the_oldest_task_is_is_news_when_it_leaves_its_step_as_it_is_shown() {
        let is_same =
            |before, after| is_same_count(&counts(1, Some(before), None), &counts(1, Some(after), None), at(1_000));
        assert!(is_same(980, 960), "20 and 40 seconds late");
        assert!(!is_same(980, 940), "20 and 60 seconds late");
        // What was written is shown older every second, while the oldest task is another.
        assert!(!is_same(400, 980), "shown as 600 seconds late, and it is 20");
        assert_eq!((if_late(at(991), at(1_000)), if_late(at(990), at(1_000))), (None, Some(at(990))));
    }

    #[test]
    fn what_comes_due_within_a_minute_is_the_same_whichever_second_it_is() {
        let is_same =
            |before, after| is_same_count(&counts(0, None, Some(before)), &counts(0, None, Some(after)), at(1_000));
        assert!(is_same(1_001, 1_050) && is_same(500, 1_030));
        assert!(!is_same(1_001, 2_000));
        assert!(is_same(50_000, 50_000));
    }
}
