//! The number of workers in the status.
//!
//! Takes: what was decided. Gives: a field of the status. Pure. Does not: decide.

use super::{condition::whole_second, facts::Facts};
use crate::{crd::status::AutoscalingStatus, scaling::Decision};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `None` when the operator does not decide.
pub(super) fn autoscaling(facts: &Facts<'_>, now: Timestamp) -> Option<AutoscalingStatus> {
    let decision: &Decision = facts.scaling.decision.as_ref()?;
    let count = |workers: u32| i32::try_from(workers).unwrap_or(i32::MAX);
    let before = facts.previous.and_then(|status| status.autoscaling.as_ref());
    let last_scale_time = match (facts.scaling.scaled_at, before) {
        (None, Some(before)) => before.last_scale_time.clone(),
        (at, _) => Some(Time(whole_second(at.unwrap_or(now)))),
    };
    Some(AutoscalingStatus {
        desired: count(decision.desired),
        recommended: count(decision.recommended),
        limited_by: decision.limited_by.map(|limit| limit.name().to_owned()),
        explanation: decision.explanation.clone(),
        last_scale_time,
    })
}
