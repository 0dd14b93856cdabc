//! Can the pipeline do its job, and what is wrong with it?
//!
//! Takes: [`Facts`] and the conditions that follow from one source each. Gives: whether signups are accepted and mails
//! are sent, and the first thing that is wrong. Pure: the time is a parameter. Does not: wait for pods, decide their
//! number, or ask which edit they are of (`progress` does).

use super::{
    Conditions,
    condition::{
        ConditionStatus::{False, True},
        UntimedCondition,
    },
    events::START_TIMEOUT,
    facts::Facts,
    pods::{is_looping, pod_trouble, probe_trouble},
};
use crate::{
    build::names::Component,
    controller::observe::{
        pod_events::is_ready,
        pods::{component as component_of, is_live},
    },
    controller::reason::{self, Finding, condition as kind},
    crd::{api_autoscaling::ApiAutoscalingMode, autoscaling::AutoscalingMode},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// What is derived from all other conditions.
pub(super) struct Readiness {
    /// Whether signups are accepted and mails are sent, by pods of whatever edit.
    pub(super) ready: UntimedCondition,
    /// The first thing that keeps pods from running.
    pub(super) blocking: Option<Finding>,
    /// Why a pod that runs is not ready, as its probe says.
    pub(super) probe: Option<Finding>,
    /// The first thing that is wrong, the cause before its effects.
    pub(super) wrong: Option<Finding>,
}

impl Readiness {
    pub(super) fn new(facts: &Facts<'_>, conditions: &Conditions, now: Timestamp) -> Self {
        let blocking = blocking_finding(facts, now);
        let probe = probe_trouble(&facts.observed.pods, facts.pod_events, now);
        let wrong = blocking.clone().or_else(|| finding_while_running(facts, conditions));
        let ready = ready(facts, conditions, blocking.as_ref(), probe.as_ref(), now);
        Self { ready, blocking, probe, wrong }
    }
}

fn ready(
    facts: &Facts<'_>,
    conditions: &Conditions,
    blocking: Option<&Finding>,
    probe: Option<&Finding>,
    now: Timestamp,
) -> UntimedCondition {
    let may_come_back = blocking.is_none() && conditions.redis.status != False;
    let serves =
        steady(facts, Component::Api, now) > 0 && workers_serve(facts, may_come_back, now) && facts.findings.is_empty();
    let cause = if serves {
        failing([&conditions.mail])
    } else {
        Some(blocking.cloned().unwrap_or_else(|| unready_cause(facts, conditions, probe)))
    };
    match cause {
        Some(cause) => UntimedCondition::from_finding(kind::READY, False, &cause),
        None => {
            let newer =
                facts.newer_image.map(|image| format!("; newer than their image is the operator's own, {image}"));
            let (newer, others) = (newer.unwrap_or_default(), facts.observed.others.note());
            let message = format!("signups are accepted and mails are sent{newer}{others}");
            UntimedCondition::new(kind::READY, True, reason::AS_DESIRED, message)
        }
    }
}

/// The first thing that keeps pods from running.
fn blocking_finding(facts: &Facts<'_>, now: Timestamp) -> Option<Finding> {
    let found = facts.findings.first().cloned();
    let pods = || facts.api.trouble.clone().or_else(|| facts.worker.trouble.clone());
    found.or_else(pods).or_else(|| pod_trouble(&facts.observed.pods, facts.pod_events, now))
}

/// The first thing that is wrong while pods run.
fn finding_while_running(facts: &Facts<'_>, conditions: &Conditions) -> Option<Finding> {
    let Conditions { database, migrations, redis, mail, webhooks, config_applied, .. } = conditions;
    // A configuration that is still spreading is not wrong.
    let wrong = [reason::CONFIG_REFUSED, reason::TEMPLATES_REFUSED];
    let refused = || failing([config_applied]).filter(|finding| wrong.contains(&finding.reason));
    let best_effort = || facts.best_effort.first().map(|(_, finding)| finding.clone());
    let servers = failing([database, migrations, redis, mail]);
    servers
        .or_else(refused)
        .or_else(|| facts.scaling.trouble().cloned())
        .or_else(|| facts.left_alone.first().cloned())
        .or_else(|| failing([webhooks]))
        .or_else(best_effort)
        .or_else(|| facts.outdated.cloned())
}

fn failing<'a>(conditions: impl IntoIterator<Item = &'a UntimedCondition>) -> Option<Finding> {
    let failing = conditions.into_iter().find(|condition| condition.status == False)?;
    Some(Finding { reason: failing.reason, message: failing.message.clone() })
}

/// Ready pods, without those that are ready only until they end again.
fn steady(facts: &Facts<'_>, component: Component, now: Timestamp) -> i32 {
    let ready = match component {
        Component::Api => facts.api.replicas.ready_replicas,
        Component::Worker => facts.worker.replicas.ready_replicas,
    };
    let pods = || facts.observed.pods.iter().filter(|pod| is_live(pod) && component_of(pod) == Some(component));
    if !pods().any(|pod| is_looping(pod, now)) {
        return ready;
    }
    let steady = pods().filter(|pod| is_ready(pod) && !is_looping(pod, now)).count();
    ready.min(i32::try_from(steady).unwrap_or(i32::MAX))
}

/// Workers that went because nothing was due serve still, if they `may_come_back` when something is.
fn workers_serve(facts: &Facts<'_>, may_come_back: bool, now: Timestamp) -> bool {
    let is_coming = || facts.worker.wanted == 0 || is_waking(facts, now);
    steady(facts, Component::Worker, now) > 0 || (may_be_idle(facts) && may_come_back && is_coming())
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
    known(kind::READY).is_some() && !known(kind::RECONCILING).is_some_and(has_lasted)
}

/// Time until pods that start have no more time for it, which no event tells; `None`: none starts, or it is over.
pub(in crate::controller) fn end_of_start(conditions: &[Condition], now: Timestamp) -> Option<Duration> {
    let starts = |known: &&Condition| known.type_ == kind::RECONCILING && known.status == "True";
    let since = conditions.iter().find(starts)?.last_transition_time.0;
    START_TIMEOUT.checked_sub(now.duration_since(since).unsigned_abs())
}

/// Why a pipeline does not serve although nothing keeps its pods from running.
fn unready_cause(facts: &Facts<'_>, conditions: &Conditions, probe: Option<&Finding>) -> Finding {
    let Conditions { database, migrations, redis, mail, .. } = conditions;
    // PostgreSQL and Redis keep pods from being ready. A child that no other needs keeps nothing from anything.
    let stores = || failing([database, migrations, redis]);
    let others = || failing([mail]).or_else(|| facts.scaling.trouble().cloned());
    no_pods_wanted(facts).or_else(stores).or(probe.cloned()).or_else(others).unwrap_or_else(|| {
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
        let fix = match facts.pipeline.spec.api.autoscaling.mode {
            ApiAutoscalingMode::Off => "set spec.api.replicas to 1 or more",
            _ => "have whoever sets the replicas of its Deployment set 1 or more",
        };
        return Some(Finding::new(reason::NO_PODS_WANTED, problem, fix));
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
