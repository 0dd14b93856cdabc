//! The types of `pipeline.yaml`.
//!
//! Takes: YAML text. Gives: a [`Document`] whose parts fit together ([`Document::parse`] checks what types cannot say).
//! Does not: hold secrets; it names the files that hold them.

mod retention;
mod servers;
mod signup;
mod webhooks;

pub use retention::Retention;
pub use servers::{Database, Mail, Migrations, Redis, Smtp, SmtpTls};
pub use signup::{BreachCheck, EmailDomains, PasswordRules, ReservedUsernames, Signup};
pub use webhooks::{Webhook, WebhookEvent};

use crate::{Network, check, duration};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Everything `api` and `worker` need to know, besides their listening addresses (those are flags).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// `namespace/name` of the SignupPipeline; a label in logs, never a secret.
    pub pipeline: String,
    /// Policy copied into each new e-mail intent.
    pub task: Task,
    /// The queues workers take from, with their priorities.
    pub queues: Vec<Queue>,
    /// True: a queue is looked at only when every queue of higher priority is empty. False: weighted choice.
    pub strict_priority: bool,
    /// PostgreSQL.
    pub database: Database,
    /// Redis.
    pub redis: Redis,
    /// SMTP.
    pub mail: Mail,
    /// Links and their secret codes.
    pub verification: Verification,
    /// Rules of the signup form.
    pub signup: Signup,
    /// What is removed after a while.
    #[serde(default, skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
    /// Who is told of users and mails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// Settings of each api process.
    #[serde(default, skip_serializing_if = "Api::is_default")]
    pub api: Api,
    /// Settings of each worker process.
    pub worker: Worker,
    /// Logs.
    pub observability: Observability,
}

/// What happens to a verification mail; copied into the intent at signup, so an edit changes new signups only;
/// the back-off alone is read live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// Time between the commit of a signup and its mail; 0s to 24h.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// Attempts after the first one that may fail before the mail is given up; 0 to 100.
    pub max_retries: u32,
    /// Name of one of `queues`.
    pub queue: String,
    /// Age at which a mail that could not be sent is given up.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// Time limit of one attempt, from its turn under `maxPerSecond` up to the final dot of the SMTP dialogue.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Waiting time between attempts.
    pub backoff: Backoff,
}

/// Waiting time between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backoff {
    /// Upper bound of the first wait.
    #[serde(with = "duration")]
    pub initial: Duration,
    /// Upper bound of every wait.
    #[serde(with = "duration")]
    pub max: Duration,
    /// How the wait grows.
    pub formula: BackoffFormula,
}

/// How the wait between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackoffFormula {
    /// Full-jitter exponential: uniform between 0 and `initial * 2^n`, at most `max`.
    Jitter,
    /// asynq's own: n^4 + 15 + rand(0..29) * (n + 1) seconds.
    Asynq,
}

/// One queue of asynq's layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queue {
    /// asynq's queue name.
    pub name: String,
    /// Weight (or rank, with `strictPriority`); 1 or more.
    pub priority: u32,
    /// True: nothing is taken from it.
    #[serde(default)]
    pub paused: bool,
}

/// Links and their secret codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    /// Base of the link in the mail, without a trailing slash.
    #[serde(rename = "publicURL")]
    pub public_url: String,
    /// How long a link works, counted from the first accepted send.
    #[serde(rename = "linkTTL", with = "duration")]
    pub link_ttl: Duration,
    /// Folder of key files; `current` signs, all others only rebuild codes made with them.
    pub keys_dir: PathBuf,
}

/// Settings of each api process. Not written where they are the defaults, so that processes of an older version read
/// what a newer operator writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Api {
    /// The HTTP interface.
    pub http: Http,
    /// The gRPC interface.
    pub grpc: Grpc,
}

impl Api {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The HTTP interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Http {
    /// How long a connection may wait for a next request: longer than proxies keep theirs. gRPC connections too.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Proxies before `api`, besides the nearest hop of `signup.behindProxy`: whom they name in `X-Forwarded-For` is
    /// believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Network>,
}

impl Default for Http {
    /// Longer than the 600 s of Google's load balancers, the longest that is known.
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(620), trusted_proxies: Vec::new() }
    }
}

/// The gRPC interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Grpc {
    /// True: it describes its methods to anybody who asks.
    pub reflection: bool,
}

/// Settings of each worker process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// Tasks run at once by one process.
    pub concurrency: u32,
    /// Time running tasks get to finish after SIGTERM.
    #[serde(with = "duration")]
    pub shutdown_grace_period: Duration,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observability {
    /// Filter in the syntax of `tracing_subscriber::EnvFilter`, e.g. `info` or `info,queue=debug`.
    pub log_level: String,
    /// One JSON object per line, or text for people.
    pub log_format: LogFormat,
    /// True: log lines may show e-mail addresses.
    #[serde(default)]
    pub log_personal_data: bool,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// A document that cannot be used, with the field, its value and the fix.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// Not YAML, an unknown or missing field, or a value of the wrong type.
    #[error("failed to parse pipeline.yaml")]
    Parse(#[source] Box<serde_yaml::Error>),
    /// A value that the types allow and the pipeline cannot work with.
    #[error("{field}: `{value}` {problem}")]
    Field {
        /// Path of the field, as written in the file.
        field: &'static str,
        /// The offending value.
        value: String,
        /// What is wrong and what to write instead.
        problem: &'static str,
    },
}

impl Document {
    /// Parses and checks a document.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument::Parse`] with line and column, or [`InvalidDocument::Field`] for the first field that cannot
    /// work.
    pub fn parse(text: &str) -> Result<Self, InvalidDocument> {
        let document: Self = serde_yaml::from_str(text).map_err(|error| InvalidDocument::Parse(Box::new(error)))?;
        check::check(&document)?;
        Ok(document)
    }

    /// The name that mail servers are greeted with: the one that is set; the host of `publicURL`; the domain of
    /// `mail.from`. Many servers demand a name with a dot, so the first that has one is taken (an IP address is no
    /// name).
    pub fn hello_name(&self) -> String {
        let url = &self.verification.public_url;
        let authority =
            url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let sender = self.mail.sender();
        let domain = sender.as_ref().map_or(host, |sender| sender.address().domain());
        let is_full = |name: &&str| name.contains('.') && name.parse::<std::net::IpAddr>().is_err();
        let name = self.mail.smtp.hello_name.as_deref().or_else(|| [host, domain].into_iter().find(is_full));
        name.unwrap_or(domain).to_owned()
    }

    /// Prints the document as YAML; the same document always gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument::Parse`] when a value has no YAML form (a path that is not UTF-8).
    pub fn to_yaml(&self) -> Result<String, InvalidDocument> {
        serde_yaml::to_string(self).map_err(|error| InvalidDocument::Parse(Box::new(serde::de::Error::custom(error))))
    }
}
