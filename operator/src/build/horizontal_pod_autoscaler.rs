//! HorizontalPodAutoscaler `<name>-api`: the number of api pods follows their CPU, most of which hashes passwords.
//!
//! Takes: `api.autoscaling`. Gives: the autoscaler in mode Auto, unless another one has the Deployment: two would undo
//! each other's numbers. Does not: install the metrics API that the cluster's controller asks.

use super::{
    Inputs, Subject,
    child::{Child, Kind, child},
    names::Component,
};
use crate::crd::api_autoscaling::{ApiAutoscaling, ApiAutoscalingMode};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, inputs: &Inputs) -> Option<Child> {
    let ApiAutoscaling { mode, min_replicas, max_replicas, target_cpu_utilization_percentage } =
        subject.spec.api.autoscaling;
    let name = Component::Api.child_name(subject.name);
    let target = json!({"type": "Utilization", "averageUtilization": target_cpu_utilization_percentage});
    let content = json!({"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": min_replicas,
        "maxReplicas": max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }});
    let is_ours = mode == ApiAutoscalingMode::Auto && !inputs.is_api_scaled_by_others;
    is_ours.then(|| child(subject, Kind::HorizontalPodAutoscaler, Some(Component::Api), name, content))
}
