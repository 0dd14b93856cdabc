//! `spec.expose`, `spec.networkPolicy` and `spec.observability`: how the pipeline is reached and seen.
//!
//! Takes and gives: the fields as written in the resource. Does not: build Ingresses, routes or policies.

use super::forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How clients outside the cluster reach the api: exactly one of `ingress` and `gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expose {
    /// DNS name that the api answers to.
    #[schemars(schema_with = "forms::exposed_host")]
    pub host: String,
    /// Path prefix that is routed to the api.
    #[serde(default = "root_path")]
    #[schemars(schema_with = "forms::path")]
    pub path: String,
    /// By an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// By an HTTPRoute of the Gateway API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

fn root_path() -> String {
    "/".into()
}

/// Exposure by an Ingress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ingress {
    /// Name of the IngressClass. Absent: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub class_name: Option<String>,
    /// More labels; the operator's own cannot be replaced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Ingress, for its controller.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Secret with `tls.crt` and `tls.key` for the host. Absent: no TLS at the Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub tls_secret_name: Option<String>,
}

/// Exposure by an HTTPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The Gateways that take the route.
    #[schemars(length(min = 1, max = 8))]
    pub parent_refs: Vec<ParentReference>,
    /// More labels; the operator's own cannot be replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the HTTPRoute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A Gateway, or one of its listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Name of the Gateway.
    #[schemars(schema_with = "forms::object_name")]
    pub name: String,
    /// Namespace of the Gateway. Absent: the pipeline's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub namespace: Option<String>,
    /// Name of one listener. Absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::object_name")]
    pub section_name: Option<String>,
}

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

/// Logs, metrics, traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Observability {
    /// `error`, `warn`, `info`, `debug`, or with exceptions: `info,queue=debug`. Applied without a restart.
    #[schemars(length(min = 1, max = 256))]
    pub log_level: String,
    /// Shape of the log lines. No effect in `operator local`, which reads them.
    pub log_format: LogFormat,
    /// True: log lines may show e-mail addresses. False: they are masked.
    pub log_personal_data: bool,
    /// Address of an OpenTelemetry collector, e.g. `http://collector:4317`. Accepted and not used by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub otlp_endpoint: Option<String>,
    /// True: a PodMonitor tells the Prometheus operator to scrape the pods. No effect in `operator local`.
    pub pod_monitor: bool,
}

impl Default for Observability {
    fn default() -> Self {
        Self {
            log_level: "info".into(),
            log_format: LogFormat::Json,
            log_personal_data: false,
            otlp_endpoint: None,
            pod_monitor: false,
        }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Text for people.
    Text,
}
