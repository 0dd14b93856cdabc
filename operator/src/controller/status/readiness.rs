//! Can the pipeline do its job, and what is wrong with it?
//!
//! Takes: [`Facts`] and the conditions that follow from one source each. Gives: condition `Ready`, which is True while
//! signups are accepted and mails are sent, and the first thing that is wrong. Pure: the time is a parameter. Does not:
//! wait for pods, or decide their number.

use super::{
    Conditions,
    condition::{
        ConditionStatus::{False, True},
        UntimedCondition,
    },
    events::START_TIMEOUT,
    facts::Facts,
    rollout::pod_trouble,
};
use crate::{
    controller::reason::{self, Finding, condition as kind},
    crd::autoscaling::AutoscalingMode,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What is derived from all other conditions.
pub(super) struct Readiness {
    /// Whether signups are accepted and mails are sent.
    pub(super) ready: UntimedCondition,
    /// The first thing that is wrong, the cause before its effects.
    pub(super) wrong: Option<Finding>,
}

impl Readiness {
    pub(super) fn new(facts: &Facts<'_>, conditions: &Conditions, now: Timestamp) -> Self {
        let blocking = blocking_finding(facts);
        let wrong = blocking.clone().or_else(|| finding_while_running(facts, conditions));
        let ready = ready(facts, conditions, blocking, wrong.as_ref(), now);
        Self { ready, wrong }
    }
}

fn ready(
    facts: &Facts<'_>,
    conditions: &Conditions,
    blocking: Option<Finding>,
    wrong: Option<&Finding>,
    now: Timestamp,
) -> UntimedCondition {
    let may_come_back = blocking.is_none() && conditions.redis.status != False;
    let serves =
        facts.api.replicas.ready_replicas > 0 && workers_serve(facts, may_come_back, now) && facts.findings.is_empty();
    let cause = if serves {
        failing([&conditions.mail])
    } else {
        Some(blocking.unwrap_or_else(|| unready_cause(facts, conditions, wrong)))
    };
    match cause {
        Some(cause) => UntimedCondition::from_finding(kind::READY, False, &cause),
        None => {
            let message = "signups are accepted and mails are sent";
            UntimedCondition::new(kind::READY, True, reason::AS_DESIRED, message)
        }
    }
}

/// The first thing that keeps pods from running.
fn blocking_finding(facts: &Facts<'_>) -> Option<Finding> {
    let found = facts.findings.first().cloned();
    let pods = || facts.api.trouble.clone().or_else(|| facts.worker.trouble.clone());
    found.or_else(pods).or_else(|| pod_trouble(&facts.observed.pods))
}

/// The first thing that is wrong while pods run.
fn finding_while_running(facts: &Facts<'_>, conditions: &Conditions) -> Option<Finding> {
    let Conditions { database, migrations, redis, mail, config_applied, .. } = conditions;
    // A configuration that is still spreading is not wrong.
    let refused = || failing([config_applied]).filter(|finding| finding.reason == reason::CONFIG_REFUSED);
    let best_effort = || facts.best_effort.first().map(|(_, finding)| finding.clone());
    let servers = failing([database, migrations, redis, mail]);
    servers
        .or_else(refused)
        .or_else(|| facts.scaling.trouble.clone())
        .or_else(best_effort)
        .or_else(|| facts.outdated.cloned())
}

fn failing<'a>(conditions: impl IntoIterator<Item = &'a UntimedCondition>) -> Option<Finding> {
    let failing = conditions.into_iter().find(|condition| condition.status == False)?;
    Some(Finding { reason: failing.reason, message: failing.message.clone() })
}

/// Workers that went because nothing was due serve still, if they `may_come_back` when something is.
fn workers_serve(facts: &Facts<'_>, may_come_back: bool, now: Timestamp) -> bool {
    let is_coming = || facts.worker.wanted == 0 || is_waking(facts, now);
    facts.worker.replicas.ready_replicas > 0 || (may_be_idle(facts) && may_come_back && is_coming())
}

/// Whether the queue may ask for no worker at all.
fn may_be_idle(facts: &Facts<'_>) -> bool {
    let scaling = &facts.pipeline.spec.worker.autoscaling;
    match scaling.mode {
        AutoscalingMode::Auto => scaling.min_replicas == 0,
        AutoscalingMode::External => true,
        AutoscalingMode::DryRun | AutoscalingMode::Off => false,
    }
}

/// A pipeline that was Ready starts pods, and not for longer than a start takes.
fn is_waking(facts: &Facts<'_>, now: Timestamp) -> bool {
    let status = facts.previous;
    let known = |kind: &str| status?.conditions.iter().find(|known| known.type_ == kind && known.status == "True");
    let has_lasted =
        |known: &Condition| now.duration_since(known.last_transition_time.0).unsigned_abs() >= START_TIMEOUT;
    known(kind::READY).is_some() && !known(kind::PROGRESSING).is_some_and(has_lasted)
}

/// Why a pipeline does not serve although nothing keeps its pods from running.
fn unready_cause(facts: &Facts<'_>, conditions: &Conditions, wrong: Option<&Finding>) -> Finding {
    let Conditions { database, migrations, redis, .. } = conditions;
    // The mail server, or a refused configuration, keeps no pod from being ready; PostgreSQL and Redis do.
    let stores = || failing([database, migrations, redis]);
    no_pods_wanted(facts).or_else(stores).or_else(|| wrong.cloned()).unwrap_or_else(|| {
        let problem = if facts.api.replicas.ready_replicas == 0 {
            "no pod of the api is ready yet"
        } else {
            "signups are accepted and mails wait: no worker is ready yet"
        };
        Finding::with_default_fix(reason::ROLLING_OUT, problem)
    })
}

fn no_pods_wanted(facts: &Facts<'_>) -> Option<Finding> {
    if facts.api.wanted == 0 {
        let problem = "the api shall have no pods, so nobody can sign up";
        return Some(Finding::new(reason::NO_PODS_WANTED, problem, "set spec.api.replicas to 1 or more"));
    }
    let mode = facts.pipeline.spec.worker.autoscaling.mode;
    let follows_resource = matches!(mode, AutoscalingMode::Off | AutoscalingMode::DryRun);
    (facts.worker.wanted == 0 && follows_resource).then(|| {
        let problem = format!("signups are accepted and mails wait: in mode {mode:?} there shall be no workers");
        let fix = "set spec.worker.replicas to 1 or more, or spec.worker.autoscaling.mode to Auto";
        Finding::new(reason::NO_PODS_WANTED, problem, fix)
    })
}

#[cfg(test)]
mod tests;
