//! Every condition and every reason that a pipeline's status and events can show; nobody else spells them.
//!
//! Takes: nothing. Gives: constants for programs, and [`Finding`], a reason with its message for people, which ends with
//! `Fix: ...` when something is wrong. Does not: decide which one holds.

/// Types of conditions.
pub mod condition {
    /// Signups are accepted and mails are sent.
    pub const READY: &str = "Ready";
    /// Pods are being replaced or started.
    pub const PROGRESSING: &str = "Progressing";
    /// Something is wrong, though the pipeline may work.
    pub const DEGRADED: &str = "Degraded";
    /// Nothing will change before a person acts.
    pub const STALLED: &str = "Stalled";
    /// The api pods reach PostgreSQL.
    pub const DATABASE_REACHABLE: &str = "DatabaseReachable";
    /// The operator reaches Redis.
    pub const REDIS_REACHABLE: &str = "RedisReachable";
    /// The last dialogue of the workers found a working mail server.
    pub const MAIL_REACHABLE: &str = "MailReachable";
    /// The database has the schema.
    pub const MIGRATIONS_APPLIED: &str = "MigrationsApplied";
    /// All pods run the newest configuration.
    pub const CONFIG_APPLIED: &str = "ConfigApplied";
    /// The operator decides the number of workers and its decision holds.
    pub const SCALING_ACTIVE: &str = "ScalingActive";
    /// Clients outside the cluster have an address.
    pub const EXPOSED: &str = "Exposed";
    /// The operator leaves the children as they are.
    pub const PAUSED: &str = "Paused";
}

/// A Secret that the resource names does not exist.
pub const SECRET_MISSING: &str = "SecretMissing";
/// A Secret exists and lacks a key.
pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
/// A ConfigMap that the resource names does not exist.
pub const CONFIG_MAP_MISSING: &str = "ConfigMapMissing";
/// A ConfigMap exists and lacks a key.
pub const CONFIG_MAP_KEY_MISSING: &str = "ConfigMapKeyMissing";
/// RBAC forbids the operator what it needs.
pub const FORBIDDEN: &str = "Forbidden";
/// A ResourceQuota leaves no room.
pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
/// An object of that name belongs to somebody else.
pub const NAME_TAKEN: &str = "NameTaken";
/// The cluster lacks the Gateway API.
pub const GATEWAY_API_MISSING: &str = "GatewayApiMissing";
/// The API server refused an object.
pub const CHILD_REFUSED: &str = "ChildRefused";
/// The processes would refuse the configuration.
pub const CONFIG_INVALID: &str = "ConfigInvalid";
/// The API server did not answer as it should.
pub const API_ERROR: &str = "ApiError";
/// The image of a pod cannot be fetched.
pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
/// A container ends again and again.
pub const POD_CRASHING: &str = "PodCrashing";
/// A container cannot be made.
pub const POD_NOT_STARTED: &str = "PodNotStarted";
/// A pod finds no node.
pub const POD_UNSCHEDULABLE: &str = "PodUnschedulable";
/// Pods cannot be made (quota, Pod Security, admission).
pub const PODS_REFUSED: &str = "PodsRefused";
/// All is as the resource says.
pub const AS_DESIRED: &str = "AsDesired";
/// Pods are starting or being replaced.
pub const ROLLING_OUT: &str = "RollingOut";
/// It answers.
pub const ANSWERS: &str = "Answers";
/// It does not answer.
pub const NO_ANSWER: &str = "NoAnswer";
/// It refuses the user or the password of the Secret.
pub const CREDENTIALS_REFUSED: &str = "CredentialsRefused";
/// One side speaks TLS and the other does not, or the certificate is not trusted.
pub const TLS_MISMATCH: &str = "TlsMismatch";
/// Another pipeline uses the same Redis database.
pub const REDIS_SHARED: &str = "RedisShared";
/// The URI of the Secret cannot be used.
pub const URI_INVALID: &str = "UriInvalid";
/// Nobody could look yet.
pub const NOT_KNOWN: &str = "NotKnown";
/// The schema is there.
pub const SCHEMA_PRESENT: &str = "SchemaPresent";
/// The schema is not there.
pub const SCHEMA_MISSING: &str = "SchemaMissing";
/// A process keeps its older configuration.
pub const CONFIG_REFUSED: &str = "ConfigRefused";
/// Some pods run an older configuration.
pub const SPREADING: &str = "Spreading";
/// The number of workers follows the queue.
pub const FOLLOWS_QUEUE: &str = "FollowsQueue";
/// The resource gives the number of workers to somebody else.
pub const MODE: &str = "NotInModeAuto";
/// Another writer sets the number of workers.
pub const FOREIGN_WRITER: &str = "ForeignWriter";
/// The resource exposes nothing.
pub const NOT_ASKED_FOR: &str = "NotAskedFor";
/// The address is there.
pub const ADDRESS_ASSIGNED: &str = "AddressAssigned";
/// No controller has taken the Ingress or route.
pub const ADDRESS_PENDING: &str = "AddressPending";
/// The resource says `paused`.
pub const PAUSED: &str = "PausedBySpec";
/// The resource does not say `paused`.
pub const NOT_PAUSED: &str = "NotPaused";
/// Event: the number of workers changed.
pub const SCALED: &str = "Scaled";
/// Event: pods are replaced because of a setting that running processes cannot take.
pub const RESTARTING: &str = "RestartingPods";

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of the constants above.
    pub reason: &'static str,
    /// What is wrong, and after `Fix:` what to do.
    pub message: String,
}

impl Finding {
    /// A finding whose message is `problem`, then `Fix: ` and `fix`.
    pub fn new(reason: &'static str, problem: impl std::fmt::Display, fix: impl std::fmt::Display) -> Self {
        Self { reason, message: format!("{problem}. Fix: {fix}.") }
    }
}
