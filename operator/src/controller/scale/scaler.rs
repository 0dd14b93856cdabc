//! One evaluation: ask the queues, decide, write.
//!
//! Takes: what the last reconcile knows of the pipeline, and the watched Deployment as it is now. Gives: a [`Scaling`].
//! Does not: choose when.

use super::{
    Inputs, Scaling, Surroundings,
    replicas::{Replicas, Target},
};
use crate::{
    build::{child::Kind, names::Component},
    controller::reason::{self, Finding},
    crd::{SignupPipeline, autoscaling::AutoscalingMode},
    scaling::{Autoscaler, Decision, Depth},
};
use jiff::Timestamp;
use kube::ResourceExt;
use queue::{Inspector, QueueState};
use std::time::{Duration, Instant};

/// The state of one pipeline's scaling between evaluations.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    redis: Option<(String, Inspector)>,
    autoscaler: Autoscaler,
    replicas: Replicas,
    scaled_at: Option<Timestamp>,
}

/// Pods of the workers' Deployment.
#[derive(Debug, Clone, Copy)]
struct Workers {
    /// As observed.
    observed: u32,
    /// As they are, when what was observed may be older than our own write.
    running: u32,
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    changed: Option<(u32, u32)>,
    awaited: Option<u32>,
}

impl Scaler {
    /// Polls, decides, writes and reports. Without a Deployment, or while the pipeline is paused, nothing is written.
    pub(super) async fn evaluate(&mut self, surroundings: &Surroundings, inputs: &Inputs) -> Scaling {
        let pipeline = &*inputs.pipeline;
        let queues = self.poll(inputs).await;
        let (name, namespace) = (Component::Worker.child_name(&pipeline.name_any()), pipeline.namespace());
        let namespace = namespace.unwrap_or_default();
        let uid = pipeline.uid().unwrap_or_default();
        let deployment = surroundings.view.child(Kind::Deployment, &namespace, &name, &uid);
        let seen = deployment.as_ref().and_then(super::replicas);
        let workers = seen.map(|observed| Workers { observed, running: self.replicas.now(observed) });
        let decision = self.decide(pipeline, queues.as_deref().ok(), workers);
        let target = Target { client: &surroundings.client, namespace, name };
        let written = match (&decision, workers) {
            (Some(decision), Some(workers)) if !pipeline.spec.paused => {
                self.write(&target, workers, decision.desired).await
            }
            _ => Ok(Written::default()),
        };
        self.report(queues, decision, workers, written, inputs.shared.clone())
    }

    /// Decides, without I/O; `None` when the number is given to somebody else.
    fn decide(
        &mut self,
        pipeline: &SignupPipeline,
        queues: Option<&[(String, QueueState)]>,
        workers: Option<Workers>,
    ) -> Option<Decision> {
        let spec = &pipeline.spec.worker;
        let depths = queues.map(|queues| depths(pipeline, queues));
        let running = workers.map(|workers| workers.running);
        let mut decision = self.autoscaler.decide(spec, depths.as_deref(), running, Instant::now());
        if spec.autoscaling.mode == AutoscalingMode::External && spec.replicas.is_none() {
            return None;
        }
        if let Some(Workers { observed, .. }) = workers.filter(|_| pipeline.spec.paused) {
            self.autoscaler.yield_control();
            decision.keep(observed, "the pipeline is paused, so the number stays as it is");
        }
        Some(decision)
    }

    async fn write(&mut self, target: &Target<'_>, workers: Workers, desired: u32) -> Result<Written, Finding> {
        let Workers { observed, running } = workers;
        let has_changed = self.replicas.keep(target, running, desired).await.inspect_err(|finding| {
            if finding.reason == reason::FOREIGN_WRITER {
                self.autoscaler.yield_control();
            }
        })?;
        if has_changed {
            self.autoscaler.changed(running, desired, Instant::now());
            self.scaled_at = Some(Timestamp::now());
        }
        let awaited = (observed != desired).then_some(desired);
        Ok(Written { changed: has_changed.then_some((running, desired)), awaited })
    }

    async fn poll(&mut self, inputs: &Inputs) -> Result<Vec<(String, QueueState)>, Finding> {
        let spec = &inputs.pipeline.spec;
        let inspector = self.inspector(inputs)?;
        let look_ahead = &spec.worker.autoscaling.look_ahead;
        let ahead = if look_ahead.enabled { look_ahead.startup_time.get() } else { Duration::ZERO };
        let mut states = Vec::new();
        for queue in &spec.queues {
            match inspector.queue(&queue.name, ahead).await {
                Ok(state) => states.push((queue.name.clone(), state)),
                Err(error) => return Err(inputs.endpoint.trouble(&error).await),
            }
        }
        Ok(states)
    }

    /// One connection per pipeline, opened anew when the Secret changes.
    fn inspector(&mut self, inputs: &Inputs) -> Result<&Inspector, Finding> {
        let endpoint = &inputs.endpoint;
        let current = self.redis.take().filter(|(known, _)| known == endpoint.version());
        let current = match current {
            Some(current) => current,
            None => (endpoint.version().to_owned(), Inspector::new(endpoint.open()?)),
        };
        let (_, inspector) = self.redis.insert(current);
        Ok(inspector)
    }

    /// Puts together what came of it. That the database is shared is told when nothing is wrong with the write itself.
    fn report(
        &self,
        queues: Result<Vec<(String, QueueState)>, Finding>,
        mut decision: Option<Decision>,
        workers: Option<Workers>,
        written: Result<Written, Finding>,
        shared: Option<Finding>,
    ) -> Scaling {
        let (Written { changed, awaited }, trouble) = match written {
            Ok(written) => (written, None),
            Err(finding) => (Written::default(), Some(finding)),
        };
        let is_foreign = trouble.as_ref().is_some_and(|finding| finding.reason == reason::FOREIGN_WRITER);
        if let (Some(decision), Some(workers), true) = (&mut decision, workers, is_foreign) {
            decision.keep(workers.observed, "an autoscaler sets the number, so it stays as it is");
        }
        Scaling { queues, decision, changed, scaled_at: self.scaled_at, awaited, trouble: trouble.or(shared) }
    }
}

fn depths(pipeline: &SignupPipeline, queues: &[(String, QueueState)]) -> Vec<Depth> {
    let paused = |name: &str| pipeline.spec.queues.iter().any(|queue| queue.name == name && queue.paused);
    queues.iter().map(|(name, state)| Depth::new(state, paused(name))).collect()
}
