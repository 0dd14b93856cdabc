//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment,
//! which `replicas` writes. Does not: shrink anything while Redis does not answer, before a cool-down that began with
//! the first poll, or while the pipeline is paused.

mod redis;
mod replicas;

use self::replicas::{Replicas, Target};
use super::{
    observe::Observed,
    reason::{self, Finding},
    store_secret::StoreSecret,
};
use crate::{
    build::{child::Kind, names::Component},
    crd::{SignupPipeline, autoscaling::AutoscalingMode, stores::Redis},
    manifest::objects::Content,
    scaling::{Autoscaler, Decision, Depth},
};
use kube::{Client, ResourceExt};
use pipeline::{hash, store_secret};
use queue::{Certificates, Connection, Inspector, QueueState, RedisUri};
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The state of one pipeline's scaling between reconciles.
#[derive(Debug, Default)]
pub struct Scaler {
    redis: Option<(String, Inspector)>,
    autoscaler: Autoscaler,
    replicas: Replicas,
}

/// What a poll and its decision came to.
#[derive(Debug)]
pub struct Scaling {
    /// The queues, or why Redis could not be asked.
    pub queues: Result<Vec<(String, QueueState)>, Finding>,
    /// The decision; `None` when the operator does not decide.
    pub decision: Option<Decision>,
    /// The number was changed: from, to.
    pub changed: Option<(u32, u32)>,
    /// The number that was written, now or just before, while the observed Deployment still has another.
    pub awaited: Option<u32>,
    /// Why a decision does not hold.
    pub trouble: Option<Finding>,
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
    /// `shared` is reported when nothing is wrong with the write itself.
    pub async fn scale(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        observed: &Observed,
        shared: Option<Finding>,
    ) -> Scaling {
        let queues = self.poll(pipeline, &observed.secrets()).await;
        let name = Component::Worker.child_name(&pipeline.name_any());
        let seen = observed.child(Kind::Deployment, &name).and_then(replicas);
        let workers = seen.map(|observed| Workers { observed, running: self.replicas.now(observed) });
        let decision = self.decide(pipeline, queues.as_deref().ok(), workers);
        let target = Target { client, namespace: pipeline.namespace().unwrap_or_default(), name };
        let written = match (&decision, workers) {
            (Some(decision), Some(workers)) if !pipeline.spec.paused => {
                self.write(&target, workers, decision.desired).await
            }
            _ => Ok(Written::default()),
        };
        report(queues, decision, workers, written, shared)
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
        }
        let awaited = (observed != desired).then_some(desired);
        Ok(Written { changed: has_changed.then_some((running, desired)), awaited })
    }

    async fn poll(
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
                Err(error) => {
                    let uri = uri(&spec.redis, secrets);
                    return Err(redis::trouble(&spec.redis, uri.expose_secret(), &error).await);
                }
            }
        }
        Ok(states)
    }

    /// One connection per pipeline, opened anew when the Secret changes.
    fn inspector(&mut self, settings: &Redis, secrets: &BTreeMap<String, Content>) -> Result<&Inspector, Finding> {
        let (secret, uri) = (StoreSecret::redis(settings, secrets), uri(settings, secrets));
        let named = settings.ca_secret_ref.as_ref().and_then(|ca| secrets.get(&ca.name)?.get(&ca.key));
        let ca = named.or_else(|| secret.file(store_secret::AUTHORITY));
        let certificates = Certificates { authority: ca, client: secret.certificate() };
        let (certificate, key) = certificates.client.unwrap_or_default();
        let version = hash([uri.expose_secret().as_bytes(), b"\n", ca.unwrap_or_default(), certificate, key]);
        let current = self.redis.take().filter(|(known, _)| *known == version);
        let current = match current {
            Some(current) => current,
            None => {
                let uri = uri.expose_secret();
                if RedisUri::parse(uri).is_ok_and(|uri| uri.is_socket()) {
                    return Err(redis::socket(settings));
                }
                let opened = Connection::open_with(uri, certificates);
                let connection = opened.map_err(|error| redis::unusable(settings, uri, &error))?;
                (version, Inspector::new(connection))
            }
        };
        let (_, inspector) = self.redis.insert(current);
        Ok(inspector)
    }
}

/// Puts together what came of it.
fn report(
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
    Scaling { queues, decision, changed, awaited, trouble: trouble.or(shared) }
}

/// Empty without a Secret that says where Redis is.
fn uri(redis: &Redis, secrets: &BTreeMap<String, Content>) -> SecretString {
    StoreSecret::redis(redis, secrets).redis_uri().unwrap_or_default()
}

fn depths(pipeline: &SignupPipeline, queues: &[(String, QueueState)]) -> Vec<Depth> {
    let paused = |name: &str| pipeline.spec.queues.iter().any(|queue| queue.name == name && queue.paused);
    queues.iter().map(|(name, state)| Depth::new(state, paused(name))).collect()
}

/// `spec.replicas` of a Deployment.
pub fn replicas(deployment: &kube::api::DynamicObject) -> Option<u32> {
    deployment.data.pointer("/spec/replicas")?.as_u64()?.try_into().ok()
}
