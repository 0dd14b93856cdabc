//! The conditions of scaling, which are those of the HorizontalPodAutoscaler.
//!
//! Takes: what an evaluation came to. Gives: AbleToScale (the number can be written, and is nobody else's),
//! ScalingActive (it follows the work), ScalingLimited (the work asks for more). Pure. Does not: decide the number of
//! workers, or put a figure into a message: it would be written again with each.

use super::{
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition,
    },
    facts::Facts,
};
use crate::{
    controller::{
        reason::{self, Finding, condition as kind},
        reported_limits,
        scale::Scaling,
    },
    crd::autoscaling::AutoscalingMode,
    scaling::Gap,
};

pub(super) fn able_to_scale(facts: &Facts<'_>) -> UntimedCondition {
    let able = |status, reason, message: &str| UntimedCondition::new(kind::ABLE_TO_SCALE, status, reason, message);
    let Scaling { refused, decision, .. } = facts.scaling;
    match (given_away(facts), refused) {
        (Some(Away::Paused), _) => UntimedCondition::from_finding(kind::ABLE_TO_SCALE, False, &Finding::paused()),
        (_, Some(finding)) => UntimedCondition::from_finding(kind::ABLE_TO_SCALE, False, finding),
        (Some(Away::Mode(AutoscalingMode::External)), None) => {
            able(False, reason::MODE, "mode External: somebody else sets the number of workers")
        }
        _ if decision.is_none() => able(Unknown, reason::NOT_KNOWN, "nobody could look yet"),
        _ => {
            let unasked = "; those that are too many are stopped without being asked to take no more mails, which \
                needs ~asynq:draining in the access list of Redis";
            let note = if facts.scaling.is_drain_forbidden { unasked } else { "" };
            able(True, reason::READY_FOR_NEW_SCALE, &format!("the operator sets the number of workers{note}"))
        }
    }
}

pub(super) fn scaling_active(facts: &Facts<'_>) -> UntimedCondition {
    let active = |status, reason, message: &str| UntimedCondition::new(kind::SCALING_ACTIVE, status, reason, message);
    let bad = |finding: &Finding| UntimedCondition::from_finding(kind::SCALING_ACTIVE, False, finding);
    let Scaling { shared, partial, queues, untracked, .. } = facts.scaling;
    match given_away(facts) {
        Some(Away::Paused) => return bad(&Finding::paused()),
        Some(Away::Mode(mode)) if shared.is_none() => return active(False, reason::MODE, words(mode)),
        _ => {}
    }
    let wrong = shared.clone().or_else(|| partial.clone()).or_else(|| facts.scaling.gap().map(told));
    match (wrong.as_ref(), queues, untracked) {
        (Some(finding), _, _) => bad(finding),
        (None, Err(_), _) if !facts.findings.is_empty() => active(Unknown, reason::NOT_KNOWN, "nobody could look yet"),
        (None, Err(finding), _) => bad(finding),
        (None, Ok(_), None) => active(True, reason::FOLLOWS_QUEUE, words(AutoscalingMode::Auto)),
        (None, Ok(_), Some(why)) => {
            let text = format!("{}, up to 1 s late: {why}", words(AutoscalingMode::Auto));
            active(True, reason::POLLS_QUEUE, &text)
        }
    }
}

pub(super) fn scaling_limited(facts: &Facts<'_>) -> UntimedCondition {
    match facts.scaling.limited.and_then(reported_limits::reported) {
        Some((reason, problem)) if given_away(facts).is_none() => {
            let finding = Finding::with_default_fix(reason, problem);
            UntimedCondition::from_finding(kind::SCALING_LIMITED, True, &finding)
        }
        _ => {
            let message = "there are as many workers as the work asks for, or will be";
            UntimedCondition::new(kind::SCALING_LIMITED, False, reason::DESIRED_WITHIN_RANGE, message)
        }
    }
}

/// What is told of a decision that lacks something.
fn told(gap: Gap) -> Finding {
    let (reason, problem) = match gap {
        Gap::Fallback => (
            reason::FALLBACK_ACTIVE,
            "Redis has not answered for fallback.after, so fallback.replicas workers run at least",
        ),
        Gap::CounterReset => (
            reason::COUNTER_RESET,
            "counters of Redis went backwards, so what was learnt is forgotten and for a cooldownPeriod no worker is \
                removed",
        ),
    };
    Finding::with_default_fix(reason, problem)
}

/// Why the operator does not decide.
enum Away {
    Paused,
    Mode(AutoscalingMode),
}

fn given_away(facts: &Facts<'_>) -> Option<Away> {
    let spec = &facts.pipeline.spec;
    if spec.paused {
        return Some(Away::Paused);
    }
    Some(spec.worker.autoscaling.mode).filter(|mode| *mode != AutoscalingMode::Auto).map(Away::Mode)
}

fn words(mode: AutoscalingMode) -> &'static str {
    match mode {
        AutoscalingMode::Auto => "the number of workers follows the work that is due",
        AutoscalingMode::DryRun => "mode DryRun: what would be done is in status.autoscaling only",
        AutoscalingMode::External => "mode External: somebody else sets the number of workers",
        AutoscalingMode::Off => "mode Off: the number of workers is spec.worker.replicas",
    }
}
