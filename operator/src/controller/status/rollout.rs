//! How far the Deployments are.
//!
//! Takes: observed Deployments. Gives: counts, and why the cluster refuses pods. Pure. Does not: look at pods (`pods`
//! does).

use crate::{
    build::{
        child::Kind,
        names::{Component, selector_text},
    },
    controller::{
        apply::LastApplied,
        observe::Observed,
        reason::{self, Finding},
        scale::Scaling,
    },
    crd::{SignupPipeline, api_autoscaling::ApiAutoscalingMode, status::Replicas},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

/// State of one Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Pods wanted.
    pub wanted: i32,
    /// Pods by state.
    pub replicas: Replicas,
    /// Every pod runs the newest template and is ready.
    pub is_complete: bool,
    /// Why the Deployment cannot make pods.
    pub trouble: Option<Finding>,
}

/// The Deployments of the api and of the workers. One whose spec or number of pods was written since it was observed is
/// not complete, whatever it was, and wants the number that was written.
pub(crate) fn rollouts(
    pipeline: &SignupPipeline,
    observed: &Observed,
    applied: &LastApplied,
    scaling: &Scaling,
) -> [Rollout; 2] {
    let name = pipeline.name_any();
    let is_api_ours = pipeline.spec.api.autoscaling.mode == ApiAutoscalingMode::Off && !observed.others.scale_api();
    Component::ALL.map(|component| {
        let deployment = observed.child(Kind::Deployment, &component.child_name(&name));
        let state = rollout(deployment, component, selector_text(&name, component));
        let is_behind = deployment.is_some_and(|observed| applied.is_ahead_of(Kind::Deployment, observed));
        let awaited = match component {
            Component::Api => (is_behind && is_api_ours).then(|| pipeline.spec.api.wanted()),
            Component::Worker => scaling.awaited.map(|workers| i32::try_from(workers).unwrap_or(i32::MAX)),
        };
        let is_complete = state.is_complete && !is_behind && awaited.is_none();
        Rollout { wanted: awaited.unwrap_or(state.wanted), is_complete, ..state }
    })
}

/// Reads a Deployment; an absent one wants 1 pod and has none.
pub fn rollout(deployment: Option<&DynamicObject>, component: Component, selector: String) -> Rollout {
    let number = |pointer: &str| {
        let value = deployment.and_then(|deployment| deployment.data.pointer(pointer)).and_then(Value::as_i64);
        value.and_then(|value| i32::try_from(value).ok())
    };
    let count = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    let replicas = Replicas {
        replicas: count("replicas"),
        ready_replicas: count("readyReplicas"),
        updated_replicas: count("updatedReplicas"),
        selector: Some(selector),
    };
    let wanted = number("/spec/replicas").unwrap_or(1);
    let generation = deployment.and_then(|deployment| deployment.metadata.generation);
    let seen =
        deployment.and_then(|deployment| deployment.data.pointer("/status/observedGeneration")).and_then(Value::as_i64);
    let is_complete = deployment.is_some()
        && seen >= generation
        && replicas.updated_replicas == wanted
        && replicas.replicas == wanted
        && replicas.ready_replicas == wanted;
    let trouble = deployment.and_then(|deployment| refused(deployment, component));
    Rollout { wanted, replicas, is_complete, trouble }
}

/// Condition ReplicaFailure of a Deployment: quota, Pod Security and admission refuse pods there.
fn refused(deployment: &DynamicObject, component: Component) -> Option<Finding> {
    let conditions = deployment.data.pointer("/status/conditions")?.as_array()?;
    let failure =
        conditions.iter().find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True")?;
    let message = failure["message"].as_str().unwrap_or_default().trim_end_matches('.');
    let problem = format!("the cluster refuses {} pods: {message}", component.name());
    Some(if message.contains("exceeded quota") {
        Finding::with_default_fix(reason::QUOTA_EXCEEDED, problem)
    } else {
        Finding::with_default_fix(reason::PODS_REFUSED, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(data: Value) -> DynamicObject {
        serde_json::from_value(data).expect("an object")
    }

    #[test]
    fn a_rollout_is_complete_when_every_pod_of_the_newest_generation_is_ready() {
        let state = |seen: i64, updated: i64, ready: i64| {
            let status =
                json!({"observedGeneration": seen, "replicas": 2, "updatedReplicas": updated, "readyReplicas": ready});
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 3},
                "spec": {"replicas": 2}, "status": status});
            rollout(Some(&deployment(object)), Component::Api, String::new()).is_complete
        };
        assert!(state(3, 2, 2));
        assert!(!state(2, 2, 2) && !state(3, 1, 2) && !state(3, 2, 1));
        assert!(!rollout(None, Component::Api, String::new()).is_complete);
    }

    #[test]
    fn pods_that_a_quota_refuses_are_told_with_the_fix() {
        let failure =
            json!({"type": "ReplicaFailure", "status": "True", "message": "pods is forbidden: exceeded quota: q."});
        let object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "status": {"conditions": [failure]}});
        let trouble = rollout(Some(&deployment(object)), Component::Worker, String::new()).trouble.expect("it is seen");
        assert_eq!(trouble.reason, reason::QUOTA_EXCEEDED);
        assert!(
            trouble.message.contains("refuses worker pods") && trouble.message.contains("Fix: raise the ResourceQuota")
        );
    }
}
