//! `spec.observability`: logs, metrics, traces.
//!
//! Takes and gives: the fields as written in the resource. Does not: write any.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
