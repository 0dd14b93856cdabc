//! Deployments `<name>-api` and `<name>-worker`.
//!
//! Takes: the resource and the inputs. Gives: the Deployments. Does not: set the workers' replicas but for the moment
//! when the Deployment is made; the scaler owns that field under a field manager of its own. Nor the api's, where an
//! autoscaler decides.

use super::{
    Inputs, Subject,
    child::{Child, Kind, child},
    names::{self, Component},
    pod, pod_defaults,
};
use crate::{
    crd::{api_autoscaling::ApiAutoscalingMode, autoscaling::AutoscalingMode, workload::Worker},
    scaling::Limits,
};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn build(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> Child {
    let mut spec = json!({
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": names::selector(subject.name, component)},
        // A new pod is ready before an old one goes, so that no signup fails and no mail waits.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod::template(subject, inputs, component),
    });
    let is_given_away = component == Component::Worker || is_api_given_away(subject, inputs);
    if !is_given_away {
        spec["replicas"] = subject.spec.api.wanted().into();
    }
    let mut built =
        child(subject, Kind::Deployment, Some(component), component.child_name(subject.name), json!({"spec": spec}));
    let mut annotations: BTreeMap<String, String> =
        pod_defaults::annotation(inputs.defaults_of(component)).into_iter().collect();
    match component {
        Component::Api => {
            annotations.extend(kept_image(subject, inputs));
            built.first_replicas = is_given_away.then(|| subject.spec.api.first().unsigned_abs());
        }
        Component::Worker => built.first_replicas = first_workers(&subject.spec.worker),
    }
    built.object.metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    built
}

/// Whether somebody else decides how many api pods there are.
fn is_api_given_away(subject: &Subject<'_>, inputs: &Inputs) -> bool {
    subject.spec.api.autoscaling.mode != ApiAutoscalingMode::Off || inputs.is_api_scaled_by_others
}

/// What a pipeline without an image of its own goes on with, whatever the image of later operators is.
fn kept_image(subject: &Subject<'_>, inputs: &Inputs) -> Option<(String, String)> {
    let kept = subject.spec.image.is_none();
    kept.then(|| (names::IMAGE.to_owned(), inputs.image.clone()))
}

/// Workers before the first poll of the queue; `None`: the operator does not decide, and Kubernetes begins with one.
fn first_workers(worker: &Worker) -> Option<u32> {
    let limits = Limits::from(worker);
    match limits.mode {
        AutoscalingMode::Auto => Some(limits.min),
        AutoscalingMode::External if worker.replicas.is_none() => None,
        AutoscalingMode::DryRun | AutoscalingMode::External | AutoscalingMode::Off => Some(limits.replicas),
    }
}
