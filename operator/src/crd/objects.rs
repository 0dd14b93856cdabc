//! `spec.api.service`, `serviceAccount` and `podDisruptionBudget` of both components: the objects beside the pods.
//!
//! Takes and gives: the fields as written in the resource, in Kubernetes' own names. Does not: build the objects.

use super::forms;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A ServiceAccount of pods, without a token and without rights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    /// Annotations, by which clouds give pods an identity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The address of the api inside the cluster, and outside by its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Who reaches it.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// More labels; the operator's own cannot be replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, for load balancers and meshes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`. Absent: PreferDualStack, an address of each family that
    /// the cluster has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub ip_family_policy: Option<String>,
    /// `IPv4`, `IPv6` or both; the first cannot be changed later. Absent: the cluster's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub ip_families: Vec<String>,
    /// Which pods are preferred, such as `PreferClose` (Kubernetes 1.31).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub traffic_distribution: Option<String>,
    /// `Cluster` or `Local`: with Local the api sees the client's address, on nodes that have a pod. With type NodePort
    /// or LoadBalancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub external_traffic_policy: Option<String>,
    /// Which load balancer, where the cluster has several. With type LoadBalancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,
    /// Networks that the load balancer lets in. With type LoadBalancer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::networks")]
    pub load_balancer_source_ranges: Vec<String>,
}

/// Who reaches a Service (core/v1 ServiceSpec).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Pods of the cluster.
    #[default]
    ClusterIP,
    /// Also whoever reaches a node, on a port that the cluster chooses.
    NodePort,
    /// Also whoever reaches the load balancer that the cloud makes.
    LoadBalancer,
}

/// How many pods of a component may be evicted at once (policy/v1 PodDisruptionBudgetSpec).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.maxUnavailable) || !has(self.minAvailable)")
        .message("podDisruptionBudget takes one of maxUnavailable and minAvailable; remove one")
        .field_path(".maxUnavailable")
)]
pub struct PodDisruptionBudget {
    /// Pods, or a share such as `25%`, that may be away. Absent without `minAvailable`: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::count_or_share")]
    pub max_unavailable: Option<IntOrString>,
    /// Pods, or a share such as `50%`, that stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::count_or_share")]
    pub min_available: Option<IntOrString>,
    /// `AlwaysAllow` (absent means this): pods that are not ready may always be evicted; `IfHealthyBudget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub unhealthy_pod_eviction_policy: Option<String>,
}
