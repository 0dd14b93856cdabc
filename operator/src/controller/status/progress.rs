//! Is the newest edit carried out, and if it is not, will it be?
//!
//! Takes: [`Facts`], whether the pipeline works, and the time. Gives: conditions `Ready`, `Reconciling`, `Degraded` and
//! `Stalled` as kstatus reads them (sigs.k8s.io/cli-utils, pkg/kstatus), so that tools can wait for an edit:
//! Reconciling and Stalled are never True at once, and Ready speaks of the newest edit. Pure. Does not: look at pods
//! or servers.

use super::{
    Conditions,
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition, whole_second,
    },
    facts::Facts,
    readiness::Readiness,
};
use crate::{
    controller::reason::{self, Finding, condition as kind},
    crd::status::SignupPipelineStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use pipeline::duration;
use std::time::Duration;

/// The status is looked at again no sooner than this.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What is derived from all other conditions, and what a later reconcile has to know of this one.
pub(super) struct Progress {
    pub(super) ready: UntimedCondition,
    pub(super) reconciling: UntimedCondition,
    pub(super) degraded: UntimedCondition,
    pub(super) stalled: UntimedCondition,
    /// Newest generation that was carried out.
    pub(super) served_generation: Option<i64>,
    /// Since when the newest one is not.
    pub(super) since: Option<Time>,
}

/// How far the newest edit is.
enum State {
    /// All pods run it.
    Done,
    /// It gets there, or somebody may still bring what it waits for.
    OnItsWay(Finding),
    /// It does not get there.
    Stuck(Finding),
    /// The resource is paused, and the children are as it says.
    Paused,
}

impl Progress {
    pub(super) fn new(facts: &Facts<'_>, conditions: &Conditions, readiness: Readiness, now: Timestamp) -> Self {
        let generation = facts.pipeline.metadata.generation;
        let serves =
            readiness.ready.status == True && is_done(facts, conditions, &readiness) && !is_refused(conditions);
        let known = facts.previous.and_then(|status| status.served_generation);
        let served_generation = if serves { generation } else { known };
        let is_served = generation.is_some() && served_generation == generation;
        let since = since(facts, now);
        let state = state(facts, conditions, &readiness, is_served, since, now);
        Self {
            ready: ready(&state, is_served, readiness.ready),
            reconciling: reconciling(&state),
            degraded: degraded(&state, readiness.wrong),
            stalled: match &state {
                State::Stuck(finding) => UntimedCondition::from_finding(kind::STALLED, True, finding),
                _ => UntimedCondition::new(kind::STALLED, False, reason::AS_DESIRED, "nothing waits for an edit"),
            },
            served_generation,
            since: match state {
                State::Done | State::Paused => None,
                State::OnItsWay(_) | State::Stuck(_) => Some(Time(whole_second(since))),
            },
        }
    }
}

/// Time until the progress deadline of a pipeline passes, which no event tells; `None`: it waits for nothing.
pub(crate) fn next_look(status: &SignupPipelineStatus, deadline: Duration, now: Timestamp) -> Option<Duration> {
    let since = status.progressing_since.as_ref()?;
    let is_stalled = |condition: &Condition| condition.type_ == kind::STALLED && condition.status == "True";
    // Workers that are asked for anew have a later deadline than this one.
    let left = deadline.saturating_sub(now.duration_since(since.0).unsigned_abs()).max(MIN_POLL_INTERVAL);
    (!status.conditions.iter().any(is_stalled)).then_some(left)
}

/// Whether pods and configuration are what the newest edit asks for.
fn has_arrived(facts: &Facts<'_>, conditions: &Conditions) -> bool {
    let is_rolled_out = facts.api.is_complete && facts.worker.is_complete;
    let is_spread = conditions.config_applied.reason != reason::SPREADING;
    is_rolled_out && is_spread && facts.findings.is_empty() && !facts.held_back
}

/// A pod that is ready until it ends again does not carry out anything.
fn is_done(facts: &Facts<'_>, conditions: &Conditions, readiness: &Readiness) -> bool {
    has_arrived(facts, conditions) && readiness.blocking.is_none()
}

fn is_refused(conditions: &Conditions) -> bool {
    conditions.config_applied.reason == reason::CONFIG_REFUSED
}

fn state(
    facts: &Facts<'_>,
    conditions: &Conditions,
    readiness: &Readiness,
    is_served: bool,
    since: Timestamp,
    now: Timestamp,
) -> State {
    if facts.pipeline.spec.paused {
        let is_held_back = facts.held_back && !is_served;
        return if is_held_back { State::Stuck(Finding::paused()) } else { State::Paused };
    }
    if is_served && is_done(facts, conditions, readiness) {
        return State::Done;
    }
    let cause = cause(facts, conditions, readiness);
    let deadline = facts.pipeline.spec.progress_deadline.get();
    match cause {
        Some(cause) if reason::needs_edit(cause.reason) => State::Stuck(cause),
        cause if waits_too_long(facts, is_served, since, deadline, now) => {
            State::Stuck(overdue(cause, facts.pipeline.metadata.generation, deadline))
        }
        Some(cause) => State::OnItsWay(cause),
        None if conditions.config_applied.reason == reason::SPREADING => {
            State::OnItsWay(Finding { reason: reason::SPREADING, message: conditions.config_applied.message.clone() })
        }
        None => State::OnItsWay(Finding { reason: reason::ROLLING_OUT, message: rolling_out(facts) }),
    }
}

/// What holds the edit up; `None`: nothing that is known, pods take their time.
fn cause(facts: &Facts<'_>, conditions: &Conditions, readiness: &Readiness) -> Option<Finding> {
    let finding =
        |condition: &UntimedCondition| Finding { reason: condition.reason, message: condition.message.clone() };
    let unready = || {
        let ready = &readiness.ready;
        (ready.status == False && ready.reason != reason::ROLLING_OUT).then(|| finding(ready))
    };
    // Pods that are being replaced refuse what only their successors know.
    let refused =
        || (is_refused(conditions) && has_arrived(facts, conditions)).then(|| finding(&conditions.config_applied));
    readiness.blocking.clone().or_else(unready).or_else(refused).or_else(|| readiness.probe.clone())
}

fn rolling_out(facts: &Facts<'_>) -> String {
    let unseen = if facts.pod_events.is_forbidden {
        " (what Events say of them was not looked at, it needs the right to list events)"
    } else {
        ""
    };
    format!("pods are starting or being replaced{unseen}")
}

/// The time that the deadline counts from: the edit, or when what it waited for came.
fn since(facts: &Facts<'_>, now: Timestamp) -> Timestamp {
    let known = facts.previous.filter(|status| status.observed_generation == facts.pipeline.metadata.generation);
    let Some(previous) = known else { return now };
    let reconciling = previous.conditions.iter().find(|condition| condition.type_ == kind::RECONCILING);
    let waited = reconciling.is_some_and(|condition| reason::is_about_a_name(&condition.reason));
    let has_come = waited && facts.findings.is_empty();
    previous.progressing_since.as_ref().filter(|_| !has_come).map_or(now, |since| since.0)
}

/// Workers that the queue asks for begin anew each time it asks for more.
fn waits_too_long(facts: &Facts<'_>, is_served: bool, since: Timestamp, deadline: Duration, now: Timestamp) -> bool {
    let scaled = facts.previous.and_then(|status| status.autoscaling.as_ref()?.last_scale_time.clone());
    let since = if is_served { scaled.map_or(since, |scaled| scaled.0.max(since)) } else { since };
    now.duration_since(since).unsigned_abs() >= deadline
}

fn overdue(cause: Option<Finding>, generation: Option<i64>, deadline: Duration) -> Finding {
    let (edit, deadline) = (generation.unwrap_or_default(), duration::format(deadline));
    let Some(cause) = cause else {
        let problem = format!("edit {edit} is not carried out after {deadline} (spec.progressDeadline)");
        return Finding::with_default_fix(reason::DEADLINE_EXCEEDED, problem);
    };
    let (problem, fix) = Finding::problem_and_fix(&cause.message);
    let waited = format!("edit {edit} has waited for longer than {deadline} (spec.progressDeadline)");
    Finding::new(cause.reason, format!("{problem}; {waited}"), fix.unwrap_or("none"))
}

/// As long as the newest edit was never carried out, what older pods do says nothing about it.
fn ready(state: &State, is_served: bool, now: UntimedCondition) -> UntimedCondition {
    match state {
        _ if is_served => now,
        State::Stuck(finding) => UntimedCondition::from_finding(kind::READY, False, finding),
        _ if now.status == False && now.reason != reason::ROLLING_OUT => now,
        State::OnItsWay(finding) if finding.reason != reason::ROLLING_OUT => {
            UntimedCondition::from_finding(kind::READY, Unknown, finding)
        }
        _ => {
            let meanwhile = if now.status == True { "; older ones serve meanwhile" } else { "" };
            let message = format!("the pods of the newest edit are not all ready yet{meanwhile}");
            UntimedCondition::new(kind::READY, Unknown, reason::ROLLING_OUT, message)
        }
    }
}

fn reconciling(state: &State) -> UntimedCondition {
    match state {
        State::OnItsWay(finding) => UntimedCondition::from_finding(kind::RECONCILING, True, finding),
        State::Stuck(finding) => UntimedCondition::from_finding(kind::RECONCILING, False, finding),
        State::Paused => UntimedCondition::from_finding(kind::RECONCILING, False, &Finding::paused()),
        State::Done => {
            let message = "every pod runs as the resource says";
            UntimedCondition::new(kind::RECONCILING, False, reason::AS_DESIRED, message)
        }
    }
}

/// One cause is told with the same words everywhere.
fn degraded(state: &State, wrong: Option<Finding>) -> UntimedCondition {
    let told = match (state, wrong) {
        (State::Stuck(finding), Some(wrong)) if wrong.reason == finding.reason => Some(finding.clone()),
        (State::Stuck(finding), None) if finding.reason == reason::DEADLINE_EXCEEDED => Some(finding.clone()),
        (_, wrong) => wrong,
    };
    match told {
        Some(finding) => UntimedCondition::from_finding(kind::DEGRADED, True, &finding),
        None => UntimedCondition::new(kind::DEGRADED, False, reason::AS_DESIRED, "nothing is known to be wrong"),
    }
}

#[cfg(test)]
mod tests;
