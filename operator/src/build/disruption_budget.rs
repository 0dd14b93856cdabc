//! PodDisruptionBudgets: a drained node takes one pod of a part at a time.
//!
//! Takes: the resource. Gives: a budget for each part that has more than one pod; a budget for a single pod would only keep
//! a node from being drained. Does not: guard against crashes.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{self, Part},
};
use crate::scaling::Limits;
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, part: Part) -> Option<Child> {
    let worker = &subject.spec.worker;
    let pods = match part {
        Part::Api => subject.spec.api.replicas.unsigned_abs(),
        Part::Worker if subject.spec.scales_by_itself() => Limits::from(worker).min,
        Part::Worker => Limits::from(worker).replicas,
    };
    let content = json!({"spec": {
        "maxUnavailable": 1,
        "selector": {"matchLabels": names::selector(subject.name, part)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }});
    (pods > 1).then(|| child(subject, Kind::PodDisruptionBudget, Some(part), part.child_name(subject.name), content))
}
