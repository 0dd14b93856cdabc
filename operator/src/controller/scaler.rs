//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment, which
//! `replicas` writes. Does not: shrink anything while Redis does not answer, before a cool-down that began with the first look,
//! or while the pipeline is paused.

use super::{
    observe::Observed,
    reason::{self, Finding},
    redis,
    replicas::{Replicas, Target},
};
use crate::{
    build::{checksum::hash, child::Kind, names::Part},
    crd::{
        SignupPipeline,
        autoscaling::AutoscalingMode,
        stores::{Redis, UriSecret},
    },
    manifest::objects::Content,
    scaling::{Autoscaler, Decision, Depth},
};
use kube::{Client, ResourceExt};
use queue::{Connection, Inspector, QueueState};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What is remembered of one pipeline between looks.
#[derive(Debug, Default)]
pub struct Scaler {
    redis: Option<(String, Inspector)>,
    autoscaler: Autoscaler,
    replicas: Replicas,
}

/// What a look gave.
#[derive(Debug)]
pub struct Scaling {
    /// The queues, or why Redis could not be asked.
    pub queues: Result<Vec<(String, QueueState)>, Finding>,
    /// The decision; `None` when somebody else decides.
    pub decision: Option<Decision>,
    /// The number was changed: from, to.
    pub changed: Option<(u32, u32)>,
    /// The number that was written, now or just before, while the observed Deployment still has another.
    pub awaited: Option<u32>,
    /// Why a decision does not hold.
    pub trouble: Option<Finding>,
}

impl Scaler {
    /// Looks, decides and writes. Without a Deployment, or while the pipeline is paused, nothing is written.
    pub async fn scale(&mut self, client: &Client, pipeline: &SignupPipeline, observed: &Observed) -> Scaling {
        let spec = &pipeline.spec;
        let queues = self.look(pipeline, &observed.secrets()).await;
        let depths: Option<Vec<Depth>> = queues.as_ref().ok().map(|queues| depths(pipeline, queues));
        let name = Part::Worker.child_name(&pipeline.name_any());
        let told = observed.child(Kind::Deployment, &name).and_then(replicas);
        let running = told.map(|told| self.replicas.now(told));
        let decision = self.autoscaler.decide(&spec.worker, depths.as_deref(), running, Instant::now());
        let given_away = spec.worker.autoscaling.mode == AutoscalingMode::External && spec.worker.replicas.is_none();
        let decision = (!given_away).then_some(decision);
        let mut scaling = Scaling { queues, decision, changed: None, awaited: None, trouble: None };
        if let (Some(told), Some(running), Some(decision)) = (told, running, &mut scaling.decision) {
            if spec.paused {
                self.autoscaler.stand_aside();
                decision.keep(told, "the pipeline is paused, so the number stays as it is");
                return scaling;
            }
            let target = Target { client, namespace: pipeline.namespace().unwrap_or_default(), name };
            match self.replicas.keep(&target, running, decision.desired).await {
                Ok(has_changed) => {
                    let (pipeline, to) = (pipeline.name_any(), decision.desired);
                    scaling.awaited = (told != to).then_some(to);
                    if has_changed {
                        tracing::info!(pipeline, from = running, to, "workers scaled");
                        self.autoscaler.changed(running, to, Instant::now());
                        scaling.changed = Some((running, to));
                    }
                }
                Err(finding) => {
                    if finding.reason == reason::FOREIGN_WRITER {
                        self.autoscaler.stand_aside();
                        decision.keep(told, "an autoscaler sets the number, so it stays as it is");
                    }
                    scaling.trouble = Some(finding);
                }
            }
        }
        scaling
    }

    async fn look(
        &mut self,
        pipeline: &SignupPipeline,
        secrets: &BTreeMap<String, Content>,
    ) -> Result<Vec<(String, QueueState)>, Finding> {
        let spec = &pipeline.spec;
        let inspector = self.inspector(&spec.redis, secrets)?;
        let look_ahead = &spec.worker.autoscaling.look_ahead;
        let ahead = if look_ahead.enabled { look_ahead.startup_time.get() } else { Duration::ZERO };
        let mut states = Vec::new();
        for queue in &spec.queues {
            match inspector.queue(&queue.name, ahead).await {
                Ok(state) => states.push((queue.name.clone(), state)),
                Err(error) => return Err(redis::trouble(&spec.redis, uri(&spec.redis, secrets), &error).await),
            }
        }
        Ok(states)
    }

    /// One connection per pipeline, opened anew when the Secret changes.
    fn inspector(&mut self, settings: &Redis, secrets: &BTreeMap<String, Content>) -> Result<&Inspector, Finding> {
        let uri = uri(settings, secrets);
        let ca = settings.ca_secret_ref.as_ref().and_then(|ca| secrets.get(&ca.name)?.get(&ca.key));
        let version = hash([uri.as_bytes(), b"\n", ca.unwrap_or_default()]);
        if self.redis.as_ref().is_none_or(|(known, _)| *known != version) {
            let connection = Connection::open(uri, ca).map_err(|_| redis::unusable(settings, uri))?;
            self.redis = Some((version, Inspector::new(connection)));
        }
        self.redis.as_ref().map(|(_, inspector)| inspector).ok_or_else(|| Finding::new(reason::NO_ANSWER, "", ""))
    }
}

fn uri<'a>(redis: &Redis, secrets: &'a BTreeMap<String, Content>) -> &'a str {
    let UriSecret { name, key } = &redis.secret_ref;
    let uri = secrets.get(name).and_then(|content| content.get(key)).unwrap_or_default();
    std::str::from_utf8(uri).unwrap_or_default().trim()
}

fn depths(pipeline: &SignupPipeline, queues: &[(String, QueueState)]) -> Vec<Depth> {
    let paused = |name: &str| pipeline.spec.queues.iter().any(|queue| queue.name == name && queue.paused);
    let depth = |(name, state): &(String, QueueState)| Depth {
        pending: state.pending,
        active: state.active,
        due_soon: state.due_within,
        paused: state.paused || paused(name),
    };
    queues.iter().map(depth).collect()
}

/// `spec.replicas` of a Deployment.
pub fn replicas(deployment: &kube::api::DynamicObject) -> Option<u32> {
    deployment.data.pointer("/spec/replicas")?.as_u64()?.try_into().ok()
}
