//! `spec.webhooks`: applications that are told of users and mails.
//!
//! Takes and gives: the fields as written in the resource. Does not: tell anybody; `worker` does.

use super::forms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An application that is told. Requests are signed as the Standard Webhooks specification says (v1), come at least
/// once, with the same `webhook-id` each time, and are tried again under the policy of `task` (retries, deadline,
/// back-off); what a receiver that is down does not take uses no retry up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Where it is told, by POST. Redirects are not followed; certificates are checked against the public authorities.
    /// The network policy of `worker` opens its port.
    #[schemars(schema_with = "forms::webhook_url")]
    pub url: String,
    /// Of what it is told. Absent: of everything. What happened before it was named here is not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub events: Vec<WebhookEvent>,
    /// The secret that signs the requests.
    pub secret_ref: WebhookSecret,
    /// True: the URL may lead to this very machine, to link-local addresses or to a cloud's metadata service. Absent:
    /// no; the address is looked at that is connected to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_local_addresses: bool,
}

/// The key of a Secret that holds what signs webhooks. Read anew for each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecret {
    /// Name of the Secret, in the pipeline's namespace.
    #[schemars(schema_with = "forms::object_name")]
    pub name: String,
    /// Key inside the Secret; its value is `whsec_` and 24 to 64 random bytes in base64, and while it is replaced the
    /// old and the new one, one a line. Absent: `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::secret_key")]
    pub key: Option<String>,
}

impl WebhookSecret {
    /// Key inside the Secret.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or("secret")
    }
}

/// What an application may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebhookEvent {
    /// A user signed up.
    #[serde(rename = "user.created")]
    UserCreated,
    /// The address of a user was verified.
    #[serde(rename = "user.verified")]
    UserVerified,
    /// A mail server refused a verification mail for good.
    #[serde(rename = "mail.refused")]
    MailRefused,
    /// A verification mail was given up.
    #[serde(rename = "mail.dead")]
    MailDead,
}
