//! `spec.networkPolicy`: with whom the pods may speak.
//!
//! Takes and gives: the fields as written in the resource. Does not: build policies.

use super::forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Network policies of the pods. No effect in `operator local`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// True: pods accept what they serve and reach what they need, nothing else.
    pub enabled: bool,
    /// Ports of DNS, by UDP and TCP, as the pods behind its Service have them (on OpenShift 5353); at most 8. Absent:
    /// 53.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::ports")]
    pub dns_ports: Vec<i32>,
    /// What the pods of `api` and the workers reach besides: rules in the shape of Kubernetes' networking/v1
    /// NetworkPolicyEgressRule, at most 32; the API server checks them when the policies are applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::kubernetes_objects")]
    pub extra_egress: Vec<BTreeMap<String, serde_json::Value>>,
    /// What the pods of `api` and the workers accept besides: rules in the shape of NetworkPolicyIngressRule, at most
    /// 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::kubernetes_objects")]
    pub extra_ingress: Vec<BTreeMap<String, serde_json::Value>>,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { enabled: true, dns_ports: Vec::new(), extra_egress: Vec::new(), extra_ingress: Vec::new() }
    }
}
