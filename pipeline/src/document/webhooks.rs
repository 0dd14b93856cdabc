//! The part `webhooks` of `pipeline.yaml`: who is told of users and mails.
//!
//! Gives: its types. Does not: tell anybody; `worker` does.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where it is told, by POST.
    pub url: String,
    /// Of what; none: of everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<WebhookEvent>,
    /// File with the secrets that sign it, one a line.
    pub secret_file: PathBuf,
    /// True: the URL may lead to this very machine or to link-local addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_local_addresses: bool,
}

impl Webhook {
    /// Of what it is told.
    pub fn told(&self) -> &[WebhookEvent] {
        if self.events.is_empty() { &WebhookEvent::ALL } else { &self.events }
    }
}

/// What somebody may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::UserCreated, Self::UserVerified, Self::MailRefused, Self::MailDead];

    /// The word in the database, in bodies and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserVerified => "user.verified",
            Self::MailRefused => "mail.refused",
            Self::MailDead => "mail.dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_among_all_and_has_one_word() {
        // A new one gets the next number here, and its place in `ALL`.
        let place = |event| match event {
            WebhookEvent::UserCreated => 0,
            WebhookEvent::UserVerified => 1,
            WebhookEvent::MailRefused => 2,
            WebhookEvent::MailDead => 3,
        };
        assert_eq!(WebhookEvent::ALL.map(place).to_vec(), (0..4).collect::<Vec<_>>());
        for event in WebhookEvent::ALL {
            assert_eq!(serde_yaml::to_string(&event).expect("YAML").trim(), event.as_str());
        }
    }
}
