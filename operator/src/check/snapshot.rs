//! Puts together what is known of one pipeline.
//!
//! Takes: a client and the resource. Gives: a [`Snapshot`], and which pipelines share a Redis database. Reads only what the
//! pipeline names, by name. Does not: judge, or keep a value of a Secret longer than the judgement takes.

use super::{
    error::CheckError,
    look::{self, AT_ONCE},
    offers::Class,
    pipeline::Snapshot,
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
        endpoints,
        observe::{ObserveError, look_up},
        reason::{self, Finding},
        validate::{Demand, Lookup},
    },
    crd::SignupPipeline,
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::DynamicObject};
use std::sync::Arc;

/// Redis databases in use: a hash of host, port and index, and the pipeline (namespace/name).
pub(super) struct Shares(Vec<(String, String)>);

impl Shares {
    /// Looks at all pipelines that the caller may see; those of `seen` at least.
    pub(super) async fn look(client: &Client, seen: &[SignupPipeline]) -> Result<Self, CheckError> {
        let everywhere = look::list::<SignupPipeline>(client, None, "").await?;
        let all = if let Seen::There(all) = everywhere { all } else { seen.to_vec() };
        let uses = stream::iter(&all).map(|pipeline| async move {
            let database = redis(client, pipeline).await?;
            Ok::<_, CheckError>(database.map(|database| (database, title(pipeline))))
        });
        let uses: Vec<Option<(String, String)>> = uses.buffered(AT_ONCE).try_collect().await?;
        Ok(Self(uses.into_iter().flatten().collect()))
    }

    /// Another pipeline with the same database.
    fn other(&self, pipeline: &SignupPipeline) -> Option<String> {
        let own = title(pipeline);
        let (database, _) = self.0.iter().find(|(_, name)| *name == own)?;
        self.0.iter().find(|(other, name)| other == database && *name != own).map(|(_, name)| name.clone())
    }
}

fn title(pipeline: &SignupPipeline) -> String {
    format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any())
}

async fn redis(client: &Client, pipeline: &SignupPipeline) -> Result<Option<String>, CheckError> {
    let demands = secrets::named(pipeline).into_iter().filter(|demand| demand.field == "spec.redis.secretRef");
    let mut found = Vec::new();
    for demand in demands {
        if let (Demand { name, .. }, Lookup::Found(content)) = look(client, pipeline, demand).await? {
            found.push((name, content));
        }
    }
    Ok(endpoints::redis_identity(pipeline, &found.into_iter().collect()))
}

async fn look(client: &Client, pipeline: &SignupPipeline, demand: Demand) -> Result<(Demand, Lookup), CheckError> {
    let namespace = pipeline.namespace().unwrap_or_default();
    match look_up(client, &namespace, &demand).await {
        Ok(lookup) => Ok((demand, lookup)),
        Err(ObserveError::Read { kind, name, source }) => {
            Err(CheckError::Look { what: format!("read {kind} {name}"), source })
        }
        // Nothing is created by a look-up, and no random bytes are needed.
        Err(ObserveError::CreateKey(source)) => Err(CheckError::Look { what: "read a Secret".into(), source }),
        Err(ObserveError::Random(_)) => Ok((demand, Lookup::Missing)),
    }
}

/// Looks at everything that belongs to a pipeline.
pub(super) async fn snapshot(
    client: &Client,
    pipeline: &SignupPipeline,
    classes: &Seen<Vec<Class>>,
    shares: &Shares,
) -> Result<Snapshot, CheckError> {
    let named = stream::iter(secrets::named(pipeline)).map(|demand| look(client, pipeline, demand));
    let found: Vec<(Demand, Lookup)> = named.buffered(AT_ONCE).try_collect().await?;
    // Names and kinds of the children depend on the resource alone.
    let children = match build::children(pipeline, &Inputs::default()) {
        Ok(desired) => Ok(children(client, pipeline, desired).await?),
        Err(error) => Err(Finding::usual(reason::CONFIG_INVALID, error)),
    };
    let namespace = pipeline.namespace().unwrap_or_default();
    let labels = format!("{}={},{INSTANCE}={}", NAME.0, NAME.1, pipeline.name_any());
    let pods = look::list::<Pod>(client, Some(&namespace), &labels).await?;
    let pods = pods.map(|pods| pods.into_iter().map(Arc::new).collect());
    let shares_with = shares.other(pipeline);
    Ok(Snapshot { pipeline: pipeline.clone(), found, children, pods, classes: classes.clone(), shares_with })
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
            let seen = look::seen(&format!("read {kind:?} {name}"), api.get(&name)).await?;
            Ok((kind, name, seen))
        }
    });
    looks.buffered(AT_ONCE).try_collect().await
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
            Shares(uses.collect()).other(&pipeline)
        };
        assert_eq!(shares(&[("a", "shop/demo"), ("a", "forum/demo")]).as_deref(), Some("forum/demo"));
        assert_eq!(shares(&[("a", "shop/demo"), ("b", "forum/demo")]), None);
        assert_eq!(shares(&[("a", "forum/demo"), ("a", "forum/two")]), None, "its own database is not known");
    }
}
