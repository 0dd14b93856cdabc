//! What is there: the Secrets and ConfigMaps that a pipeline names, its children and its pods.
//!
//! Takes: the resource, a client, the named objects that `named` keeps and the view that watches keep. Gives:
//! [`Observed`]. Does not: change anything, except that the generated key Secret is made when it is absent, once and
//! never again.

mod absent;
pub mod encoded;
pub mod named;
pub mod others;
pub mod pod_events;
pub mod pods;
pub(super) mod refused;
pub mod view;
pub mod watch;

pub(crate) use self::named::resolve;

use self::{named::Named, others::Others, view::View};
use super::{
    reason::Finding,
    shared_host::Neighbours,
    turns::Name,
    validate::{Reference, Resolved, Source, certificate, references},
};
use crate::{
    build::{
        child::Kind,
        key_secret,
        names::{Component, IMAGE},
    },
    crd::SignupPipeline,
    manifest::objects::Content,
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, PostParams},
    runtime::reflector::Store,
};
use std::{collections::BTreeMap, sync::Arc};

/// What is there.
pub struct Observed {
    /// Demands of the resource, with what was found.
    pub found: Vec<(Reference, Resolved)>,
    /// The Secret with the certificate of the Ingress, if one is named.
    pub certificate: Option<(Reference, Resolved)>,
    /// Children, whether still desired or not.
    pub children: Vec<(Kind, Arc<DynamicObject>)>,
    /// Pods.
    pub pods: Vec<Arc<Pod>>,
    /// The image that a pipeline without one of its own began with.
    pub image: Option<String>,
    /// Other pipelines of its host.
    pub neighbours: Neighbours,
    /// What others have on its Deployments and pods.
    pub others: Others,
    /// What its exposure lacks in the cluster.
    pub edge: Option<Finding>,
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

/// What keeps the view of the cluster.
pub(super) struct Sources<'a> {
    pub(super) client: &'a Client,
    pub(super) view: &'a View,
    pub(super) named: &'a Named,
    /// Every pipeline that the operator sees.
    pub(super) all: &'a Store<SignupPipeline>,
}

/// Looks; `is_edited`: the pipeline was edited since it was looked at last.
///
/// # Errors
///
/// [`ObserveError`]. A missing or forbidden object is not an error but a finding.
pub(super) async fn observe(
    sources: Sources<'_>,
    pipeline: &SignupPipeline,
    is_edited: bool,
) -> Result<Observed, ObserveError> {
    let Sources { client, view, named, all } = sources;
    let (namespace, name) = (pipeline.namespace().unwrap_or_default(), Name::from_obj(pipeline));
    let certificate = certificate(pipeline);
    let wanted = references(pipeline).into_iter().chain(certificate.clone()).collect();
    let mut found = named.resolve(&name, wanted, is_edited).await?;
    let certificate = certificate.and_then(|_| found.pop());
    let is_key = |reference: &Reference| reference.field == "spec.verification.keySecretRef";
    let generated = found.iter_mut().find(|(reference, resolved)| {
        let is_generated = is_key(reference) && pipeline.spec.verification.key_secret_ref.is_none();
        is_generated && *resolved == Resolved::Missing && !pipeline.spec.paused
    });
    if let Some((reference, resolved)) = generated {
        create_key(client, &namespace, pipeline).await?;
        *resolved = named.again(&name, reference).await?;
    }
    let children = view.children_of(pipeline);
    let pods = view.pods(&namespace, &pipeline.name_any());
    let image = kept_image(client, &namespace, pipeline, &children).await?;
    let is_exposed = pipeline.spec.expose.is_some();
    let neighbours = if is_exposed { Neighbours::look(pipeline, &all.state()) } else { Neighbours::default() };
    let others = Others::look(pipeline, view);
    Ok(Observed { found, certificate, children, pods, image, neighbours, others, edge: None })
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
