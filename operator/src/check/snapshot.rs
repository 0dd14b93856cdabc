//! Puts together what is known of one pipeline.
//!
//! Takes: a client and the resource. Gives: a [`Snapshot`], and what pipelines share (Redis, a host). Reads only what
//! the pipeline names, by name. Does not: judge, or keep a value of a Secret longer than the judgement takes.

use super::{
    cluster::{self, CONCURRENCY},
    error::CheckError,
    secrets,
    seen::Seen,
};
use crate::{
    build::{
        self, Inputs,
        child::{Child, Kind},
        names::{INSTANCE, NAME},
    },
    controller::{
        edge::{self, Class},
        endpoints,
        observe::{ObserveError, pod_events::PodEvents, resolve},
        reason::{self, Finding},
        shared_host::Neighbours,
        validate::{Reference, Resolved},
    },
    crd::SignupPipeline,
};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::DynamicObject};
use std::sync::Arc;

/// What is known of a pipeline.
pub(super) struct Snapshot {
    /// The resource.
    pub(super) pipeline: SignupPipeline,
    /// What it names, and what was found.
    pub(super) found: Vec<(Reference, Resolved)>,
    /// The children it should have, and what was found under their names.
    pub(super) children: Result<Vec<(Kind, String, Seen<DynamicObject>)>, Finding>,
    /// Its pods.
    pub(super) pods: Seen<Vec<Arc<Pod>>>,
    /// What Events say of pods that wait.
    pub(super) events: PodEvents,
    /// The ingress classes.
    pub(super) classes: Seen<Vec<Class>>,
    /// What each Gateway that it names lacks, in their order.
    pub(super) gateways: Vec<Option<Finding>>,
    /// Another pipeline (namespace/name) with the same Redis database.
    pub(super) shares_with: Option<String>,
    /// Other pipelines of its host.
    pub(super) neighbours: Neighbours,
}

/// Redis databases in use: a hash of host, port and index, and the pipeline (namespace/name).
pub(super) struct Shares {
    redis: Vec<(String, String)>,
    /// All pipelines that the caller may see.
    all: Vec<SignupPipeline>,
}

impl Shares {
    /// Reads all pipelines that the caller may see; those of `seen` at least.
    pub(super) async fn look(client: &Client, seen: &[SignupPipeline]) -> Result<Self, CheckError> {
        let all = match cluster::pipelines(client, None).await? {
            Seen::There((all, _)) => all,
            Seen::Absent | Seen::Forbidden => seen.to_vec(),
        };
        let uses = stream::iter(&all).map(|pipeline| async move {
            let database = redis(client, pipeline).await?;
            Ok::<_, CheckError>(database.map(|database| (database, title(pipeline))))
        });
        let uses: Vec<Option<(String, String)>> = uses.buffered(CONCURRENCY).try_collect().await?;
        Ok(Self { redis: uses.into_iter().flatten().collect(), all })
    }

    /// Another pipeline with the same database.
    fn other(&self, pipeline: &SignupPipeline) -> Option<String> {
        let own = title(pipeline);
        let (database, _) = self.redis.iter().find(|(_, name)| *name == own)?;
        self.redis.iter().find(|(other, name)| other == database && *name != own).map(|(_, name)| name.clone())
    }
}

fn title(pipeline: &SignupPipeline) -> String {
    format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any())
}

async fn redis(client: &Client, pipeline: &SignupPipeline) -> Result<Option<String>, CheckError> {
    let references = secrets::named(pipeline).into_iter().filter(|reference| reference.field == "spec.redis.secretRef");
    let mut found = Vec::new();
    for reference in references {
        if let (Reference { name, .. }, Resolved::Found(content)) = look(client, pipeline, reference).await? {
            found.push((name, content));
        }
    }
    Ok(endpoints::redis_identity(pipeline, &found.into_iter().collect()))
}

async fn look(
    client: &Client,
    pipeline: &SignupPipeline,
    reference: Reference,
) -> Result<(Reference, Resolved), CheckError> {
    let namespace = pipeline.namespace().unwrap_or_default();
    match resolve(client, &namespace, &reference).await {
        Ok(resolved) => Ok((reference, resolved)),
        Err(ObserveError::Read { kind, name, source }) => {
            Err(CheckError::Look { what: format!("read {kind} {name}"), source })
        }
        // Resolving a reference creates nothing and needs no random bytes.
        Err(ObserveError::CreateKey(source)) => Err(CheckError::Look { what: "read a Secret".into(), source }),
        Err(ObserveError::Random(_)) => Ok((reference, Resolved::Missing)),
    }
}

/// Reads everything that belongs to a pipeline.
pub(super) async fn snapshot(
    client: &Client,
    pipeline: &SignupPipeline,
    classes: &Seen<Vec<Class>>,
    shares: &Shares,
) -> Result<Snapshot, CheckError> {
    let named = stream::iter(secrets::named(pipeline)).map(|reference| look(client, pipeline, reference));
    let found: Vec<(Reference, Resolved)> = named.buffered(CONCURRENCY).try_collect().await?;
    // Names and kinds of the children depend on the resource alone.
    let neighbours = Neighbours::look(pipeline, &shares.all);
    let children = match build::children(pipeline, &Inputs::default()) {
        Ok(mut desired) => {
            neighbours.restrict(&mut desired);
            Ok(children(client, pipeline, desired).await?)
        }
        Err(error) => Err(Finding::with_default_fix(reason::CONFIG_INVALID, error)),
    };
    let namespace = pipeline.namespace().unwrap_or_default();
    let labels = format!("{}={},{INSTANCE}={}", NAME.0, NAME.1, pipeline.name_any());
    let pods = cluster::list::<Pod>(client, Some(&namespace), &labels).await?;
    let pods: Seen<Vec<Arc<Pod>>> = pods.map(|pods| pods.into_iter().map(Arc::new).collect());
    let mut events = PodEvents::default();
    if let Seen::There(pods) = &pods {
        events.look(client, pods, Timestamp::now()).await;
    }
    let shares_with = shares.other(pipeline);
    let (pipeline, classes) = (pipeline.clone(), classes.clone());
    let gateways = gateways(client, &pipeline).await?;
    Ok(Snapshot { pipeline, found, children, pods, events, classes, gateways, shares_with, neighbours })
}

async fn gateways(client: &Client, pipeline: &SignupPipeline) -> Result<Vec<Option<Finding>>, CheckError> {
    let Some(expose) = &pipeline.spec.expose else { return Ok(Vec::new()) };
    let (namespace, parents) = (pipeline.namespace().unwrap_or_default(), expose.gateway.iter());
    let looks = stream::iter(parents.flat_map(|gateway| &gateway.parent_refs)).map(|parent| {
        let namespace = &namespace;
        async move {
            let missing = edge::gateway_missing(client, parent, namespace, &expose.host).await;
            missing.map_err(|source| CheckError::Look {
                what: format!("read Gateway {}", parent.name),
                source: Box::new(source),
            })
        }
    });
    looks.buffered(CONCURRENCY).try_collect().await
}

async fn children(
    client: &Client,
    pipeline: &SignupPipeline,
    desired: Vec<Child>,
) -> Result<Vec<(Kind, String, Seen<DynamicObject>)>, CheckError> {
    let namespace = pipeline.namespace().unwrap_or_default();
    let looks = stream::iter(desired).map(|child| {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &child.kind.resource());
        async move {
            let (kind, name) = (child.kind, child.name().to_owned());
            let seen = cluster::seen(&format!("read {kind:?} {name}"), api.get(&name)).await?;
            Ok((kind, name, seen))
        }
    });
    looks.buffered(CONCURRENCY).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_pipeline_with_the_same_database_is_named_and_never_the_pipeline_itself() {
        let mut pipeline =
            crate::manifest::parse(include_str!("../../../samples/minimal.yaml")).expect("valid").pipeline;
        pipeline.metadata.namespace = Some("shop".into());
        let shares = |uses: &[(&str, &str)]| {
            let uses = uses.iter().map(|(database, name)| ((*database).to_owned(), (*name).to_owned()));
            Shares { redis: uses.collect(), all: Vec::new() }.other(&pipeline)
        };
        assert_eq!(shares(&[("a", "shop/demo"), ("a", "forum/demo")]).as_deref(), Some("forum/demo"));
        assert_eq!(shares(&[("a", "shop/demo"), ("b", "forum/demo")]), None);
        assert_eq!(shares(&[("a", "forum/demo"), ("a", "forum/two")]), None, "its own database is not known");
    }
}
