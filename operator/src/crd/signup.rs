//! `spec.signup`: who may sign up, and with what.
//!
//! Takes and gives: the fields as written in the resource. Does not: apply a rule; `api` does.

use super::{forms, stores::LocalReference};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rules of the signup form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Signup {
    /// Shortest password accepted, in characters; 6 to 128.
    #[schemars(range(min = 6, max = 128))]
    pub password_min_length: i32,
    /// Whether a new user may have a name that belongs to the site, such as admin, root, support or postmaster. Who has
    /// such a name keeps it.
    pub reserved_usernames: ReservedUsernames,
    /// True: a signup with a taken e-mail address is answered and stored like any other, but never verified; the owner
    /// of the address gets a mail about it, once a day at most. A taken user name is told in any case.
    pub hide_existing_accounts: bool,
    /// Signups per minute and client address that all api processes together accept; 0 (no limit) to 100000. With
    /// `expose` the client is whom the proxy names last in X-Forwarded-For.
    #[serde(rename = "perMinutePerIP")]
    #[schemars(range(min = 0, max = 100_000))]
    pub per_minute_per_ip: i32,
    /// Origins of web pages whose scripts may call the HTTP interface from a browser (CORS), such as
    /// `https://app.example.com`, `http://localhost:3000` or `https://*.example.com` for all hosts below a domain; at
    /// most 64. Absent: none but pages of the interface's own origin. Applied without a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::origins")]
    pub allowed_origins: Vec<String>,
    /// True: a full name may have letters and marks of any script, blanks, `'`, `’`, `-`, and `.` between a letter and
    /// a blank or at the end. False: ASCII letters, spaces and tabs, as in the Go program. Applied without a restart.
    pub unicode_names: bool,
    /// The domains whose addresses may sign up. Applied without a restart.
    #[serde(skip_serializing_if = "EmailDomains::is_default")]
    pub email_domains: EmailDomains,
    /// What passwords are refused besides short ones. Applied without a restart.
    #[serde(skip_serializing_if = "PasswordRules::is_default")]
    pub password: PasswordRules,
    /// True: `/signup` is a page to sign up on, in English, German, Vietnamese or Arabic, for sites that have none yet.
    /// Applied without a restart.
    pub page: bool,
}

/// What passwords are refused besides short ones; absent: none, as in the Go program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordRules {
    /// True: passwords that many people have (zxcvbn's list of 30000), and those that follow from words or patterns
    /// within a million guesses, are refused.
    pub refuse_common: bool,
    /// True: passwords that hold the username, the address or what stands before its @ are refused.
    pub refuse_own: bool,
    /// A service that knows passwords from breaches of other sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach_check: Option<BreachCheck>,
}

impl PasswordRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A service that knows passwords from breaches. It is told five hexadecimal digits of the password's SHA-1; what it
/// does not answer within 500 ms is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreachCheck {
    /// What stands before the five digits: `https://api.pwnedpasswords.com/range`, or your own copy that speaks the
    /// same protocol. Certificates are checked against the public authorities and those of `SSL_CERT_FILE`, and
    /// `HTTPS_PROXY` is followed (`api.pod.env`). The network policy of `api` opens its port, not that of a proxy.
    #[schemars(schema_with = "forms::service_url")]
    pub url: String,
}

/// The domains whose addresses may sign up. Each stands for its sub-domains too, and may be written in Unicode
/// (`münchen.example`) or as `xn--`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailDomains {
    /// Only addresses of these domains may sign up; at most 256. Absent: those of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::domains")]
    pub allow: Vec<String>,
    /// No address of these domains may sign up, whatever `allow` says; at most 256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::domains")]
    pub deny: Vec<String>,
    /// ConfigMap whose values are further lists for `deny`, with one domain a line; lines that begin with `#` are
    /// remarks. For lists of throw-away domains, of which there are thousands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_list_ref: Option<LocalReference>,
    /// True: no address at a domain of which the name servers of the `api` pods say that it takes no mail: it does not
    /// exist, has neither MX nor address records, or a null MX (RFC 7505). What they do not answer within 500 ms is
    /// taken.
    #[serde(rename = "requireMX", skip_serializing_if = "std::ops::Not::not")]
    pub require_mx: bool,
}

impl EmailDomains {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Signup {
    fn default() -> Self {
        Self {
            password_min_length: 6,
            reserved_usernames: ReservedUsernames::Refuse,
            hide_existing_accounts: false,
            per_minute_per_ip: 10,
            allowed_origins: Vec::new(),
            unicode_names: true,
            email_domains: EmailDomains::default(),
            password: PasswordRules::default(),
            page: false,
        }
    }
}

/// Whether a new user may have a name that belongs to the site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReservedUsernames {
    /// Refused: a stranger could be taken for the site.
    #[default]
    Refuse,
    /// Like any other name.
    Allow,
}
