//! Conditions, and which changes of a status are worth a write.
//!
//! Takes: what is true now, and the status as it was. Gives: conditions whose transition time changes with their status
//! only. Pure: the time is a parameter. Does not: decide what is true.

use super::{FIGURES_INTERVAL, steps};
use crate::{
    controller::reason::{self, Finding, Reason, condition::RECONCILING},
    crd::status::SignupPipelineStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::time::Duration;

/// Status of a condition (meta/v1 Condition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    /// The condition applies.
    True,
    /// It does not apply.
    False,
    /// It could not be found out.
    Unknown,
}

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntimedCondition {
    /// Its type.
    pub kind: &'static str,
    /// Its status.
    pub status: ConditionStatus,
    /// Its reason.
    pub reason: Reason,
    /// Its message.
    pub message: String,
}

impl UntimedCondition {
    /// Makes one.
    pub fn new(kind: &'static str, status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status, reason, message: message.into() }
    }

    /// Makes one with the reason and message of a finding.
    pub fn from_finding(kind: &'static str, status: ConditionStatus, finding: &Finding) -> Self {
        Self::new(kind, status, finding.reason, finding.message.clone())
    }
}

/// Adds times; a status that did not change keeps its transition time.
pub fn with_times(
    conditions: Vec<UntimedCondition>,
    previous: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let with_time = |untimed: UntimedCondition| {
        let status = match untimed.status {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        };
        let before = previous.iter().find(|condition| condition.type_ == untimed.kind && condition.status == status);
        Condition {
            type_: untimed.kind.to_owned(),
            status: status.to_owned(),
            reason: untimed.reason.name().to_owned(),
            message: untimed.message,
            observed_generation: generation,
            // Kubernetes writes whole seconds.
            last_transition_time: before
                .map_or_else(|| Time(whole_second(now)), |condition| condition.last_transition_time.clone()),
        }
    };
    conditions.into_iter().map(with_time).collect()
}

/// Without its fraction, which the API server would drop.
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// When `new` is to be written: at once where it says more than figures that differ; where one of them left its step,
/// once those that were written are old enough; otherwise never.
pub fn due(
    previous: Option<&SignupPipelineStatus>,
    new: &SignupPipelineStatus,
    figures_age: Option<Duration>,
    now: Timestamp,
) -> Option<Duration> {
    let Some(previous) = previous else { return Some(Duration::ZERO) };
    if without_figures(previous) != without_figures(new) {
        return Some(Duration::ZERO);
    }
    let age = figures_age.unwrap_or(FIGURES_INTERVAL);
    (!steps::is_same(previous, new, now)).then(|| FIGURES_INTERVAL.saturating_sub(age))
}

fn without_figures(status: &SignupPipelineStatus) -> SignupPipelineStatus {
    let mut status = status.clone();
    // Whose it is stands in the status before anything else does, and is not written with it.
    status.operator = None;
    (status.tasks, status.queues) = (None, Vec::new());
    if let Some(autoscaling) = &mut status.autoscaling {
        (autoscaling.recommended, autoscaling.limited_by) = (0, None);
        autoscaling.explanation.clear();
    }
    status
}

/// Conditions whose status or reason changed; of Reconciling also those whose message did where it speaks of what is
/// waited for: the next missing Secret has the reason of the one before.
pub fn transitions<'a>(previous: &[Condition], new: &'a [Condition]) -> Vec<&'a Condition> {
    let same = |condition: &Condition| {
        let known = |other: &Condition| {
            let speaks_of_a_name = condition.type_ == RECONCILING && reason::is_about_a_name(&condition.reason);
            let same_words = !speaks_of_a_name || other.message == condition.message;
            let same_state = other.status == condition.status && other.reason == condition.reason;
            other.type_ == condition.type_ && same_state && same_words
        };
        previous.iter().any(known)
    };
    new.iter().filter(|condition| !same(condition)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::status::{AutoscalingStatus, TaskCounts};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_transition_time_moves_with_the_status_and_not_with_the_reason() {
        let untimed = |status, reason| vec![UntimedCondition::new("Ready", status, reason, "")];
        let first = with_times(untimed(ConditionStatus::False, reason::ROLLING_OUT), &[], Some(1), at(10));
        let second = with_times(untimed(ConditionStatus::False, reason::NO_ANSWER), &first, Some(2), at(20));
        assert_eq!((second[0].last_transition_time.0, second[0].observed_generation), (at(10), Some(2)));
        let third = with_times(untimed(ConditionStatus::True, reason::AS_DESIRED), &second, Some(2), at(30));
        assert_eq!(third[0].last_transition_time.0, at(30));
        assert_eq!(transitions(&first, &second).len(), 1);
        assert!(transitions(&third, &third).is_empty());
    }

    #[test]
    fn figures_alone_wait_and_everything_else_is_written_at_once() {
        let figures = |due, desired| SignupPipelineStatus {
            tasks: Some(TaskCounts { due, ..TaskCounts::default() }),
            autoscaling: Some(AutoscalingStatus {
                desired,
                explanation: due.to_string(),
                ..AutoscalingStatus::default()
            }),
            ..SignupPipelineStatus::default()
        };
        let (old, young) = (Some(FIGURES_INTERVAL), Some(Duration::from_secs(1)));
        let due = |previous: Option<&_>, new: &_, age| due(previous, new, age, at(0)).map(|wait| wait.as_secs());
        assert_eq!(due(Some(&figures(1, 1)), &figures(1, 1), old), None);
        assert_eq!(due(Some(&figures(2, 1)), &figures(4, 1), old), None, "the step is the same");
        assert_eq!(due(Some(&figures(1, 1)), &figures(2, 1), young), Some(29));
        assert_eq!(due(Some(&figures(1, 1)), &figures(2, 1), old), Some(0));
        assert_eq!(due(Some(&figures(1, 1)), &figures(2, 2), young), Some(0));
        assert_eq!(due(None, &figures(1, 1), young), Some(0));
    }
}
