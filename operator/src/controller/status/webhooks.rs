//! Do applications take what they are told?
//!
//! Takes: what the workers report on their admin ports, and when the condition changed lately. Gives: the condition,
//! with the host, the time, the cause and what mends it. Pure: the time is a parameter. Does not: show a path or query
//! of a URL, for they may hold secrets.
//!
//! Where no worker knows anything (it has started just now, or nothing is owed), the condition stays as it is.

use super::{
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition,
    },
    facts::Facts,
    webhook_changes::{Change, known},
};
use crate::{
    build::names::Component,
    controller::{
        observe::pods::{NotTaken, Receiver},
        reason::{self, Finding, condition::WEBHOOKS_DELIVERED},
    },
    crd::{SignupPipeline, webhooks::Webhook},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether the receivers of webhooks take them.
pub(super) fn delivered(facts: &Facts<'_>, now: Timestamp) -> UntimedCondition {
    let webhooks = &facts.pipeline.spec.webhooks;
    if webhooks.is_empty() {
        let message = "spec.webhooks names no application";
        return UntimedCondition::new(WEBHOOKS_DELIVERED, True, reason::NO_WEBHOOKS, message);
    }
    let before = facts.previous.and_then(known).and_then(|known| kept(known, facts.pipeline));
    match (found(facts), before) {
        (Some(found), Some(before)) if found != before => {
            let change = match found.status {
                status if status == before.status => Change::OfWords,
                True => Change::ToGood,
                False | Unknown => Change::ToBad,
            };
            if facts.webhook_changes.allow(change, now) { found } else { before }
        }
        (Some(found), _) => found,
        (None, Some(before)) => before,
        (None, None) => {
            let message = "no worker has told an application anything yet";
            UntimedCondition::new(WEBHOOKS_DELIVERED, Unknown, reason::NOT_KNOWN, message)
        }
    }
}

/// The condition as it was; `None` where it speaks of what the resource does not name any more, or of trouble before an
/// edit that may have ended it.
fn kept(known: &Condition, pipeline: &SignupPipeline) -> Option<UntimedCondition> {
    let (why, status) = (reason::named(&known.reason)?, if known.status == "True" { True } else { False });
    let is_named = || pipeline.spec.webhooks.iter().any(|webhook| known.message.contains(host(&webhook.url)));
    let is_of_this_edit = || known.observed_generation == pipeline.metadata.generation;
    let holds = why != reason::NO_WEBHOOKS && (status == True || (is_named() && is_of_this_edit()));
    holds.then(|| UntimedCondition::new(WEBHOOKS_DELIVERED, status, why, known.message.as_str()))
}

/// What the workers say now.
fn found(facts: &Facts<'_>) -> Option<UntimedCondition> {
    let is_named = |receiver: &&Receiver| named(facts.pipeline, &receiver.host).is_some();
    let workers = facts.reports.iter().filter(|report| report.component == Some(Component::Worker));
    let told: Vec<&Receiver> = workers.flat_map(|report| &report.webhooks).filter(is_named).collect();
    let mut failing: Vec<(&NotTaken, &str)> =
        told.iter().filter_map(|receiver| Some((receiver.failing.as_ref()?, receiver.host.as_str()))).collect();
    failing.sort();
    match failing.first() {
        Some((why, host)) => {
            let mut others: Vec<&str> = failing.iter().map(|(_, other)| *other).filter(|other| other != host).collect();
            others.sort_unstable();
            others.dedup();
            let finding = trouble(host, why, &others, named(facts.pipeline, host));
            Some(UntimedCondition::from_finding(WEBHOOKS_DELIVERED, False, &finding))
        }
        None if told.is_empty() => None,
        None => {
            let message = "the applications of spec.webhooks take what they are told";
            Some(UntimedCondition::new(WEBHOOKS_DELIVERED, True, reason::ANSWERS, message))
        }
    }
}

fn named<'a>(pipeline: &'a SignupPipeline, host: &str) -> Option<&'a Webhook> {
    pipeline.spec.webhooks.iter().find(|webhook| self::host(&webhook.url) == host)
}

/// As the worker writes it: with the port where the URL has one, without user and password.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn trouble(host: &str, why: &NotTaken, others: &[&str], webhook: Option<&Webhook>) -> Finding {
    let NotTaken { since, fault, said } = why;
    let reason = match fault.as_str() {
        "tls" => reason::TLS_MISMATCH,
        "refused" => reason::RECEIVER_REFUSES,
        "misconfigured" => reason::WEBHOOK_UNSENDABLE,
        _ => reason::RECEIVER_DOWN,
    };
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let others = if others.is_empty() { String::new() } else { format!(", nor to {}", others.join(", ")) };
    let effect = match fault.as_str() {
        "refused" => "signups and mails go on, and what is refused is tried again until its retries are used up",
        _ => "signups and mails go on, and what is owed waits until its deadline",
    };
    let problem = format!("no webhooks are delivered to {host}{since} ({said}){others}; {effect}");
    Finding::new(reason, problem, fix(fault, host, webhook))
}

fn fix(fault: &str, host: &str, webhook: Option<&Webhook>) -> String {
    let secret = webhook.map(|webhook| webhook.secret_ref.name.as_str()).unwrap_or_default();
    match fault {
        "name" => format!("have DNS know {host}, or correct the URL in spec.webhooks"),
        "connection" => format!(
            "see that {host} runs and listens there, that its URL in spec.webhooks is right, and that network policies \
             let workers reach it"
        ),
        "timeout" => {
            format!("have {host} answer within 15 s, and see that network policies and firewalls let workers reach it")
        }
        "tls" => format!(
            "have {host} show a certificate for that name which a public authority signed, or one of the file that \
             SSL_CERT_FILE names; where it speaks no TLS, correct the URL in spec.webhooks"
        ),
        "status" | "answer" => format!("see the log of {host}; webhooks go on by themselves when it takes them"),
        "refused" => format!(
            "have {host} answer with a status of 2xx: see that its URL in spec.webhooks is right, and that it knows \
             what Secret {secret} holds"
        ),
        "misconfigured" => format!("correct that in spec.webhooks, or in Secret {secret}"),
        _ => reason::RECEIVER_DOWN.fix().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests;
