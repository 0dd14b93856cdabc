//! The types of `pipeline.yaml`.
//!
//! Takes: YAML text. Gives: a [`Document`] whose parts fit together ([`Document::parse`] checks what types cannot say).
//! Does not: hold secrets; it names the files that hold them.

mod servers;

pub use servers::{Database, Mail, Migrations, Redis, Smtp, SmtpTls};

use crate::{check, duration};
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
    /// Settings of each worker process.
    pub worker: Worker,
    /// Logs.
    pub observability: Observability,
}

/// What happens to a verification mail; copied into the intent at signup, so an edit changes new signups only.
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
    /// Time limit of one attempt, up to the final dot of the SMTP dialogue.
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
    pub verification: Verification,
    /// Rules of the signup form.
    pub signup: Signup,
    /// Settings of each worker process.
    pub worker: Worker,
    /// Logs.
    pub observability: Observability,
}

/// What happens to a verification mail; copied into the intent at signup, so an edit changes new signups only.
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
    /// Time limit of one attempt, up to the final dot of the SMTP dialogue.
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

/// PostgreSQL, the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// File holding the connection URI.
    pub uri_file: PathBuf,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Upper bound of each process's connection pool.
    pub max_connections_per_pod: u32,
    /// Who applies the schema.
    pub migrations: Migrations,
}

/// Who applies the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Migrations {
    /// `api` does, at start.
    Auto,
    /// Somebody else does; `api` is not ready before it is done.
    Manual,
}

/// Redis, the schedule that may be lost at any time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// File holding the connection URI (`redis://` or `rediss://`, with the database index as its path).
    pub uri_file: PathBuf,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// The mails and the server that takes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mail {
    /// Sender: `no-reply@example.com` or `Example <no-reply@example.com>`.
    pub from: String,
    /// The SMTP server.
    pub smtp: Smtp,
    /// Folder with `subject.txt`, `body.txt`, `body.html` that replace the built-in templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_dir: Option<PathBuf>,
}

/// The SMTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Smtp {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Transport security.
    pub tls: SmtpTls,
    /// Folder with the files `username` and `password`; absent: no AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_dir: Option<PathBuf>,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Mails per second and worker process; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
}

/// Transport security of the SMTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SmtpTls {
    /// Plain greeting, then STARTTLS, demanded (RFC 3207).
    StartTLS,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// Clear text; refused together with credentials.
    None,
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

/// Rules of the signup form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signup {
    /// Bytes; 6 to 128.
    pub password_min_length: u32,
    /// True: a taken e-mail address answers like a free one.
    pub hide_existing_accounts: bool,
    /// Signups per minute and client address in one api process; 0: no limit. Loopback clients are not limited.
    #[serde(rename = "perMinutePerIP")]
    pub per_minute_per_ip: u32,
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
    /// [`InvalidDocument::Parse`] with line and column, or [`InvalidDocument::Field`] for the first field that cannot work.
    pub fn parse(text: &str) -> Result<Self, InvalidDocument> {
        let document: Self = serde_yaml::from_str(text).map_err(|error| InvalidDocument::Parse(Box::new(error)))?;
        check::check(&document)?;
        Ok(document)
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
