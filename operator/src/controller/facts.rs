//! What is known of a pipeline, as the status needs it.
//!
//! Takes: what was observed, and what was written since. Gives: [`Facts`] whose Deployments are as they are after those writes.
//! Pure. Does not: know what the pods or the API server tell besides; `reconcile` adds it.

use super::{
    apply,
    observe::Observed,
    pods::Report,
    reason::Finding,
    rollout::{Rollout, rollout},
    scaler::Scaling,
};
use crate::{
    build::{
        child::Kind,
        names::{Part, selector_text},
    },
    crd::SignupPipeline,
};
use kube::ResourceExt;

/// What is known of a pipeline.
pub struct Facts<'a> {
    /// The resource.
    pub pipeline: &'a SignupPipeline,
    /// What is missing or failed; nothing was applied after the first one.
    pub findings: &'a [Finding],
    /// Children that could not be applied, which holds up nothing.
    pub leaves: &'a [(Kind, Finding)],
    /// The definition of the resource is older than the operator.
    pub outdated: Option<&'a Finding>,
    /// The operator's own image, when the pipeline names none and keeps another.
    pub newer_image: Option<&'a str>,
    /// What is there.
    pub observed: &'a Observed,
    /// Deployment of the api.
    pub api: Rollout,
    /// Deployment of the workers.
    pub worker: Rollout,
    /// What the pods tell.
    pub reports: &'a [Report],
    /// Hash of the configuration that the pods shall run.
    pub config: &'a str,
    /// The queues and the number of workers.
    pub scaling: &'a Scaling,
}

/// What the cluster tells; the rest is empty. A Deployment of which the spec or the number of pods was written since is not
/// complete, whatever it was, and wants the number that was written.
pub(super) fn of_the_cluster<'a>(
    pipeline: &'a SignupPipeline,
    observed: &'a Observed,
    applied: &apply::Memory,
    scaling: &'a Scaling,
) -> Facts<'a> {
    let name = pipeline.name_any();
    let state = |part: Part| {
        let deployment = observed.child(Kind::Deployment, &part.child_name(&name));
        let state = rollout(deployment, part, selector_text(&name, part));
        let is_behind = deployment.is_some_and(|observed| applied.is_ahead_of(Kind::Deployment, observed));
        let awaited = match part {
            Part::Api => is_behind.then_some(pipeline.spec.api.replicas),
            Part::Worker => scaling.awaited.map(|workers| i32::try_from(workers).unwrap_or(i32::MAX)),
        };
        let is_complete = state.is_complete && !is_behind && awaited.is_none();
        Rollout { wanted: awaited.unwrap_or(state.wanted), is_complete, ..state }
    };
    Facts {
        pipeline,
        findings: &[],
        leaves: &[],
        outdated: None,
        newer_image: None,
        observed,
        api: state(Part::Api),
        worker: state(Part::Worker),
        reports: &[],
        config: "",
        scaling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{
        case::{Case, at},
        reason::{self, condition as kind},
        status::status,
    };
    use kube::api::DynamicObject;
    use serde_json::json;
    use std::sync::Arc;

    /// A Deployment whose roll-out is complete.
    fn complete(part: Part, pods: u32) -> (Kind, Arc<DynamicObject>) {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": part.child_name("demo"), "generation": 1}, "spec": {"replicas": pods},
            "status": {"observedGeneration": 1, "replicas": pods, "updatedReplicas": pods, "readyReplicas": pods}});
        (Kind::Deployment, serde_json::from_value(object).map(Arc::new).expect("an object"))
    }

    /// Status and reason of a condition, of a pipeline with 2 pods of the api, `workers` workers in mode Off, and a number of
    /// workers that was written just now.
    fn told(workers: u32, awaited: Option<u32>, condition: &str) -> (String, String) {
        let mut case = Case::works().autoscaling(crate::crd::autoscaling::AutoscalingMode::Off, 1);
        case.observed.children = vec![complete(Part::Api, 2), complete(Part::Worker, workers)];
        case.scaling.awaited = awaited;
        let facts = of_the_cluster(&case.pipeline, &case.observed, &apply::Memory::default(), &case.scaling);
        let all = status(&facts, at(0)).conditions.into_iter();
        let found = all.into_iter().find(|found| found.type_ == condition).expect("it is told");
        (found.status, found.reason)
    }

    #[test]
    fn no_roll_out_is_complete_in_the_look_that_changed_the_number_of_workers() {
        let told = |awaited| told(1, awaited, kind::PROGRESSING);
        assert_eq!(told(None), ("False".to_owned(), reason::AS_DESIRED.name().to_owned()));
        assert_eq!(told(Some(3)), ("True".to_owned(), reason::ROLLING_OUT.name().to_owned()));
    }

    #[test]
    fn workers_that_were_asked_for_just_now_are_wanted_though_the_deployment_still_has_none() {
        let told = |awaited| told(0, awaited, kind::READY);
        assert_eq!(told(None), ("False".to_owned(), reason::NO_PODS_WANTED.name().to_owned()));
        assert_eq!(told(Some(1)), ("False".to_owned(), reason::ROLLING_OUT.name().to_owned()));
    }
}
