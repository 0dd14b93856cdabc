//! The `SignupPipeline` resource: `signup.dev/v1alpha1`, short name `sup`.
//!
//! Gives: the Rust types, and from them the CRD with its schema, defaults, columns and CEL rules. Rules that
//! join several fields stand here, on [`SignupPipelineSpec`]; the form of one field is in [`forms`] and [`time_span`].
//! Does not: validate a file (`manifest` does, with this schema) or build anything from it (`build` does).
//!
//! # Layout
//!
//! - [`time_span`], [`forms`]: durations and texts with their rules
//! - [`task`], [`stores`], [`mail`], [`signup`], [`retention`], [`webhooks`], [`workload`] ([`pod`], [`objects`]),
//!   [`autoscaling`], [`api_autoscaling`], [`exposure`], [`network_policy`], [`observability`]: the spec, in groups
//! - [`status`]: what the operator reports

#![expect(unreachable_pub, reason = "KubeSchema derives a hidden copy of each struct inside a function")]

pub mod api_autoscaling;
pub mod autoscaling;
pub mod exposure;
pub mod forms;
pub mod mail;
pub mod network_policy;
pub mod objects;
pub mod observability;
pub mod pod;
pub mod retention;
pub mod signup;
pub mod status;
pub mod stores;
pub mod task;
pub mod time_span;
pub mod webhooks;
pub mod workload;

use autoscaling::AutoscalingMode;
use exposure::Expose;
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use mail::{Mail, Verification};
use network_policy::NetworkPolicy;
use observability::Observability;
use pod::PodSecurity;
use retention::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signup::Signup;
use stores::{Database, LocalReference, Redis};
use task::{Queue, Task};
use time_span::TimeSpan;
use webhooks::Webhook;
use workload::{Api, Worker};

/// Names of pipelines whose children can be made: a Service is named as a DNS label that begins with a letter (RFC
/// 1035), but for Kubernetes 1.35 and newer, which lets it begin with a digit.
pub(crate) const NAME: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// What to write instead of another.
pub(crate) const NAME_ADVICE: &str = "must begin with a letter and hold only a-z, 0-9 and -, because its \
    Service is named after it; write shop-eu instead of shop.eu, and shop-1 instead of 1shop";

/// Holds when a component's pods have no ids of users or groups but with `podSecurity: Assigned`.
fn assigned_ids(component: &str) -> String {
    let context = format!("self.{component}.pod.securityContext");
    let without = ["runAsUser", "runAsGroup", "fsGroup"].map(|id| format!("!has({context}.{id})")).join(" && ");
    format!("self.podSecurity == 'Assigned' || !has({context}) || ({without})")
}

const IDS_ADVICE: &str = "runAsUser, runAsGroup and fsGroup of pod.securityContext are the operator's (65532) while \
    podSecurity is Fixed; remove them, or set podSecurity: Assigned";

/// When the node fetches the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At each start of a pod.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the image has to be on the node.
    Never,
}

/// What the pipeline shall be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "signup.dev",
    version = "v1alpha1",
    kind = "SignupPipeline",
    plural = "signuppipelines",
    singular = "signuppipeline",
    shortname = "sup",
    category = "signup",
    namespaced,
    status = "status::SignupPipelineStatus",
    derive = "PartialEq",
    doc = "A signup service: POST /v1/create_user creates a user, and a little later one verification e-mail arrives.",
    scale(
        spec_replicas_path = ".spec.worker.replicas",
        status_replicas_path = ".status.worker.replicas",
        label_selector_path = ".status.worker.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.worker.readyReplicas"),
    printcolumn(name = "Due", type_ = "integer", json_path = ".status.tasks.due"),
    printcolumn(name = "Oldest", type_ = "date", json_path = ".status.tasks.oldestDueAt"),
    printcolumn(name = "Scheduled", type_ = "integer", json_path = ".status.tasks.scheduled"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.tasks.nextDueAt", priority = 1),
    printcolumn(name = "Archived", type_ = "integer", json_path = ".status.tasks.archived", priority = 1),
    printcolumn(name = "Want", type_ = "integer", json_path = ".status.autoscaling.desired", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("metadata.name may have 40 characters at most, so that the names of its children fit; shorten it"),
    // What is there already was let in by an older definition, and goes on.
    validation = Rule::new(format!("self.metadata.name.matches('{NAME}') || oldSelf.hasValue()"))
        .optional_old_self(true)
        .message(format!("metadata.name {NAME_ADVICE}").as_str())
)]
#[x_kube(
    validation = Rule::new("self.queues.exists(queue, queue.name == self.task.queue)")
        .message("task.queue must be the name of one of queues; add it there or name another")
        .field_path(".task.queue"),
    validation = Rule::new("duration(self.task.deadline) > duration(self.task.delay)")
        .message("task.deadline must be longer than task.delay, else no mail is ever sent; raise it")
        .field_path(".task.deadline"),
    validation = Rule::new("duration(self.task.backoff.initial) <= duration(self.task.backoff.max)")
        .message("task.backoff.initial must not exceed task.backoff.max; lower it or raise max")
        .field_path(".task.backoff.initial"),
    validation = Rule::new("duration(self.verification.linkTTL) > duration(self.task.delay)")
        .message("verification.linkTTL must be longer than task.delay; raise it or lower the delay")
        .field_path(".verification.linkTTL"),
    validation = Rule::new("has(self.verification.publicURL) || (has(self.expose) && \
        !self.expose.host.startsWith('*'))")
        .message("the links in the mails need an address: set verification.publicURL or expose.host (without *)")
        .field_path(".verification"),
    validation = Rule::new("!has(self.retention) || !has(self.retention.mails) || \
        duration(self.retention.mails) == duration('0s') || duration(self.retention.mails) >= duration('24h')")
        .message("retention.mails must be 24h or more; write 0s to keep mails for ever")
        .field_path(".retention.mails"),
    validation = Rule::new("duration(self.worker.shutdownGracePeriod) >= duration(self.task.timeout)")
        .message("worker.shutdownGracePeriod must be task.timeout or longer, so that a stopping worker ends its \
            mails; raise it")
        .field_path(".worker.shutdownGracePeriod"),
    validation = Rule::new("!has(self.worker.replicas) || self.worker.autoscaling.mode != 'Auto'")
        .message("worker.replicas is the operator's in mode Auto; remove it, or set worker.autoscaling.mode to Off or \
            External")
        .field_path(".worker"),
    validation = Rule::new("self.api.autoscaling.minReplicas <= self.api.autoscaling.maxReplicas")
        .message("api.autoscaling.minReplicas must not exceed maxReplicas; lower it or raise maxReplicas")
        .field_path(".api.autoscaling.minReplicas"),
    validation = Rule::new("self.worker.autoscaling.minReplicas <= self.worker.autoscaling.maxReplicas")
        .message("worker.autoscaling.minReplicas must not exceed maxReplicas; lower it or raise maxReplicas")
        .field_path(".worker.autoscaling.minReplicas"),
    validation = Rule::new(
        "!has(self.worker.autoscaling.fallback) || self.worker.autoscaling.fallback.replicas <= \
            self.worker.autoscaling.maxReplicas"
    )
        .message("worker.autoscaling.fallback.replicas must not exceed maxReplicas; lower it or raise maxReplicas")
        .field_path(".worker.autoscaling"),
    validation = Rule::new("!has(self.mail.smtp.authSecretRef) || self.mail.smtp.tls != 'None'")
        .message("mail.smtp.tls None would send the credentials of authSecretRef in clear; set StartTLS or Implicit")
        .field_path(".mail.smtp.tls"),
    validation = Rule::new("!has(self.expose) || has(self.expose.ingress) != has(self.expose.gateway)")
        .message("expose needs exactly one of ingress and gateway; remove one or add one")
        .field_path(".expose"),
    validation = Rule::new(assigned_ids("api"))
        .message(IDS_ADVICE)
        .field_path(".api.pod"),
    validation = Rule::new(assigned_ids("worker"))
        .message(IDS_ADVICE)
        .field_path(".worker.pod")
)]
pub struct SignupPipelineSpec {
    /// True: the operator leaves all children as they are. Pods go on working. No effect in `operator local`.
    #[serde(default)]
    pub paused: bool,
    /// How long an edit may take until all pods run it, before condition Stalled says that it does not get there; 10s
    /// to 24h. What somebody else may still bring (a Secret, an image, room on a node) is waited for after that, too.
    /// No effect in `operator local`.
    #[serde(default = "default_progress_deadline")]
    pub progress_deadline: TimeSpan<10, 86_400>,
    /// Container image that holds the programs `api` and `worker`, by a tag or by a digest (`@sha256:...`). Absent: the
    /// operator's own of when the pipeline was first deployed; a later one is for you to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// When nodes fetch the image. Absent: Kubernetes' rule (Always for the tag `latest`, else IfNotPresent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets of this namespace that hold the registry's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalReference>,
    /// Who says which user and groups the pods run as. No effect in `operator local`.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Policy of the verification mails. It is copied into each mail at signup: an edit changes new signups only.
    /// `backoff` alone follows at once.
    #[serde(default)]
    pub task: Task,
    /// The queues that workers take tasks from, with their priorities. Applied to running workers without a restart.
    #[serde(default = "task::default_queues")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub queues: Vec<Queue>,
    /// True: a queue is polled only when every queue of higher priority is empty. False: weighted choice.
    #[serde(default)]
    pub strict_priority: bool,
    /// PostgreSQL, the truth: users and the mails that are owed to them.
    pub database: Database,
    /// Redis, the schedule of the mails. It may be lost at any time; PostgreSQL restores it.
    pub redis: Redis,
    /// The mails and the server that takes them.
    pub mail: Mail,
    /// The links in the mails.
    #[serde(default)]
    pub verification: Verification,
    /// Rules of the signup form.
    #[serde(default)]
    pub signup: Signup,
    /// How long what nobody needs any more is kept. Applied without a restart.
    #[serde(default, skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
    /// Applications that are told of users and mails; at most 8. Applied without a restart, but for a Secret that is
    /// new to the pipeline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["url".into()]))]
    pub webhooks: Vec<Webhook>,
    /// The HTTP and gRPC service.
    #[serde(default)]
    pub api: Api,
    /// The processes that send the mails.
    #[serde(default)]
    pub worker: Worker,
    /// How clients outside the cluster reach the api. Absent: only inside, by the Service. No effect in `operator
    /// local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,
    /// Network policies of the pods. No effect in `operator local`.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// Logs, metrics, traces.
    #[serde(default)]
    pub observability: Observability,
}

/// As `progressDeadlineSeconds` of a Deployment.
fn default_progress_deadline() -> TimeSpan<10, 86_400> {
    TimeSpan::from_secs(600)
}

impl SignupPipelineSpec {
    /// True when the operator decides how many workers run.
    pub fn scales_by_itself(&self) -> bool {
        self.worker.autoscaling.mode == AutoscalingMode::Auto
    }
}

/// Prints the CRD as YAML; the same build always gives the same bytes.
///
/// # Errors
///
/// Those of the YAML writer.
pub fn to_yaml() -> Result<String, serde_yaml::ser::Error> {
    serde_yaml::to_string(&SignupPipeline::crd())
}
