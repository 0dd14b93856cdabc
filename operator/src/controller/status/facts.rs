//! What is known of a pipeline, as the status needs it.
//!
//! Takes: what the steps of a reconcile gave. Gives: [`Facts`], made once per reconcile. Does not: judge any of it.

use super::{rollout::Rollout, webhook_changes::Changes};
use crate::{
    build::child::Kind,
    controller::{
        observe::{Observed, pod_events::PodEvents, pods::Report},
        reason::Finding,
        scale::Scaling,
    },
    crd::{SignupPipeline, status::SignupPipelineStatus},
};

/// What is known of a pipeline.
pub struct Facts<'a> {
    /// The resource.
    pub pipeline: &'a SignupPipeline,
    /// The newest status that was written, which may be newer than the resource's.
    pub previous: Option<&'a SignupPipelineStatus>,
    /// What is missing or failed; nothing was applied after the first one.
    pub findings: &'a [Finding],
    /// The resource is paused, and the children are not as it says.
    pub held_back: bool,
    /// Children that could not be applied, which holds up nothing.
    pub best_effort: &'a [(Kind, Finding)],
    /// What others set, so that the operator leaves it as it is.
    pub left_alone: &'a [Finding],
    /// The definition of the resource is older than the operator.
    pub outdated: Option<&'a Finding>,
    /// The operator's own image, when the pipeline names none and keeps another.
    pub newer_image: Option<&'a str>,
    /// What is there.
    pub observed: &'a Observed,
    /// Deployment of the api, as it is after what was written.
    pub api: Rollout,
    /// Deployment of the workers, as it is after what was written.
    pub worker: Rollout,
    /// What Events say of pods that wait.
    pub pod_events: &'a PodEvents,
    /// What the pods report, but those that end again and again.
    pub reports: &'a [Report],
    /// When the condition about webhooks changed lately.
    pub webhook_changes: &'a Changes,
    /// Hash of the configuration that the pods should run.
    pub config: &'a str,
    /// The queues and the number of workers.
    pub scaling: &'a Scaling,
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            fixture::{Fixture, at},
            rollout::rollouts,
            status,
        },
        *,
    };
    use crate::{
        build::names::Component,
        controller::{
            apply::LastApplied,
            reason::{self, condition as kind},
        },
    };
    use kube::api::DynamicObject;
    use serde_json::json;
    use std::sync::Arc;

    /// A Deployment whose roll-out is complete.
    fn complete(component: Component, pods: u32) -> (Kind, Arc<DynamicObject>) {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": component.child_name("demo"), "generation": 1}, "spec": {"replicas": pods},
            "status": {"observedGeneration": 1, "replicas": pods, "updatedReplicas": pods, "readyReplicas": pods}});
        (Kind::Deployment, serde_json::from_value(object).map(Arc::new).expect("an object"))
    }

    /// Status and reason of a condition, of a pipeline with 2 pods of the api, `workers` workers in mode Off, and a
    /// number of workers that was written just now.
    fn reported(workers: u32, awaited: Option<u32>, condition: &str) -> (String, String) {
        let mut fixture = Fixture::healthy().autoscaling(crate::crd::autoscaling::AutoscalingMode::Off, 1);
        fixture.observed.children = vec![complete(Component::Api, 2), complete(Component::Worker, workers)];
        fixture.scaling.awaited = awaited;
        let [api, worker] = rollouts(&fixture.pipeline, &fixture.observed, &LastApplied::default(), &fixture.scaling);
        let facts = Facts { api, worker, reports: &[], ..fixture.facts() };
        let all = status(&facts, at(0)).conditions.into_iter();
        let found = all.into_iter().find(|found| found.type_ == condition).expect("it is reported");
        (found.status, found.reason)
    }

    #[test]
    fn no_roll_out_is_complete_in_the_reconcile_that_changed_the_number_of_workers() {
        let reported = |awaited| reported(1, awaited, kind::RECONCILING);
        assert_eq!(reported(None), ("False".to_owned(), reason::AS_DESIRED.name().to_owned()));
        assert_eq!(reported(Some(3)), ("True".to_owned(), reason::ROLLING_OUT.name().to_owned()));
    }

    #[test]
    fn workers_that_were_asked_for_just_now_are_wanted_though_the_deployment_still_has_none() {
        let reported = |awaited| reported(0, awaited, kind::READY);
        assert_eq!(reported(None), ("False".to_owned(), reason::NO_PODS_WANTED.name().to_owned()));
        assert_eq!(reported(Some(1)), ("Unknown".to_owned(), reason::ROLLING_OUT.name().to_owned()));
    }
}
