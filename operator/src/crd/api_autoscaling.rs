//! `spec.api.autoscaling`: who decides the number of api pods.
//!
//! Takes and gives: the fields as written in the resource. Does not: decide anything; in mode Auto the cluster's
//! HorizontalPodAutoscaler does, by the CPU that hashing takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who decides the number of api pods. No effect in `operator local`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiAutoscaling {
    /// Who decides the number of api pods. Write "Off" in quotes: YAML reads a bare Off as false.
    pub mode: ApiAutoscalingMode,
    /// Fewest pods in mode Auto; 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
    /// Most pods in mode Auto; 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// CPU that the pods shall use on average in mode Auto, in per cent of what they request; 1 to 1000.
    #[serde(rename = "targetCPUUtilizationPercentage")]
    #[schemars(range(min = 1, max = 1000))]
    pub target_cpu_utilization_percentage: i32,
}

impl Default for ApiAutoscaling {
    fn default() -> Self {
        let mode = ApiAutoscalingMode::Off;
        Self { mode, min_replicas: 2, max_replicas: 10, target_cpu_utilization_percentage: 80 }
    }
}

/// Who decides the number of api pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiAutoscalingMode {
    /// `api.replicas`.
    Off,
    /// Somebody else, through the scale subresource of Deployment NAME-api (a HorizontalPodAutoscaler, KEDA, `kubectl
    /// scale`). The number that runs is handed over as it is.
    External,
    /// A HorizontalPodAutoscaler that the operator makes; it needs the metrics API (metrics-server).
    Auto,
}
