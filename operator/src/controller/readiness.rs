//! Can the pipeline do its job, and what is wrong with it?
//!
//! Takes: [`Facts`]. Gives: condition `Ready`, which is True while signups are accepted and mails are sent, and the first thing
//! that is wrong. Pure: the time is a parameter. Does not: wait for pods, or decide their number.

use super::{
    condition::{Draft, Holds},
    configuration::config_applied,
    events::PATIENCE,
    facts::Facts,
    reachability::{database, mail, redis},
    reason::{self, Finding, condition as kind},
    rollout::pod_trouble,
};
use crate::crd::autoscaling::AutoscalingMode;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether signups are accepted and mails are sent; `wrong` is what [`wrong`] gave.
pub(super) fn ready(facts: &Facts<'_>, wrong: Option<&Finding>, now: Timestamp) -> Draft {
    let serves = facts.api.replicas.ready_replicas > 0 && workers_serve(facts, now) && facts.findings.is_empty();
    let cause = if serves { failing([mail(facts)]) } else { Some(hindrance(facts, wrong)) };
    match cause {
        Some(cause) => Draft::from_finding(kind::READY, Holds::False, &cause),
        None => Draft::new(kind::READY, Holds::True, reason::AS_DESIRED, "signups are accepted and mails are sent"),
    }
}

/// The first thing that is wrong, the cause before its effects.
pub(super) fn wrong(facts: &Facts<'_>) -> Option<Finding> {
    let servers = || failing(database(facts).into_iter().chain([redis(facts), mail(facts)]));
    // What spreads is not wrong.
    let refused = || failing([config_applied(facts)]).filter(|finding| finding.reason == reason::CONFIG_REFUSED);
    let leaf = || facts.leaves.first().map(|(_, finding)| finding.clone());
    let rest = || facts.scaling.trouble.clone().or_else(leaf).or_else(|| facts.outdated.cloned());
    blocking(facts).or_else(servers).or_else(refused).or_else(rest)
}

/// The first thing that keeps pods from running.
fn blocking(facts: &Facts<'_>) -> Option<Finding> {
    let found = facts.findings.first().cloned();
    let pods = || facts.api.trouble.clone().or_else(|| facts.worker.trouble.clone());
    found.or_else(pods).or_else(|| pod_trouble(&facts.observed.pods))
}

fn failing(drafts: impl IntoIterator<Item = Draft>) -> Option<Finding> {
    let draft = drafts.into_iter().find(|draft| draft.holds == Holds::False)?;
    Some(Finding { reason: draft.reason, message: draft.message })
}

/// Workers that went because nothing was due serve still: they come back when something is.
fn workers_serve(facts: &Facts<'_>, now: Timestamp) -> bool {
    let returns = || may_be_idle(facts) && blocking(facts).is_none() && redis(facts).holds != Holds::False;
    let is_coming = || facts.worker.wanted == 0 || is_waking(facts, now);
    facts.worker.replicas.ready_replicas > 0 || (returns() && is_coming())
}

/// Whether no worker at all may be what somebody wants who follows the queue.
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
    let status = facts.pipeline.status.as_ref();
    let known = |kind: &str| status?.conditions.iter().find(|known| known.type_ == kind && known.status == "True");
    let has_lasted = |known: &Condition| now.duration_since(known.last_transition_time.0).unsigned_abs() >= PATIENCE;
    known(kind::READY).is_some() && !known(kind::PROGRESSING).is_some_and(has_lasted)
}

/// Why a pipeline does not serve.
fn hindrance(facts: &Facts<'_>, wrong: Option<&Finding>) -> Finding {
    // The mail server, or a refused configuration, keeps no pod from being ready; PostgreSQL and Redis do.
    let stores = || failing(database(facts).into_iter().chain([redis(facts)]));
    let cause = blocking(facts).or_else(|| switched_off(facts)).or_else(stores).or_else(|| wrong.cloned());
    cause.unwrap_or_else(|| {
        let problem = if facts.api.replicas.ready_replicas == 0 {
            "no pod of the api is ready yet"
        } else {
            "signups are accepted and mails wait: no worker is ready yet"
        };
        Finding::usual(reason::ROLLING_OUT, problem)
    })
}

fn switched_off(facts: &Facts<'_>) -> Option<Finding> {
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
