//! The part `signup` of `pipeline.yaml`: who may sign up, and with what.
//!
//! Gives: its types. Does not: apply a rule; the crate `signup` and `api` do. What is not set is not written, so that
//! processes of an older version read what a newer operator writes.

use crate::{Domain, Origin};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Rules of the signup form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signup {
    /// Characters; 6 to 128.
    pub password_min_length: u32,
    /// Whether a new user may be called `admin`, `postmaster` or the like.
    #[serde(default, skip_serializing_if = "ReservedUsernames::is_default")]
    pub reserved_usernames: ReservedUsernames,
    /// True: a taken e-mail address answers like a free one, and its owner is told by mail.
    pub hide_existing_accounts: bool,
    /// Signups per minute and client address, by all api processes together; 0: no limit. Loopback clients are not
    /// limited.
    #[serde(rename = "perMinutePerIP")]
    pub per_minute_per_ip: u32,
    /// True: a proxy stands before `api`, whose entry in `X-Forwarded-For` is the client's address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind_proxy: bool,
    /// Origins of the pages whose scripts may call the HTTP interface and read its answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<Origin>,
    /// True: a full name may have letters and marks of any script; false: ASCII, as in the Go program.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub unicode_names: bool,
    /// The domains whose addresses may sign up.
    #[serde(default, skip_serializing_if = "EmailDomains::is_default")]
    pub email_domains: EmailDomains,
    /// What passwords are refused besides short ones.
    #[serde(default, skip_serializing_if = "PasswordRules::is_default")]
    pub password: PasswordRules,
    /// True: there is a page to sign up on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub page: bool,
}

/// What passwords are refused besides short ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PasswordRules {
    /// True: those that many people have or that follow a pattern.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refuse_common: bool,
    /// True: those that hold the username or the address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refuse_own: bool,
    /// Those that a service knows from breaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach_check: Option<BreachCheck>,
}

impl PasswordRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A service of the range protocol of Have I Been Pwned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreachCheck {
    /// What stands before the five digits.
    pub url: String,
}

fn yes() -> bool {
    true
}

/// The domains whose addresses may sign up; each stands for its sub-domains too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EmailDomains {
    /// These alone; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Domain>,
    /// None of these, whatever `allow` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Domain>,
    /// Folder of files with further ones of `deny`, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_list_dir: Option<PathBuf>,
    /// True: none at a domain that takes no mail, as far as the name servers say.
    #[serde(rename = "requireMX", skip_serializing_if = "std::ops::Not::not")]
    pub require_mx: bool,
}

impl EmailDomains {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a new user may have a name that belongs to the site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservedUsernames {
    /// Refused like a name of wrong letters.
    #[default]
    Refuse,
    /// Like any other name.
    Allow,
}

impl ReservedUsernames {
    /// Not written, so that processes of an older version read what a newer operator writes.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
