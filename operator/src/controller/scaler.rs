//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment,
//! written through its scale subresource by a field manager of its own. Does not: shrink anything while Redis does not
//! answer, or fight with a HorizontalPodAutoscaler.

use super::{
    observe::Observed,
    reason::{self, Finding},
    redis,
};
use crate::{
    build::{
        checksum::hash,
        child::Kind,
        names::{Part, SCALER_FIELD_MANAGER},
    },
    crd::{
        SignupPipeline,
        autoscaling::AutoscalingMode,
        stores::{Redis, UriSecret},
    },
    manifest::objects::Content,
    scaling::{Decision, Depth, Limits, Recommendations, decide},
};
use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use queue::{Connection, Inspector, QueueState};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A watch may lag behind our own write; within this time the write is believed.
const SETTLE: Duration = Duration::from_secs(3);

/// Name under which the HorizontalPodAutoscaler writes.
const HPA_MANAGER: &str = "kube-controller-manager";

/// What is remembered of one pipeline between looks.
#[derive(Debug, Default)]
pub struct Scaler {
    redis: Option<(String, Inspector)>,
    recommendations: Recommendations,
    written: Option<(u32, Instant)>,
    owns: bool,
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
    /// Why a decision does not hold.
    pub trouble: Option<Finding>,
}

impl Scaler {
    /// Looks, decides and writes. Without a Deployment, or with `hold`, nothing is written.
    pub async fn scale(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        observed: &Observed,
        hold: bool,
    ) -> Scaling {
        let spec = &pipeline.spec;
        let queues = self.look(pipeline, &observed.secrets()).await;
        let depths: Option<Vec<Depth>> = queues.as_ref().ok().map(|queues| depths(pipeline, queues));
        let name = Part::Worker.child_name(&pipeline.name_any());
        let running = observed.child(Kind::Deployment, &name).and_then(replicas);
        let recent = self.recommendations.most_within(spec.worker.autoscaling.cooldown_period.get(), Instant::now());
        let limits = Limits::from(&spec.worker);
        let decision = decide(depths.as_deref(), &limits, running.unwrap_or(limits.min), recent);
        if depths.is_some() {
            self.recommendations.add(decision.recommended, Instant::now());
        }
        let given_away = limits.mode == AutoscalingMode::External && spec.worker.replicas.is_none();
        let decision = (!given_away).then_some(decision);
        let mut scaling = Scaling { queues, decision, changed: None, trouble: None };
        let wanted = scaling.decision.as_ref().map(|decision| decision.desired);
        if let (Some(running), Some(wanted), false) = (running, wanted, hold) {
            self.write(client, pipeline, &name, (running, wanted), &mut scaling).await;
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

    async fn write(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        name: &str,
        (running, wanted): (u32, u32),
        scaling: &mut Scaling,
    ) {
        let believed = self.written.is_some_and(|(written, at)| written == wanted && at.elapsed() < SETTLE);
        let api: Api<Deployment> = Api::namespaced(client.clone(), &pipeline.namespace().unwrap_or_default());
        if believed || (running == wanted && self.has_settled(&api, name, running).await) {
            return;
        }
        match write(&api, name, wanted).await {
            Ok(()) => {
                (self.written, self.owns) = (Some((wanted, Instant::now())), true);
                if running != wanted {
                    tracing::info!(pipeline = pipeline.name_any(), from = running, to = wanted, "workers scaled");
                    scaling.changed = Some((running, wanted));
                }
            }
            Err(error) => scaling.trouble = Some(trouble(name, &error)),
        }
    }
}

impl Scaler {
    /// A Deployment that began with another number than Kubernetes' own got it from the manager of its other fields, which gives
    /// it up at its next apply; the field must have its owner by then. Looked up once.
    async fn has_settled(&mut self, api: &Api<Deployment>, name: &str, running: u32) -> bool {
        if !self.owns && running != 1 {
            let Ok(deployment) = api.get_metadata(name).await else { return true };
            let ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(SCALER_FIELD_MANAGER);
            self.owns = deployment.managed_fields().iter().any(ours);
            return self.owns;
        }
        true
    }
}

fn uri<'a>(redis: &Redis, secrets: &'a BTreeMap<String, Content>) -> &'a str {
    let UriSecret { name, key } = &redis.secret_ref;
    let uri = secrets.get(name).and_then(|content| content.get(key)).unwrap_or_default();
    std::str::from_utf8(uri).unwrap_or_default().trim()
}

/// A person's `kubectl scale` is overridden, as any foreign change to a child is; an autoscaler would write again at once.
async fn write(api: &Api<Deployment>, name: &str, wanted: u32) -> Result<(), kube::Error> {
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": wanted}});
    let params = PatchParams::apply(SCALER_FIELD_MANAGER);
    match api.patch_scale(name, &params, &Patch::Apply(&scale)).await {
        Err(kube::Error::Api(status)) if status.is_conflict() && !status.message.contains(HPA_MANAGER) => {
            api.patch_scale(name, &params.force(), &Patch::Apply(&scale)).await.map(|_| ())
        }
        written => written.map(|_| ()),
    }
}

fn trouble(name: &str, error: &kube::Error) -> Finding {
    match error {
        kube::Error::Api(status) if status.is_conflict() => Finding::usual(
            reason::FOREIGN_WRITER,
            format!(
                "a HorizontalPodAutoscaler also sets the replicas of Deployment {name}, so the operator leaves them alone"
            ),
        ),
        kube::Error::Api(status) if status.is_forbidden() => Finding::new(
            reason::FORBIDDEN,
            format!("the operator may not scale Deployment {name}"),
            "grant its ServiceAccount `patch` on deployments/scale in this namespace",
        ),
        _ => Finding::usual(reason::API_ERROR, format!("Deployment {name} could not be scaled")),
    }
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
