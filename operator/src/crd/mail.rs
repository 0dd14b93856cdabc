//! `spec.mail` and `spec.verification`: what people who sign up get.
//!
//! Takes and gives: the fields as written in the resource. Does not: hold templates or credentials; it names them.

use super::{
    forms,
    stores::{CaSecret, LocalReference},
    time_span::TimeSpan,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mails and the server that takes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// Sender: `no-reply@example.com` or `Example, Inc. <no-reply@example.com>`.
    #[schemars(schema_with = "forms::mail_address")]
    pub from: String,
    /// Address that bounces go to, such as `bounces@example.com`. Absent: the address of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::bare_address")]
    pub envelope_from: Option<String>,
    /// Where answers go: `help@example.com` or `Example <help@example.com>`. Absent: the address of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::mail_address")]
    pub reply_to: Option<String>,
    /// The SMTP server.
    pub smtp: Smtp,
    /// ConfigMap with `subject.txt`, `body.txt` and `body.html` that replace the built-in texts; `notice_subject.txt`,
    /// `notice_body.txt` and `notice_body.html`, which may be absent, replace those of the mail to the owner of an
    /// address (`signup.hideExistingAccounts`). With a language tag (`subject.de.txt`, `body.de.txt`, `body.de.html`)
    /// they are for that language alone, and all three are needed. Texts that cannot be used leave the last good ones
    /// in force; condition ConfigApplied names file, line and fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_ref: Option<LocalReference>,
}

/// The SMTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Smtp {
    /// Name or address, without the port.
    #[schemars(schema_with = "forms::host")]
    pub host: String,
    /// TCP port: 587 is customary for StartTLS, 465 for Implicit.
    #[serde(default = "submission_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// Transport security.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Name that workers give at EHLO. Absent: the host of verification.publicURL, or where that has no dot the
    /// domain of mail.from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::hello_name")]
    pub hello_name: Option<String>,
    /// Secret with the keys `username` and `password`, or `username` and `token` for AUTH XOAUTH2; read anew for every
    /// connection, so that a token may be renewed at any time. Absent: no AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<LocalReference>,
    /// Certificate authority of the server; absent: the public ones, and those of `SSL_CERT_FILE` (`worker.pod.env`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecret>,
    /// Mails per second that all workers together send at most; 1 to 10000. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_per_second: Option<i32>,
    /// Connections at once that all workers together open at most; 1 to 10000. It is divided by the workers that run;
    /// where they are more than connections, some send nothing. Absent: each worker learns from refusals how many it
    /// may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: Option<i32>,
}

fn submission_port() -> i32 {
    587
}

/// Transport security of the SMTP connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SmtpTls {
    /// Clear greeting, then STARTTLS, demanded (RFC 3207).
    #[default]
    StartTLS,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// Clear text; refused together with credentials.
    None,
}

/// The links in the mails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Verification {
    /// Base of the links. Absent: `https://` and expose.host.
    #[serde(rename = "publicURL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::public_url")]
    pub public_url: Option<String>,
    /// How long a link works, counted from the first accepted send; 1m to 30 days (720h).
    #[serde(rename = "linkTTL")]
    pub link_ttl: TimeSpan<60, 2_592_000>,
    /// Secret with the keys that sign the links: `current` signs, all others are old ones that still verify. Absent:
    /// the operator makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<LocalReference>,
}

impl Default for Verification {
    fn default() -> Self {
        Self { public_url: None, link_ttl: TimeSpan::from_secs(24 * 3600), key_secret_ref: None }
    }
}
