//! `spec.api.pod` and `spec.worker.pod`: what pods have beside what the operator gives them.
//!
//! Takes and gives: the fields as written in the resource, in Kubernetes' own names and shapes. What is passed through
//! is checked by the API server when the Deployment is applied; what would take the place of something of ours is
//! refused by the schema ([`super::forms::ours`]). Does not: build pods.

use super::forms::{self, ours};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An object in the shape of a Kubernetes type.
pub type Object = BTreeMap<String, serde_json::Value>;

/// What pods have beside what the operator gives them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// More labels; the operator's own cannot be replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// More annotations; the operator's own cannot be replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that do not keep the pods away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Affinity in the shape of Kubernetes' core/v1 Affinity; the API server checks it when the Deployment is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::kubernetes_object")]
    pub affinity: Option<Object>,
    /// How the pods spread over nodes and zones (core/v1 TopologySpreadConstraint). One without `labelSelector` counts
    /// the component's pods. Absent: evenly over nodes and over zones where that is possible (ScheduleAnyway); an empty
    /// list leaves it to the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::kubernetes_objects")]
    pub topology_spread_constraints: Option<Vec<Object>>,
    /// Name of a PriorityClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub priority_class_name: Option<String>,
    /// Name of the scheduler. Absent: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub scheduler_name: Option<String>,
    /// Name of a RuntimeClass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub runtime_class_name: Option<String>,
    /// Variables of the container (core/v1 EnvVar), such as HTTPS_PROXY and SSL_CERT_FILE. Those that the programs take
    /// their settings from are the operator's. Secrets are better mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ours::env")]
    pub env: Vec<Object>,
    /// ConfigMaps and Secrets whose keys are variables of the container (core/v1 EnvFromSource). The settings of the
    /// programs are not taken from them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::kubernetes_objects")]
    pub env_from: Vec<Object>,
    /// More of the pods' securityContext (core/v1 PodSecurityContext). With `podSecurity: Assigned` also ids of users
    /// and groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "ours::security_context")]
    pub security_context: Object,
    /// More of the container's securityContext (core/v1 SecurityContext).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "ours::container_security_context")]
    pub container_security_context: Object,
    /// Where names are looked up: `ClusterFirst` (absent means this), `Default`, `None` (with `dnsConfig`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub dns_policy: Option<String>,
    /// More of how names are looked up (core/v1 PodDNSConfig).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::kubernetes_object")]
    pub dns_config: Option<Object>,
    /// Lines of `/etc/hosts` (core/v1 HostAlias).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::kubernetes_objects")]
    pub host_aliases: Vec<Object>,
    /// More volumes (core/v1 Volume), of the sources that Pod Security `restricted` lets pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ours::volumes")]
    pub volumes: Vec<Object>,
    /// Where the container sees them (core/v1 VolumeMount).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ours::volume_mounts")]
    pub volume_mounts: Vec<Object>,
}

/// Who says which user and groups pods run as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodSecurity {
    /// The operator: 65532, the image's.
    #[default]
    Fixed,
    /// The cluster, as OpenShift does for each namespace, or `pod.securityContext`.
    Assigned,
}

/// A taint that does not keep the pods away (core/v1 Toleration).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Key of the taint; absent: all keys, with operator Exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `Equal` (absent means this) or `Exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Value of the taint, with operator Equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; absent: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// Seconds that a NoExecute taint is tolerated; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}
