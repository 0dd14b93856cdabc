//! The servers that a pipeline uses: PostgreSQL, Redis, SMTP.
//!
//! Takes and gives: their sections of the document. Does not: connect to any.

use crate::mailbox::{Address, Mailbox, MailboxError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// PostgreSQL, the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// File holding the connection URI. Where it is missing, files of its folder hold the parts, and with it the
    /// client's certificate: see [`store_secret`](crate::store_secret).
    pub uri_file: PathBuf,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Schema that holds the tables, its letters' case as written; absent: where the role's `search_path` leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Upper bound of each process's connection pool.
    pub max_connections_per_pod: u32,
    /// Who applies the schema.
    pub migrations: Migrations,
    /// File holding the URI on which `api` applies the schema; absent: that of `uri_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations_uri_file: Option<PathBuf>,
    /// `namespace/name` of the pipeline that the database belongs to and that hands it over to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over_from: Option<String>,
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
    /// File holding the connection URI (any form of `queue::RedisUri`: `redis://`, `redis+sentinel://` and so on).
    /// Where it is missing, files of its folder hold the parts: see [`store_secret`](crate::store_secret).
    pub uri_file: PathBuf,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// The mails and the server that takes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mail {
    /// Sender: `no-reply@example.com` or `Example, Inc. <no-reply@example.com>`.
    pub from: String,
    /// Address for bounces, given at MAIL; absent: the address of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_from: Option<String>,
    /// Where answers go, in the form of `from`; absent: to the address of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The SMTP server.
    pub smtp: Smtp,
    /// Folder with `subject.txt`, `body.txt`, `body.html` that replace the built-in templates, and the same names after
    /// `notice_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_dir: Option<PathBuf>,
}

impl Mail {
    /// The sender; every document that was parsed has one.
    ///
    /// # Errors
    ///
    /// [`MailboxError`] with the fix.
    pub fn sender(&self) -> Result<Mailbox, MailboxError> {
        Mailbox::parse(&self.from)
    }

    /// Where bounces go, if not to the sender.
    ///
    /// # Errors
    ///
    /// [`MailboxError`] with the fix.
    pub fn bounces_to(&self) -> Result<Option<Address>, MailboxError> {
        Ok(self.envelope_from.as_deref().map(Address::parse).transpose()?)
    }

    /// Where answers go, if not to the sender.
    ///
    /// # Errors
    ///
    /// [`MailboxError`] with the fix.
    pub fn answers_to(&self) -> Result<Option<Mailbox>, MailboxError> {
        self.reply_to.as_deref().map(Mailbox::parse).transpose()
    }
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
    /// Name given at EHLO; absent: see [`Document::hello_name`](super::Document::hello_name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_name: Option<String>,
    /// Folder with the files `username` and `password` or `token`; absent: no AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_dir: Option<PathBuf>,
    /// PEM file of the CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Mails per second of all workers together; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
    /// Connections at once, shared out among the workers; absent: as many as the server takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
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
