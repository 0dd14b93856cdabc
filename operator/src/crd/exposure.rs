//! `spec.expose`: how the pipeline is reached from outside the cluster.
//!
//! Takes and gives: the fields as written in the resource. Does not: build Ingresses or routes.

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
