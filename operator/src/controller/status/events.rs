//! Which conditions are worth an event, and when.
//!
//! Takes: the conditions as they were and as they are. Gives: those to publish now, and whether as a Warning. Pure: the
//! time is a parameter. Does not: publish anything.
//!
//! A start is no trouble: what belongs to one (an api that does not answer yet, an address that is not assigned yet) is
//! published only when it has lasted.

use super::condition::transitions;
use crate::controller::reason::{self, Reason, condition as kind, condition::is_good_when_true};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::{collections::BTreeMap, time::Duration};

/// How long a start may take before it is trouble; a cloud's load balancer needs about two minutes for an address.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(180);

/// What a pipeline goes through before it is Ready for the first time, and later is trouble at once.
const STARTING: [Reason; 2] = [reason::NO_ANSWER, reason::SCHEMA_MISSING];

/// Warnings that wait, by type of condition: their reason, and since when.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<String, (String, Timestamp)>);

impl Waiting {
    /// Conditions to publish now; true: as a Warning.
    pub(super) fn due<'a>(
        &mut self,
        previous: &[Condition],
        new: &'a [Condition],
        now: Timestamp,
    ) -> Vec<(&'a Condition, bool)> {
        let changed = transitions(previous, new);
        let was_ready = previous.iter().any(|condition| condition.type_ == kind::READY && condition.status == "True");
        let mut due = Vec::new();
        for condition in new {
            let has_changed = changed.iter().any(|other| other.type_ == condition.type_);
            if !is_bad(condition) {
                self.0.remove(&condition.type_);
                due.extend((has_changed && is_recovery(previous, condition)).then_some((condition, false)));
            } else if has_changed && !passes(condition, was_ready) {
                self.0.remove(&condition.type_);
                due.push((condition, true));
            } else if has_changed {
                self.0.insert(condition.type_.clone(), (condition.reason.clone(), now));
            } else if self.has_lasted(condition, now) {
                self.0.remove(&condition.type_);
                due.push((condition, true));
            }
        }
        due
    }

    /// Time until the first of them has lasted.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let left =
            |(_, since): &(String, Timestamp)| START_TIMEOUT.saturating_sub(now.duration_since(*since).unsigned_abs());
        self.0.values().map(left).min()
    }

    fn has_lasted(&self, condition: &Condition, now: Timestamp) -> bool {
        let waiting = self.0.get(&condition.type_).filter(|(reason, _)| *reason == condition.reason);
        waiting.is_some_and(|(_, since)| now.duration_since(*since).unsigned_abs() >= START_TIMEOUT)
    }
}

/// All that is wrong, in words that differ when something else is; `None`: nothing.
pub(in crate::controller) fn trouble(conditions: &[Condition]) -> Option<String> {
    let bad: Vec<&str> = conditions.iter().filter(|condition| is_bad(condition)).map(|bad| &*bad.message).collect();
    (!bad.is_empty()).then(|| bad.join("\n"))
}

fn is_bad(condition: &Condition) -> bool {
    let is_good = is_good_when_true(&condition.type_) == (condition.status == "True");
    !is_good && condition.status != "Unknown" && condition.message.contains("Fix:")
}

/// Whether what was wrong is so no longer. A first status sets every condition; that nobody can look right now, or can
/// again, is no news; and what Reconciling has to say is trouble, or else Ready says it.
fn is_recovery(previous: &[Condition], condition: &Condition) -> bool {
    let before = previous.iter().find(|before| before.type_ == condition.type_);
    let was_known = before.map_or(!previous.is_empty(), |before| before.status != "Unknown");
    was_known && condition.status != "Unknown" && condition.type_ != kind::RECONCILING
}

fn passes(condition: &Condition, was_ready: bool) -> bool {
    let is_starting = || STARTING.iter().any(|reason| reason.name() == condition.reason);
    reason::is_transient(&condition.reason) || (!was_ready && is_starting())
}

#[cfg(test)]
mod tests {
    use super::{
        super::condition::{
            ConditionStatus::{self, False, True},
            UntimedCondition, with_times,
        },
        *,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn state(kind: &'static str, status: ConditionStatus, reason: Reason, message: &str) -> Vec<Condition> {
        with_times(vec![UntimedCondition::new(kind, status, reason, message)], &[], Some(1), at(0))
    }

    fn reported(waiting: &mut Waiting, before: &[Condition], now: &[Condition], second: i64) -> Vec<bool> {
        waiting.due(before, now, at(second)).into_iter().map(|(_, warning)| warning).collect()
    }

    #[test]
    fn an_api_that_does_not_answer_yet_is_no_warning_and_nothing_is_told_when_it_does() {
        let silent = state(kind::DATABASE_REACHABLE, False, reason::NO_ANSWER, "Fix: wait.");
        let fine = state(kind::DATABASE_REACHABLE, True, reason::ANSWERS, "it answers");
        let mut waiting = Waiting::default();
        assert!(reported(&mut waiting, &[], &silent, 0).is_empty());
        assert!(reported(&mut waiting, &silent, &silent, 30).is_empty());
        assert_eq!(reported(&mut waiting, &silent, &fine, 40), [false]);
        assert!(reported(&mut waiting, &fine, &fine, 1000).is_empty());
    }

    #[test]
    fn what_lasts_is_a_warning_once() {
        let pending = state(kind::EXPOSED, False, reason::ADDRESS_PENDING, "Fix: see the class.");
        let mut waiting = Waiting::default();
        assert!(reported(&mut waiting, &[], &pending, 0).is_empty());
        assert!(reported(&mut waiting, &pending, &pending, 179).is_empty());
        assert_eq!(reported(&mut waiting, &pending, &pending, 180), [true]);
        assert!(reported(&mut waiting, &pending, &pending, 1000).is_empty());
    }

    #[test]
    fn a_pipeline_that_was_ready_tells_at_once_that_postgresql_is_gone() {
        let mut before = state(kind::READY, True, reason::AS_DESIRED, "");
        before.extend(state(kind::DATABASE_REACHABLE, True, reason::ANSWERS, ""));
        let gone = state(kind::DATABASE_REACHABLE, False, reason::NO_ANSWER, "Fix: start it.");
        assert_eq!(reported(&mut Waiting::default(), &before, &gone, 0), [true]);
    }

    #[test]
    fn a_mistake_is_told_at_once_also_at_the_start() {
        let refused = state(kind::DATABASE_REACHABLE, False, reason::CREDENTIALS_REFUSED, "Fix: correct it.");
        assert_eq!(reported(&mut Waiting::default(), &[], &refused, 0), [true]);
    }

    #[test]
    fn a_first_status_tells_nothing_that_is_well() {
        let fine = state(kind::DEGRADED, False, reason::AS_DESIRED, "");
        assert!(reported(&mut Waiting::default(), &[], &fine, 0).is_empty());
    }
}
