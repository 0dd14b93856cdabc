//! One desired object.
//!
//! Takes: a kind, a name, and the object's content. Gives: a [`Child`] with labels and owner reference. Does not: check
//! the content against the kind; the API server does, strictly.

use super::{
    Subject,
    names::{COMPONENT, Component, INSTANCE, MANAGED_BY, NAME},
};
use crate::crd::SignupPipeline;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Resource,
    api::{ApiResource, DynamicObject, ObjectMeta},
    core::GroupVersionKind,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The kinds of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Configuration.
    ConfigMap,
    /// Identity of pods, without a token.
    ServiceAccount,
    /// What pods accept and reach.
    NetworkPolicy,
    /// Address inside the cluster.
    Service,
    /// Pods.
    Deployment,
    /// How many pods of the api there are, in mode Auto.
    HorizontalPodAutoscaler,
    /// How many pods may be evicted at once.
    PodDisruptionBudget,
    /// Exposure by an ingress controller.
    Ingress,
    /// Exposure by the Gateway API, which not every cluster has.
    HttpRoute,
    /// What Prometheus scrapes, by the Prometheus operator, which not every cluster has.
    PodMonitor,
    /// What others have Prometheus scrape; none is made.
    ServiceMonitor,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::NetworkPolicy,
        Self::Service,
        Self::Deployment,
        Self::HorizontalPodAutoscaler,
        Self::PodDisruptionBudget,
        Self::Ingress,
        Self::HttpRoute,
        Self::PodMonitor,
        Self::ServiceMonitor,
    ];

    /// Group, version and names on the API server.
    pub fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::ConfigMap => ("", "ConfigMap", "configmaps"),
            Self::ServiceAccount => ("", "ServiceAccount", "serviceaccounts"),
            Self::NetworkPolicy => ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
            Self::Service => ("", "Service", "services"),
            Self::Deployment => ("apps", "Deployment", "deployments"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
            Self::PodDisruptionBudget => ("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::Ingress => ("networking.k8s.io", "Ingress", "ingresses"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
            Self::PodMonitor => ("monitoring.coreos.com", "PodMonitor", "podmonitors"),
            Self::ServiceMonitor => ("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
        };
        let version = if self == Self::HorizontalPodAutoscaler { "v2" } else { "v1" };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// True when not every cluster has the kind.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::HttpRoute | Self::PodMonitor | Self::ServiceMonitor)
    }

    /// False where objects of the kind are looked at alone.
    pub fn is_made(self) -> bool {
        self != Self::ServiceMonitor
    }

    /// True when it gives the api an address outside the cluster.
    pub fn is_exposure(self) -> bool {
        matches!(self, Self::Ingress | Self::HttpRoute)
    }

    /// True when objects of others may concern our Deployments and pods, so that all of the kind are watched.
    pub fn may_be_of_others(self) -> bool {
        matches!(
            self,
            Self::HorizontalPodAutoscaler
                | Self::PodDisruptionBudget
                | Self::NetworkPolicy
                | Self::PodMonitor
                | Self::ServiceMonitor
        )
    }

    /// True when no other child and no pod needs it, so that its trouble holds up nothing.
    pub fn is_best_effort(self) -> bool {
        let scaling = Self::HorizontalPodAutoscaler;
        self == scaling || self.is_exposure() || matches!(self, Self::PodDisruptionBudget | Self::PodMonitor)
    }
}

/// A desired object.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: Kind,
    /// The object, as it is applied.
    pub object: DynamicObject,
    /// Number of pods that the object begins with, where another field manager owns it from then on.
    pub first_replicas: Option<u32>,
}

impl Child {
    /// Name of the object.
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    /// Adds labels and annotations that the resource gives; those of ours stay.
    pub(super) fn with(mut self, labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Self {
        for (given, own) in
            [(labels, &mut self.object.metadata.labels), (annotations, &mut self.object.metadata.annotations)]
        {
            if !given.is_empty() {
                let ours = own.take().unwrap_or_default();
                *own = Some(given.clone().into_iter().chain(ours).collect());
            }
        }
        self
    }

    /// The object as it is made where there is none: with the number of pods that it begins with, unless that is
    /// Kubernetes' own, 1.
    pub fn as_made(&self) -> DynamicObject {
        let mut object = self.object.clone();
        if let Some(replicas) = self.first_replicas.filter(|replicas| *replicas != 1) {
            object.data["spec"]["replicas"] = replicas.into();
        }
        object
    }
}

/// Puts a child together; `content` is everything but kind and metadata.
pub(super) fn child(
    subject: &Subject<'_>,
    kind: Kind,
    component: Option<Component>,
    name: String,
    content: Value,
) -> Child {
    let mut object = DynamicObject::new(&name, &kind.resource());
    object.metadata = metadata(subject, component, name);
    object.data = content;
    Child { kind, object, first_replicas: None }
}

pub(super) fn metadata(subject: &Subject<'_>, component: Option<Component>, name: String) -> ObjectMeta {
    let labels = [NAME, MANAGED_BY, (INSTANCE, subject.name)];
    let component = component.map(|component| (COMPONENT, component.name()));
    let labels = labels.into_iter().chain(component).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    ObjectMeta {
        name: Some(name),
        namespace: Some(subject.namespace.to_owned()),
        labels: Some(labels),
        owner_references: subject.uid.map(|uid| vec![owner(subject.name, uid)]),
        ..ObjectMeta::default()
    }
}

/// The API server refuses an owner without a uid, so a rendered file has none.
fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: SignupPipeline::api_version(&()).into_owned(),
        kind: SignupPipeline::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
