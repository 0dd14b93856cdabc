//! PodDisruptionBudgets: a drained node takes one pod of a component at a time.
//!
//! Takes: the resource. Gives: a budget for each component that has more than one pod; a budget for a single pod would
//! only keep a node from being drained. Does not: guard against crashes.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{self, Component},
};
use crate::scaling::Limits;
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, component: Component) -> Option<Child> {
    let worker = &subject.spec.worker;
    let pods = match component {
        Component::Api => subject.spec.api.replicas.unsigned_abs(),
        Component::Worker if subject.spec.scales_by_itself() => Limits::from(worker).min,
        Component::Worker => Limits::from(worker).replicas,
    };
    let content = json!({"spec": {
        "maxUnavailable": 1,
        "selector": {"matchLabels": names::selector(subject.name, component)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }});
    (pods > 1).then(|| {
        child(subject, Kind::PodDisruptionBudget, Some(component), component.child_name(subject.name), content)
    })
}
