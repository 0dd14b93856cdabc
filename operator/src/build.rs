//! From a validated pipeline to what should exist: pure steps, one file per kind of object.
//!
//! Takes: the resource, and decisions that were made elsewhere. Gives: desired objects; the same input gives the same
//! bytes. Does not: do I/O.
//!
//! # Layout
//!
//! - [`names`]: names, labels, ports, annotations
//! - [`child`]: one desired object, and the kinds there are
//! - [`document`], [`mounts`]: `pipeline.yaml`, and where its files are mounted
//! - [`restarts`], [`checksum`]: what cannot change in a running process
//! - [`pod_defaults`]: what pods have when the resource does not say
//! - `config_map`, `service_account`, `service`, `deployment` (with `pod`, `pod_security`),
//!   `horizontal_pod_autoscaler`, `disruption_budget`, `network_policy`, `ingress`, `http_route`, `pod_monitor`: one
//!   kind each
//! - [`key_secret`]: the generated keys, the one object that is made once and never changed

pub mod checksum;
pub mod child;
mod config_map;
mod deployment;
mod disruption_budget;
pub mod document;
mod horizontal_pod_autoscaler;
mod http_route;
mod ingress;
pub mod key_secret;
pub mod mounts;
pub mod names;
mod network_policy;
mod pod;
pub mod pod_defaults;
mod pod_monitor;
mod pod_security;
pub mod restarts;
mod service;
mod service_account;

use crate::crd::{SignupPipeline, SignupPipelineSpec};
use checksum::Checksums;
use child::Child;
use names::Component;
use pipeline::{Identity, document::InvalidDocument};
use std::collections::BTreeMap;

/// What the resource itself does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Image of pods whose pipeline names none: the one it began with, else the operator's own.
    pub image: String,
    /// Checksums of the Secrets that processes read at start only.
    pub checksums: Checksums,
    /// TCP ports of PostgreSQL, from its Secret.
    pub database_ports: Vec<u16>,
    /// TCP ports of Redis, from its Secret.
    pub redis_ports: Vec<u16>,
    /// Keys of PostgreSQL's Secret and the files that pods see them as; empty: the key of `secretRef` as `uri`.
    pub database_files: Vec<(String, &'static str)>,
    /// The same of the Secret for migrations.
    pub migrations_files: Vec<(String, &'static str)>,
    /// The same of Redis' Secret.
    pub redis_files: Vec<(String, &'static str)>,
    /// UID of the pipeline's namespace; `None`: not known.
    pub namespace_uid: Option<String>,
    /// Somebody else's autoscaler sets the number of api pods.
    pub is_api_scaled_by_others: bool,
    /// The [`pod_defaults`] of components whose pods keep older ones; absent: the newest.
    pub pod_defaults: BTreeMap<Component, u32>,
}

impl Inputs {
    fn defaults_of(&self, component: Component) -> u32 {
        self.pod_defaults.get(&component).copied().unwrap_or(pod_defaults::NEWEST)
    }
}

/// The pipeline that children are built for.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: Option<&'a str>,
    spec: &'a SignupPipelineSpec,
}

impl<'a> Subject<'a> {
    fn new(pipeline: &'a SignupPipeline) -> Self {
        let metadata = &pipeline.metadata;
        Self {
            name: metadata.name.as_deref().unwrap_or_default(),
            namespace: metadata.namespace.as_deref().unwrap_or("default"),
            uid: metadata.uid.as_deref(),
            spec: &pipeline.spec,
        }
    }
}

/// Every desired child, in the order in which they are applied: what pods need comes before the pods.
///
/// # Errors
///
/// [`InvalidDocument`] when the processes would refuse their configuration; then nothing may be applied.
pub fn children(pipeline: &SignupPipeline, inputs: &Inputs) -> Result<Vec<Child>, InvalidDocument> {
    let subject = Subject::new(pipeline);
    let mut children = vec![config_map::build(&subject, &identity(pipeline, inputs))?];
    children.extend(Component::ALL.map(|component| service_account::build(&subject, component)));
    if subject.spec.network_policy.enabled {
        children.extend(Component::ALL.map(|component| network_policy::build(&subject, inputs, component)));
    }
    children.push(service::build(&subject));
    children.extend(Component::ALL.map(|component| deployment::build(&subject, inputs, component)));
    children.extend(horizontal_pod_autoscaler::build(&subject, inputs));
    children.extend(Component::ALL.into_iter().filter_map(|component| disruption_budget::build(&subject, component)));
    if let Some(expose) = &subject.spec.expose {
        children.extend(expose.ingress.as_ref().map(|ingress| ingress::build(&subject, expose, ingress)));
        children.extend(expose.gateway.as_ref().map(|gateway| http_route::build(&subject, expose, gateway)));
    }
    children.extend(subject.spec.observability.pod_monitor.then(|| pod_monitor::build(&subject)));
    Ok(children)
}

/// Which of all pipelines of that name it is, so that its database is known as its own.
fn identity(pipeline: &SignupPipeline, inputs: &Inputs) -> Identity {
    let created_at = pipeline.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    Identity { namespace_uid: inputs.namespace_uid.clone(), created_at }
}

/// The labels of a component's pods.
pub fn pod_labels(pipeline: &SignupPipeline, component: Component) -> BTreeMap<String, String> {
    let labels = pod::labels_of(&Subject::new(pipeline), component);
    let texts = labels.as_object().into_iter().flatten();
    texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The text of `pipeline.yaml` and the hash by which processes name it.
///
/// # Errors
///
/// [`InvalidDocument`] when the processes would refuse it.
pub fn configuration(pipeline: &SignupPipeline) -> Result<(String, String), InvalidDocument> {
    let text = config_map::text(&Subject::new(pipeline))?;
    let hash = pipeline::hash([text.as_bytes()]);
    Ok((text, hash))
}
