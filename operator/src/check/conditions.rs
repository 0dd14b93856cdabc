//! What does the status of a pipeline say?
//!
//! Takes: the resource. Gives: lines: conditions that are not as they should be, one per cause, and whether the
//! operator has seen the newest edit. Pure: the time is a parameter. Does not: repeat a cause for each condition that
//! it spoils.

use super::line::{Level, Line};
use crate::{
    build,
    controller::{
        reason::{self, Finding, condition},
        status::events::START_TIMEOUT,
    },
    crd::SignupPipeline,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Judges the status.
pub(super) fn judge(pipeline: &SignupPipeline, now: Timestamp) -> Vec<Line> {
    let looked_at = pipeline.status.as_ref().filter(|status| status.observed_generation.unwrap_or(0) >= 0);
    let Some(status) = looked_at else {
        let fix = "see that an operator runs and serves this namespace: `operator check`";
        let line = Line::error("status", "the operator has not looked at it", fix);
        let is_new = is_recent(pipeline.metadata.creation_timestamp.as_ref(), now);
        return vec![Line { level: if is_new { Level::Warning } else { Level::Error }, ..line }];
    };
    let mut lines = Vec::new();
    let (seen, newest) = (status.observed_generation.unwrap_or(0), pipeline.metadata.generation.unwrap_or(0));
    if seen < newest {
        let message = format!(
            "it speaks of edit {seen}, and {newest} is the newest: the operator does not look at this pipeline"
        );
        lines.push(Line::error(
            "status",
            message,
            "see that an operator runs and serves this namespace (`operator check`); an edit is seen within seconds",
        ));
    }
    lines.extend(spoiled(&status.conditions, now));
    if lines.is_empty() {
        let ready = status.conditions.iter().find(|condition| condition.type_ == condition::READY);
        let words = ready.map_or("no condition is bad", |ready| ready.message.as_str());
        lines.push(Line::ok("conditions", words));
    }
    lines.extend(configuration(pipeline));
    lines
}

/// Conditions that are not as they should be, those with the same message in one line.
fn spoiled(conditions: &[Condition], now: Timestamp) -> Vec<Line> {
    let mut groups: Vec<(Vec<&str>, &Condition)> = Vec::new();
    for condition in conditions.iter().filter(|condition| is_spoiled(condition)) {
        match groups.iter_mut().find(|(_, first)| first.message == condition.message) {
            Some((types, _)) => types.push(&condition.type_),
            None => groups.push((vec![&condition.type_], condition)),
        }
    }
    groups.into_iter().map(|(types, condition)| line(&types, condition, now)).collect()
}

/// Whether that happened within [`START_TIMEOUT`]; what has no time has not.
pub(super) fn is_recent(at: Option<&Time>, now: Timestamp) -> bool {
    at.is_some_and(|at| now.duration_since(at.0).unsigned_abs() < START_TIMEOUT)
}

fn line(types: &[&str], condition: &Condition, now: Timestamp) -> Line {
    let (message, fix) = Finding::problem_and_fix(&condition.message);
    let is_passing = reason::is_transient(&condition.reason) && is_recent(Some(&condition.last_transition_time), now);
    let passes = is_passing || condition.reason == reason::PAUSED.name();
    Line {
        level: if passes { Level::Warning } else { Level::Error },
        subject: format!("{} {}", if types.len() == 1 { "condition" } else { "conditions" }, types.join(", ")),
        message: format!("{}: {message}", condition.reason),
        fix: fix.map(str::to_owned),
    }
}

/// The operator writes a fix exactly when something is wrong; `Exposed` is False also when the resource exposes
/// nothing.
fn is_spoiled(condition: &Condition) -> bool {
    let good = if condition::is_good_when_true(&condition.type_) { "True" } else { "False" };
    // Nothing is on its way any more, and the message says why.
    let is_stuck = condition.type_ == condition::RECONCILING && condition.status == "False";
    (condition.status != good || is_stuck) && condition.message.contains("Fix:")
}

/// Whether the pods run what the resource says.
fn configuration(pipeline: &SignupPipeline) -> Option<Line> {
    let status = pipeline.status.as_ref()?;
    let config = status.config.as_ref()?;
    let (hash, applied, total) = (&config.hash, config.applied_pods, config.total_pods);
    let is_current = status.observed_generation == pipeline.metadata.generation;
    let own = build::configuration(pipeline).map(|(_, hash)| hash).ok();
    if is_current && own.is_some_and(|own| own != *hash) {
        let message =
            format!("the operator writes {hash}, and this program would write another: they differ in version");
        return Some(Line::warning("configuration", message, "use the program of the operator's image"));
    }
    // Otherwise condition ConfigApplied says it.
    (applied == total && total > 0).then(|| Line::ok("configuration", format!("{applied} of {total} pods run {hash}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// A minute after every condition of these tests changed.
    fn judge(pipeline: &SignupPipeline) -> Vec<Line> {
        super::judge(pipeline, at("2026-01-01T00:01:00Z"))
    }

    fn pipeline(generation: i64, conditions: Value) -> SignupPipeline {
        let mut pipeline =
            crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        pipeline.metadata.generation = Some(generation);
        let hash = build::configuration(&pipeline).expect("it is valid").1;
        let config = json!({"hash": hash, "appliedPods": 3, "totalPods": 3});
        pipeline.status =
            serde_json::from_value(json!({"observedGeneration": 2, "conditions": conditions, "config": config}))
                .expect("a status");
        pipeline
    }

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn one_cause_is_one_line_however_many_conditions_it_spoils() {
        let message = "Secret a is missing. Fix: create it.";
        let lines = judge(&pipeline(
            2,
            json!([
                condition("Ready", "False", "SecretMissing", message),
                condition("Degraded", "True", "SecretMissing", message),
                condition("MailReachable", "Unknown", "NotKnown", "no worker has sent a mail yet"),
                condition("Exposed", "False", "NotAskedFor", "spec.expose is absent"),
            ]),
        ));
        assert_eq!(
            lines[0],
            Line::error("conditions Ready, Degraded", "SecretMissing: Secret a is missing", "create it")
        );
        assert_eq!(lines[1].subject, "configuration");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn what_passes_by_itself_is_a_warning_until_it_has_lasted() {
        let lines =
            judge(&pipeline(2, json!([condition("ConfigApplied", "False", "Spreading", "some pods. Fix: none.")])));
        assert_eq!(lines[0], Line::warning("condition ConfigApplied", "Spreading: some pods", "none"));
        let starting = pipeline(2, json!([condition("Ready", "False", "RollingOut", "no pod is ready. Fix: none.")]));
        assert_eq!(judge(&starting)[0].level, Level::Warning);
        assert_eq!(super::judge(&starting, at("2026-01-01T00:04:00Z"))[0].level, Level::Error);
        let paused = pipeline(2, json!([condition("Paused", "True", "PausedBySpec", "left alone. Fix: remove it.")]));
        assert_eq!(super::judge(&paused, at("2026-02-01T00:00:00Z"))[0].level, Level::Warning);
    }

    #[test]
    fn a_good_status_is_told_in_two_lines() {
        let lines = judge(&pipeline(2, json!([condition("Ready", "True", "AsDesired", "mails are sent")])));
        assert_eq!(lines[0], Line::ok("conditions", "mails are sent"));
        assert!(lines[1].level == Level::Ok && lines[1].message.starts_with("3 of 3 pods run"));
    }

    #[test]
    fn a_status_of_an_older_edit_or_none_shows_that_no_operator_looks() {
        let lines = judge(&pipeline(3, json!([condition("Ready", "True", "AsDesired", "mails are sent")])));
        assert!(lines[0].level == Level::Error && lines[0].message.contains("edit 2, and 3 is the newest"));
        let mut fresh = pipeline(1, json!([]));
        fresh.status = None;
        assert_eq!(judge(&fresh)[0].level, Level::Error);
    }

    #[test]
    fn another_configuration_than_this_program_would_write_is_told() {
        let mut other = pipeline(2, json!([]));
        other.status.as_mut().and_then(|status| status.config.as_mut()).expect("set above").hash = "0123".into();
        assert!(judge(&other).iter().any(|line| line.level == Level::Warning && line.subject == "configuration"));
    }
}
