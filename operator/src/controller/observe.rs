//! What is there: the Secrets and ConfigMaps that a pipeline names, its children and its pods.
//!
//! Takes: the resource, a client, and the view that watches keep. Gives: [`Observed`]. Reads each named object by
//! `get`. Does not: change anything, except that the generated key Secret is made when it is absent, once and never
//! again.

pub mod encoded;
pub mod pods;
pub mod watch;

use self::watch::View;
use super::validate::{Reference, Resolved, Source, references};
use crate::{
    build::{
        child::Kind,
        key_secret,
        names::{Component, IMAGE},
    },
    crd::SignupPipeline,
    manifest::objects::Content,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, PostParams},
};
use std::{collections::BTreeMap, sync::Arc};

/// What is there.
pub struct Observed {
    /// Demands of the resource, with what was found.
    pub found: Vec<(Reference, Resolved)>,
    /// Children, whether still desired or not.
    pub children: Vec<(Kind, Arc<DynamicObject>)>,
    /// Pods.
    pub pods: Vec<Arc<Pod>>,
    /// The image that a pipeline without one of its own began with.
    pub image: Option<String>,
}

/// The cluster could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// An object could not be read.
    #[error("failed to read {kind} {name}")]
    Read {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// The key Secret could not be made.
    #[error("failed to create the Secret with the generated key")]
    CreateKey(#[source] Box<kube::Error>),
    /// The operating system has no random bytes.
    #[error("failed to get random bytes")]
    Random(#[source] getrandom::Error),
}

impl Observed {
    /// Content of the Secrets that exist, by name.
    pub fn secrets(&self) -> BTreeMap<String, Content> {
        let secrets = self.found.iter().filter(|(reference, _)| reference.source == Source::Secret);
        let content = |(reference, resolved): &(Reference, Resolved)| match resolved {
            Resolved::Found(content) => Some((reference.name.clone(), content.clone())),
            Resolved::Missing | Resolved::Forbidden => None,
        };
        secrets.filter_map(content).collect()
    }

    /// The child of that kind and name.
    pub fn child(&self, kind: Kind, name: &str) -> Option<&DynamicObject> {
        let same = |(other, object): &&(Kind, Arc<DynamicObject>)| *other == kind && object.name_any() == name;
        self.children.iter().find(same).map(|(_, object)| object.as_ref())
    }
}

/// Looks.
///
/// # Errors
///
/// [`ObserveError`]. A missing or forbidden object is not an error but a finding.
pub async fn observe(client: &Client, view: &View, pipeline: &SignupPipeline) -> Result<Observed, ObserveError> {
    let namespace = pipeline.namespace().unwrap_or_default();
    let mut found = Vec::new();
    for reference in references(pipeline) {
        let mut resolved = resolve(client, &namespace, &reference).await?;
        let generated =
            reference.field == "spec.verification.keySecretRef" && pipeline.spec.verification.key_secret_ref.is_none();
        if generated && resolved == Resolved::Missing && !pipeline.spec.paused {
            create_key(client, &namespace, pipeline).await?;
            resolved = resolve(client, &namespace, &reference).await?;
        }
        found.push((reference, resolved));
    }
    let children = view.children_of(&pipeline.uid().unwrap_or_default());
    let pods = view.pods(&namespace, &pipeline.name_any());
    let image = kept_image(client, &namespace, pipeline, &children).await?;
    Ok(Observed { found, children, pods, image })
}

/// The watch may not have seen the Deployment yet, and a wrong answer would restart every pod.
async fn kept_image(
    client: &Client,
    namespace: &str,
    pipeline: &SignupPipeline,
    children: &[(Kind, Arc<DynamicObject>)],
) -> Result<Option<String>, ObserveError> {
    let name = Component::Api.child_name(&pipeline.name_any());
    let seen = children.iter().find(|(kind, object)| *kind == Kind::Deployment && object.name_any() == name);
    if let Some((_, seen)) = seen {
        return Ok(seen.annotations().get(IMAGE).cloned());
    }
    let deployment = Api::<Deployment>::namespaced(client.clone(), namespace).get_metadata_opt(&name).await;
    let read = |source| ObserveError::Read { kind: "Deployment", name, source: Box::new(source) };
    Ok(deployment.map_err(read)?.and_then(|deployment| deployment.annotations().get(IMAGE).cloned()))
}

/// Reads one named object.
pub(crate) async fn resolve(client: &Client, namespace: &str, reference: &Reference) -> Result<Resolved, ObserveError> {
    let (kind, read) = match reference.source {
        Source::Secret => ("Secret", read_secret(client, namespace, &reference.name).await),
        Source::ConfigMap => ("ConfigMap", read_config_map(client, namespace, &reference.name).await),
    };
    match read {
        Ok(Some(content)) => Ok(Resolved::Found(content)),
        Ok(None) => Ok(Resolved::Missing),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(Resolved::Forbidden),
        Err(source) => Err(ObserveError::Read { kind, name: reference.name.clone(), source: Box::new(source) }),
    }
}

async fn read_secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Content>, kube::Error> {
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(secret.map(|secret| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()))
}

async fn read_config_map(client: &Client, namespace: &str, name: &str) -> Result<Option<Content>, kube::Error> {
    let map = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(map.map(|map| map.data.unwrap_or_default().into_iter().collect()))
}

/// Another operator may have been faster; then its key is the key.
async fn create_key(client: &Client, namespace: &str, pipeline: &SignupPipeline) -> Result<(), ObserveError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(ObserveError::Random)?;
    let secret = key_secret::build(pipeline, random);
    match Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(source) => Err(ObserveError::CreateKey(Box::new(source))),
    }
}
