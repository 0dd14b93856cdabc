//! PodDisruptionBudgets: a drained node takes one pod of a component at a time.
//!
//! Takes: the resource. Gives: a budget for each component that has more than one pod, or whose budget the resource
//! gives; one of ours for a single pod would only keep a node from being drained. Does not: guard against crashes.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{self, Component},
};
use crate::{crd::objects::PodDisruptionBudget, scaling::Limits};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, component: Component) -> Option<Child> {
    let worker = &subject.spec.worker;
    let given = match component {
        Component::Api => &subject.spec.api.pod_disruption_budget,
        Component::Worker => &worker.pod_disruption_budget,
    };
    let pods = match component {
        Component::Api => subject.spec.api.first().unsigned_abs(),
        Component::Worker if subject.spec.scales_by_itself() => Limits::from(worker).min,
        Component::Worker => Limits::from(worker).replicas,
    };
    let mut spec = json!({
        "selector": {"matchLabels": names::selector(subject.name, component)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    });
    let PodDisruptionBudget { max_unavailable, min_available, unhealthy_pod_eviction_policy } =
        given.clone().unwrap_or_default();
    match (max_unavailable, min_available) {
        (None, Some(min)) => spec["minAvailable"] = json!(min),
        (max, _) => spec["maxUnavailable"] = max.map_or(json!(1), |max| json!(max)),
    }
    if let Some(policy) = unhealthy_pod_eviction_policy {
        spec["unhealthyPodEvictionPolicy"] = policy.into();
    }
    let content = json!({"spec": spec});
    (pods > 1 || given.is_some()).then(|| {
        child(subject, Kind::PodDisruptionBudget, Some(component), component.child_name(subject.name), content)
    })
}
