//! Can the api's HorizontalPodAutoscaler act?
//!
//! Takes: what is observed, and the time. Gives: what its controller says is wrong, once that has lasted for as long as
//! a start may take (new pods have no figures yet), and until then the time to look again. Pure.

use super::events::START_TIMEOUT;
use crate::{
    build::{child::Kind, names::Component},
    controller::{
        observe::Observed,
        reason::{self, Finding},
    },
    crd::SignupPipeline,
};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;
use std::time::Duration;

/// What is wrong with it now, or how long until that counts.
pub(in crate::controller) fn inactive(
    pipeline: &SignupPipeline,
    observed: &Observed,
    now: Timestamp,
) -> (Option<Finding>, Option<Duration>) {
    let name = Component::Api.child_name(&pipeline.name_any());
    let autoscaler = observed.child(Kind::HorizontalPodAutoscaler, &name);
    let conditions = autoscaler.and_then(|one| one.data.pointer("/status/conditions")?.as_array());
    // ScalingLimited is False when all is well.
    let is_wrong = |condition: &&Value| {
        matches!(condition["type"].as_str(), Some("AbleToScale" | "ScalingActive")) && condition["status"] == "False"
    };
    let Some(wrong) = conditions.and_then(|conditions| conditions.iter().find(is_wrong)) else { return (None, None) };
    let since = wrong["lastTransitionTime"].as_str().and_then(|since| since.parse::<Timestamp>().ok());
    let lasted = since.map_or(START_TIMEOUT, |since| now.duration_since(since).unsigned_abs());
    if let Some(left) = START_TIMEOUT.checked_sub(lasted).filter(|left| !left.is_zero()) {
        return (None, Some(left));
    }
    let said = wrong["message"].as_str().unwrap_or_default().trim_end_matches('.');
    let problem = format!("HorizontalPodAutoscaler {name} cannot act: {said}");
    (Some(Finding::with_default_fix(reason::AUTOSCALER_INACTIVE, problem)), None)
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::Fixture, *};
    use serde_json::json;
    use std::sync::Arc;

    fn told(conditions: Value, second: i64) -> (Option<String>, Option<u64>) {
        let mut fixture = Fixture::healthy();
        let object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "demo-api"}, "status": {"conditions": conditions}});
        let object = serde_json::from_value(object).expect("an object");
        fixture.observed.children = vec![(Kind::HorizontalPodAutoscaler, Arc::new(object))];
        let now = Timestamp::from_second(second).expect("a time");
        let (finding, look) = inactive(&fixture.pipeline, &fixture.observed, now);
        (finding.map(|finding| finding.message), look.map(|look| look.as_secs()))
    }

    #[test]
    fn what_its_controller_says_is_told_when_it_has_lasted_for_longer_than_a_start() {
        let wrong = json!([{"type": "AbleToScale", "status": "True"}, {"type": "ScalingActive", "status": "False",
            "lastTransitionTime": "1970-01-01T00:00:00Z", "message": "no metrics returned from resource metrics API"}]);
        assert_eq!(told(wrong.clone(), 100), (None, Some(80)));
        let (message, look) = told(wrong, 180);
        let message = message.expect("it is told");
        let words = "HorizontalPodAutoscaler demo-api cannot act: no metrics returned from resource metrics API. Fix: ";
        assert!(message.starts_with(words) && look.is_none(), "{message}");
        let well = json!([{"type": "ScalingActive", "status": "True"}, {"type": "ScalingLimited", "status": "False"}]);
        assert_eq!(told(well, 180), (None, None));
    }
}
