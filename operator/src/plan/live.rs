//! Reads a pipeline in a cluster and its queues.
//!
//! Takes: the name. Gives: snapshots, one per second, each decided; the text of the last. Does not: write to the
//! cluster or to Redis.

use super::{Options, PlanError, print};
use crate::{
    build::names::Component,
    controller::{
        observe::resolve,
        scale::Endpoint,
        validate::{Reference, Resolved, references},
    },
    crd::SignupPipeline,
    manifest::objects::Content,
    scaling::{Autoscaler, Decision, Depth, trace},
};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt};
use queue::Inspector;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

/// Time between two snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// A namespace of a cluster.
pub(super) struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    pub(super) async fn connect(options: &Options) -> Result<Self, PlanError> {
        let client = Client::try_default().await.map_err(|error| PlanError::Cluster(Box::new(error)))?;
        let namespace = options.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        Ok(Self { client, namespace })
    }

    pub(super) async fn pipeline(&self, name: &str) -> Result<SignupPipeline, PlanError> {
        let api: Api<SignupPipeline> = Api::namespaced(self.client.clone(), &self.namespace);
        let failed = |source| self.failed(&format!("SignupPipeline {name}"), source);
        api.get(name).await.map_err(failed)
    }

    /// Workers that are asked for, and those that are ready.
    async fn workers(&self, pipeline: &str) -> Result<(u32, u32), PlanError> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = Component::Worker.child_name(pipeline);
        let found = api.get(&name).await.map_err(|source| self.failed(&format!("Deployment {name}"), source))?;
        let replicas = found.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let ready = found.status.and_then(|status| status.ready_replicas).unwrap_or(0);
        Ok((replicas.unsigned_abs(), ready.unsigned_abs()))
    }

    async fn redis(&self, pipeline: &SignupPipeline) -> Result<Endpoint, PlanError> {
        let mut secrets = BTreeMap::<String, Content>::new();
        let named = references(pipeline).into_iter().filter(|reference| reference.field.starts_with("spec.redis."));
        for reference in named {
            let Reference { name, .. } = &reference;
            let resolved = resolve(&self.client, &self.namespace, &reference).await;
            match resolved.map_err(|source| self.failed(&format!("Secret {name}"), source))? {
                Resolved::Found(content) => drop(secrets.insert(name.clone(), content)),
                Resolved::Missing => return Err(PlanError::Redis(format!("Secret {name} is missing; make it"))),
                Resolved::Forbidden => {
                    let what =
                        format!("you may not read Secret {name}; use an account that may, or the operator's pod");
                    return Err(PlanError::Redis(what));
                }
            }
        }
        Ok(Endpoint::new(&pipeline.spec.redis, &secrets))
    }

    fn failed(&self, what: &str, source: impl std::error::Error + Send + Sync + 'static) -> PlanError {
        PlanError::Read { what: format!("{what} of namespace {}", self.namespace), source: Box::new(source) }
    }
}

/// Watches the queues for a while and tells the last decision.
pub(super) async fn run(options: &Options) -> Result<String, PlanError> {
    let cluster = Cluster::connect(options).await?;
    let pipeline = cluster.pipeline(options.name.as_deref().unwrap_or_default()).await?;
    let endpoint = cluster.redis(&pipeline).await?;
    let unusable = |error| PlanError::Redis(endpoint.unusable(&error).message);
    let inspector = Inspector::new(endpoint.open().map_err(unusable)?);
    let (mut autoscaler, mut series, mut last) = (Autoscaler::default(), String::new(), None);
    let mut tick = tokio::time::interval(SNAPSHOT_INTERVAL);
    for _ in 0..=options.seconds {
        tick.tick().await;
        let depths = snapshot(&inspector, &autoscaler, &pipeline).await?;
        for depth in &depths {
            // Writing to a String does not fail.
            let _ = writeln!(series, "{}", trace::line(depth));
        }
        let (running, ready) = cluster.workers(&pipeline.name_any()).await?;
        last = Some((decide(&mut autoscaler, &pipeline, &depths, (running, ready)), running, ready));
    }
    if let Some(path) = &options.record {
        let failed = |source| PlanError::File { action: "write", path: path.clone(), source };
        std::fs::write(path, series).map_err(failed)?;
    }
    let text = last.map(|(decision, running, ready)| print::text(&pipeline, &decision, running, ready));
    Ok(text.unwrap_or_default())
}

fn decide(
    autoscaler: &mut Autoscaler,
    pipeline: &SignupPipeline,
    depths: &[Depth],
    (running, ready): (u32, u32),
) -> Decision {
    let now = Instant::now();
    autoscaler.ready(ready, now);
    autoscaler.decide(&pipeline.spec, Some(depths), Some(running), now)
}

async fn snapshot(
    inspector: &Inspector,
    autoscaler: &Autoscaler,
    pipeline: &SignupPipeline,
) -> Result<Vec<Depth>, PlanError> {
    let ahead = autoscaler.look_ahead(&pipeline.spec.worker.autoscaling);
    let readings = pipeline.spec.queues.iter().map(|queue| async move {
        let reading = inspector.reading(&queue.name, ahead).await?;
        Ok(Depth::new(&reading, queue))
    });
    try_join_all(readings).await.map_err(|error: queue::Error| PlanError::Redis(::pipeline::chain(&error)))
}
