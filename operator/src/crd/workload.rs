//! `spec.api` and `spec.worker`: how many pods, how large, where.
//!
//! Takes and gives: the fields as written in the resource. Does not: build pods. `resources`, `pod` and the objects
//! beside the pods have no effect in `operator local`, which has none of them.

use super::{
    api_autoscaling::{ApiAutoscaling, ApiAutoscalingMode},
    autoscaling::Autoscaling,
    forms,
    objects::{PodDisruptionBudget, Service, ServiceAccount},
    pod::Pod,
    time_span::TimeSpan,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The HTTP and gRPC service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Api {
    /// Pods; 0 to 1000. Absent: 2. With `autoscaling.mode` External or Auto the number to begin with only. `operator
    /// local` runs one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Who decides the number of pods. No effect in `operator local`.
    pub autoscaling: ApiAutoscaling,
    /// CPU and memory of each pod. Absent: requests of 250m CPU and 64Mi, a limit of 512Mi, no CPU limit. No effect in
    /// `operator local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What the pods have beside what the operator gives them. No effect in `operator local`.
    pub pod: Pod,
    /// Seconds from the end of a pod's endpoints to its kill; 10 to 3600. Absent: 50, which is what an api needs at
    /// most; with fewer, answers under way may be cut. No effect in `operator local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 3600))]
    pub termination_grace_period_seconds: Option<i32>,
    /// Service `NAME-api`. No effect in `operator local`.
    pub service: Service,
    /// ServiceAccount `NAME-api`. No effect in `operator local`.
    pub service_account: ServiceAccount,
    /// How many pods may be evicted at once. Absent: one, where there are two or more. No effect in `operator local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// Connections of HTTP.
    pub http: Http,
    /// The gRPC interface.
    pub grpc: Grpc,
}

impl Api {
    /// Pods where nobody else decides their number.
    pub fn wanted(&self) -> i32 {
        self.replicas.unwrap_or(2)
    }

    /// Pods before an autoscaler has decided anything.
    pub fn first(&self) -> i32 {
        let ApiAutoscaling { mode, min_replicas, max_replicas, .. } = self.autoscaling;
        match mode {
            ApiAutoscalingMode::Auto => self.replicas.unwrap_or(min_replicas).min(max_replicas).max(min_replicas),
            ApiAutoscalingMode::Off | ApiAutoscalingMode::External => self.wanted(),
        }
    }
}

/// Connections of HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Http {
    /// How long a connection may wait for its next request; 1s to 24h, and longer than the proxy before `api` keeps its
    /// own (nginx and AWS 60s, Google 600s), or that proxy now and then answers 502. gRPC connections too. Applied
    /// without a restart.
    pub idle_timeout: TimeSpan<1, 86_400>,
    /// Networks (`10.0.0.0/8`) and addresses of the proxies before `api`, at most 64. The client, whom
    /// `signup.perMinutePerIP` counts, is then the last address in X-Forwarded-For that is not among them. With
    /// `expose` the nearest hop is one in any case. `Forwarded` (RFC 7239) is not read. Applied without a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::networks")]
    pub trusted_proxies: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { idle_timeout: TimeSpan::from_secs(620), trusted_proxies: Vec::new() }
    }
}

/// The gRPC interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Grpc {
    /// True: it describes its methods to anybody who asks, as grpcurl and Evans do where they are given no proto file.
    /// Applied without a restart.
    pub reflection: bool,
}

/// The processes that send the mails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Worker {
    /// Mails that each worker sends at once; 1 to 1000. Applied without a restart.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: i32,
    /// Number of workers when `autoscaling.mode` is Off, External or DryRun; 0 to 1000. Absent:
    /// `autoscaling.minReplicas`. Refused in mode Auto.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Time that running mails get to finish when a worker stops; `task.timeout` to 1h.
    pub shutdown_grace_period: TimeSpan<1, 3600>,
    /// CPU and memory of each pod. Absent: requests of 50m CPU and 32Mi, a limit of 256Mi, no CPU limit. No effect in
    /// `operator local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What the pods have beside what the operator gives them. No effect in `operator local`.
    pub pod: Pod,
    /// ServiceAccount `NAME-worker`. No effect in `operator local`.
    pub service_account: ServiceAccount,
    /// How many pods may be evicted at once. Absent: one, where two or more always run. No effect in `operator local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// How the number of workers follows the queue.
    pub autoscaling: Autoscaling,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            concurrency: 16,
            replicas: None,
            shutdown_grace_period: TimeSpan::from_secs(40),
            resources: None,
            pod: Pod::default(),
            service_account: ServiceAccount::default(),
            pod_disruption_budget: None,
            autoscaling: Autoscaling::default(),
        }
    }
}

/// CPU and memory, in Kubernetes' notation (`500m`, `64Mi`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// What the scheduler sets aside, e.g. `cpu: 250m`, `memory: 64Mi`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "forms::amounts")]
    pub requests: BTreeMap<String, IntOrString>,
    /// What a pod may use at most, e.g. `cpu: "2"`, `memory: 256Mi`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "forms::amounts")]
    pub limits: BTreeMap<String, IntOrString>,
}

impl Resources {
    /// Those of an api pod whose pipeline gives none. Hashing a password needs 19 MiB, on each core at once.
    pub fn api() -> Self {
        Self::defaults("250m", "64Mi", "512Mi")
    }

    /// Those of a worker whose pipeline gives none.
    pub fn worker() -> Self {
        Self::defaults("50m", "32Mi", "256Mi")
    }

    /// No CPU limit: a throttled process misses its leases.
    fn defaults(cpu: &str, memory: &str, max_memory: &str) -> Self {
        let amount = |text: &str| IntOrString::String(text.to_owned());
        Self {
            requests: BTreeMap::from([("cpu".into(), amount(cpu)), ("memory".into(), amount(memory))]),
            limits: BTreeMap::from([("memory".into(), amount(max_memory))]),
        }
    }
}
