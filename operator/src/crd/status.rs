//! `status`: what the operator reports. Times, never ages: an age would have to be written again every second.
//!
//! Takes and gives: the fields as written in the resource. Does not: compute them.

#![expect(unreachable_pub, reason = "KubeSchema derives a hidden copy of each struct inside a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator reports.
///
/// An object that no operator has seen yet has observedGeneration -1, which is no generation: tools that wait by
/// kstatus (Flux, Helm 4, kpt) would take an object without any status for done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct SignupPipelineStatus {
    /// Generation of the spec that this status speaks of; -1 before any operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The operator that looks after the pipeline, by the Lease of its leader election (`namespace/name`). Another one
    /// that sees the pipeline writes nothing of it, and takes over when nobody has held that Lease for half a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Newest generation of the spec that was carried out: all pods ran it, and the pipeline worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_generation: Option<i64>,
    /// Since when something is on its way to `observedGeneration`; `spec.progressDeadline` counts from here. Absent:
    /// nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressing_since: Option<Time>,
    /// State in terms of conditions; each message of a bad one ends with what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The api pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Replicas>,
    /// The worker pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Replicas>,
    /// Tasks in all queues together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskCounts>,
    /// Tasks by queue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub queues: Vec<QueueStatus>,
    /// The last decision about the number of workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingStatus>,
    /// Which configuration the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
    /// Address of the api, for clients outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Pods of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that run the newest template.
    pub updated_replicas: i32,
    /// Label selector of the pods, as text, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// Numbers of tasks by state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCounts {
    /// Ready to run: pending, and scheduled or retry entries whose time has come.
    pub due: i64,
    /// Waiting for their time.
    pub scheduled: i64,
    /// Waiting for another attempt.
    pub retry: i64,
    /// Running.
    pub active: i64,
    /// Given up.
    pub archived: i64,
    /// Since when the oldest due task waits; absent below 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_due_at: Option<Time>,
    /// When the next scheduled or retry task comes due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due_at: Option<Time>,
}

/// Tasks of one queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Name of the queue.
    pub name: String,
    /// Its tasks.
    #[serde(flatten)]
    pub counts: TaskCounts,
}

/// A decision about the number of workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// Workers wanted.
    pub desired: i32,
    /// Workers that the queue alone would ask for, before any limit.
    pub recommended: i32,
    /// The limit that made the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<String>,
    /// The decision in one sentence.
    pub explanation: String,
    /// When the number last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
}

/// Which configuration the pods run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigStatus {
    /// Hash of the newest configuration, as the pods report it.
    pub hash: String,
    /// Pods that run it.
    pub applied_pods: i32,
    /// Pods in all.
    pub total_pods: i32,
    /// When all pods first ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Time>,
}

/// meta/v1 Condition with descriptions of a length that leaves room for the rest of the CRD.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "When `status` last changed.",
                },
                "message": {"type": "string", "maxLength": 32768, "description": "For people; ends with the fix when \
                    something is wrong."},
                "observedGeneration": {"type": "integer", "format": "int64", "description": "Generation of the spec \
                    that this condition speaks of."},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024, "description": "For programs, in CamelCase.",
                },
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."},
                "type": {"type": "string", "maxLength": 316, "description": "Such as Ready or RedisReachable."},
            },
        },
    })
}
