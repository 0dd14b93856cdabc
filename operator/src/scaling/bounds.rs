//! One limit after another.
//!
//! Takes: the terms of a decision, the limits and the past. Gives: the [`Decision`], with the limit that made the
//! difference and the sentence. Does not: compute the demand.

use super::{Decision, Gap, LimitedBy, Limits, Past, Terms, band};

/// Share of failed attempts from which on they are a storm, not some bad addresses.
const STORM: f64 = 0.5;

/// Without an answer nothing is removed, and after a while `fallback.replicas` are there at least.
pub(super) fn blind(limits: &Limits, running: u32, past: &Past) -> (u32, String) {
    let fallback = past.fallback.filter(|fallback| (*fallback).min(limits.max) >= running);
    match fallback {
        Some(fallback) => (
            fallback.min(limits.max).max(limits.min),
            format!("Redis has not answered for fallback.after; fallback.replicas is {fallback}"),
        ),
        None if running < limits.min => (limits.min, format!("Redis does not answer; minReplicas is {}", limits.min)),
        None => (running, "Redis does not answer, so the number stays as it is".into()),
    }
}

/// Bounds what is recommended.
pub(super) fn follow(terms: &Terms, limits: &Limits, running: u32, past: &Past) -> Decision {
    let (mut desired, mut limited_by) = (terms.recommended, None);
    for (by, fewest, most) in steps(terms, limits, running, past) {
        let bounded = desired.min(most).max(fewest);
        if bounded != desired {
            (desired, limited_by) = (bounded, Some(by));
        }
    }
    let explanation = explain(terms, limits, past, desired, limited_by);
    let (recommended, gap) = (terms.recommended, past.reset.then_some(Gap::CounterReset));
    Decision { desired, recommended, limited_by, gap, explanation, terms: Some(terms.clone()) }
}

/// Each limit with the fewest and the most workers that it allows.
fn steps(terms: &Terms, limits: &Limits, running: u32, past: &Past) -> [(LimitedBy, u32, u32); 12] {
    // The past holds back changes only: up to what runs it allows growth, down to what runs it allows shrinking.
    let shrunk = running.min(limits.max).min(mail_connections(limits));
    let grown = running.max(limits.min);
    let held = |is_held: bool| if is_held { grown.max(1) } else { u32::MAX };
    let missing = if terms.is_partial { shrunk } else { 0 };
    [
        (LimitedBy::RetryStorm, 0, storm(terms.recommended, running, past)),
        (LimitedBy::Ineffective, 0, held(past.ineffective)),
        (LimitedBy::NotStarting, 0, held(past.not_starting)),
        (LimitedBy::Mail, 0, mail(terms, limits, running, past)),
        (LimitedBy::MaxReplicas, 0, limits.max),
        (LimitedBy::MinReplicas, limits.min, u32::MAX),
        (LimitedBy::ScaleUp, 0, past.fewest.unwrap_or(u32::MAX).min(past.grow_to).max(grown)),
        (past.window, past.most.min(shrunk), u32::MAX),
        (LimitedBy::LookAhead, terms.ahead.min(shrunk), u32::MAX),
        (LimitedBy::MissingQueue, missing, u32::MAX),
        (LimitedBy::ScaleDown, past.shrink_to.min(shrunk), u32::MAX),
        (LimitedBy::Busy, terms.busy, u32::MAX),
    ]
}

/// Growth for what succeeds only.
fn storm(recommended: u32, running: u32, past: &Past) -> u32 {
    if past.failing < STORM {
        return u32::MAX;
    }
    let succeeding = (f64::from(recommended) * (1.0 - past.failing)).ceil() as u32;
    succeeding.max(running).max(1)
}

/// As many slots as the mail server feeds. A pace, and what workers learnt, hold growth back only: both are figures of
/// the workers that run.
fn mail(terms: &Terms, limits: &Limits, running: u32, past: &Past) -> u32 {
    let soft = [terms.mail_slots, past.mail_connections.map(f64::from)].into_iter().flatten().reduce(f64::min);
    let growth = soft.map_or(u32::MAX, |slots| band::workers(slots, limits.slots()).max(running).max(1));
    mail_connections(limits).min(growth)
}

/// Workers beyond which some would have no connection for some of their slots.
fn mail_connections(limits: &Limits) -> u32 {
    limits.mail.connections.map_or(u32::MAX, |connections| connections.div_ceil(limits.concurrency.max(1)).max(1))
}

fn explain(terms: &Terms, limits: &Limits, past: &Past, desired: u32, limited_by: Option<LimitedBy>) -> String {
    let seen = terms.sentence(limits);
    match limited_by {
        None => seen,
        Some(LimitedBy::RetryStorm) => {
            format!(
                "{seen}; {:.0} % of the attempts fail, and more workers would not change that",
                past.failing * 100.0
            )
        }
        Some(LimitedBy::Ineffective) => {
            format!("{seen}; the last growths brought nothing, so there is no more for now")
        }
        Some(LimitedBy::NotStarting) => {
            format!("{seen}; workers that were asked for have not started, so there are no more for now")
        }
        Some(LimitedBy::Mail) => {
            format!("{seen}; the mail server takes no more ({})", mail_words(terms, limits, desired, past))
        }
        Some(LimitedBy::MinReplicas) => format!("{seen}; minReplicas is {}", limits.min),
        Some(LimitedBy::MaxReplicas) => format!("{seen}; maxReplicas is {}", limits.max),
        Some(LimitedBy::ScaleUp) => format!("{seen}; behavior.scaleUp allows no more now"),
        Some(LimitedBy::Cooldown) if past.reset => {
            format!("{seen}; the counters of Redis began anew, so none is removed before a cooldownPeriod is over")
        }
        Some(LimitedBy::Cooldown) => format!("{seen}; more were needed within cooldownPeriod"),
        Some(LimitedBy::LookAhead) => {
            format!("{seen}; {} are needed for what comes due within {} s", terms.ahead, past.ahead.as_secs())
        }
        Some(LimitedBy::MissingQueue) => {
            format!("{seen}; not all queues could be read and are served, so none is removed")
        }
        Some(LimitedBy::ScaleDown) => format!("{seen}; behavior.scaleDown allows no fewer now"),
        Some(LimitedBy::Busy) => format!("{seen}; busy workers are not stopped"),
    }
}

fn mail_words(terms: &Terms, limits: &Limits, desired: u32, past: &Past) -> String {
    match (limits.mail.connections, limits.mail.per_second, past.mail_connections) {
        (Some(connections), _, _) if desired == mail_connections(limits) => {
            format!("mail.smtp.maxConnections is {connections}")
        }
        (_, Some(per_second), _) if terms.mail_slots.is_some() => format!("mail.smtp.maxPerSecond is {per_second}"),
        (_, _, Some(connections)) => format!("it lets the workers have {connections} connections at once"),
        _ => "by its limits".to_owned(),
    }
}
