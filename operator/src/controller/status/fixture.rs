//! Hand-made facts for tests.
//!
//! Gives: a [`Fixture`], a healthy pipeline, of which a test changes what it is about.

use super::{
    condition::{ConditionStatus::True, UntimedCondition, with_times},
    facts::Facts,
    rollout::Rollout,
    webhook_changes::Changes,
};
use crate::{
    build::names::Component,
    controller::{
        observe::{Observed, pod_events::PodEvents, pods::Report},
        reason,
        scale::Scaling,
        shared_host::Neighbours,
    },
    crd::{
        SignupPipeline,
        autoscaling::AutoscalingMode,
        status::{Replicas, SignupPipelineStatus},
    },
};
use jiff::Timestamp;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A healthy pipeline.
pub(super) struct Fixture {
    pub(super) pipeline: SignupPipeline,
    pub(super) observed: Observed,
    pub(super) scaling: Scaling,
    pub(super) reports: Vec<Report>,
    pub(super) webhook_changes: Changes,
    pub(super) pod_events: PodEvents,
    pub(super) api: Rollout,
    pub(super) worker: Rollout,
}

pub(super) fn pods(wanted: i32, ready: i32) -> Rollout {
    let replicas = Replicas { replicas: wanted, ready_replicas: ready, ..Replicas::default() };
    Rollout { wanted, replicas, is_complete: wanted == ready, trouble: None }
}

/// The report of a pod of that component; it runs the newest configuration.
pub(super) fn report(component: Component, ready: Result<(), &str>) -> Report {
    let ready = Some(ready.map_err(str::to_owned));
    Report {
        pod: component.name().to_owned(),
        component: Some(component),
        ready,
        hash: Some("1".to_owned()),
        ..Report::default()
    }
}

impl Fixture {
    pub(super) fn healthy() -> Self {
        let text = include_str!("../../../../samples/minimal.yaml");
        let scaling = Scaling { queues: Ok(Vec::new()), ..Scaling::not_known() };
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        pipeline.metadata.generation = Some(1);
        Self {
            pipeline,
            observed: Observed {
                found: Vec::new(),
                certificate: None,
                children: Vec::new(),
                pods: Vec::new(),
                image: None,
                neighbours: Neighbours::default(),
                others: Default::default(),
                edge: None,
            },
            scaling,
            reports: vec![report(Component::Api, Ok(())), report(Component::Worker, Ok(()))],
            webhook_changes: Changes::default(),
            pod_events: PodEvents::default(),
            api: pods(2, 2),
            worker: pods(1, 1),
        }
    }

    pub(super) fn autoscaling(mut self, mode: AutoscalingMode, min: i32) -> Self {
        let scaling = &mut self.pipeline.spec.worker.autoscaling;
        (scaling.mode, scaling.min_replicas) = (mode, min);
        self
    }

    /// With a status, written at second 0, in which these conditions are True.
    pub(super) fn was(mut self, kinds: &[&'static str]) -> Self {
        let untimed = kinds.iter().map(|kind| UntimedCondition::new(kind, True, reason::AS_DESIRED, "")).collect();
        let conditions = with_times(untimed, &[], Some(1), at(0));
        self.pipeline.status = Some(SignupPipelineStatus { conditions, ..Default::default() });
        self
    }

    /// As a reconcile would give them.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            pipeline: &self.pipeline,
            previous: self.pipeline.status.as_ref(),
            findings: &[],
            held_back: false,
            best_effort: &[],
            left_alone: &[],
            outdated: None,
            newer_image: None,
            observed: &self.observed,
            api: self.api.clone(),
            worker: self.worker.clone(),
            pod_events: &self.pod_events,
            reports: &self.reports,
            webhook_changes: &self.webhook_changes,
            config: "1",
            scaling: &self.scaling,
        }
    }
}
