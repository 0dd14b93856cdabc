//! What is owed to a new user: one verification mail; or, for a signup that is hidden, a notice to the owner of its
//! address.
//!
//! Takes: the policy of the configuration at the moment of the signup. Gives: the row that everything later reads. Does
//! not: change with later edits of the configuration; each intent carries its own copy of the policy.

use crate::store::rows;
use jiff::Timestamp;
use std::{fmt, str::FromStr, time::Duration};
use uuid::Uuid;

/// Which mail an intent owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The link that verifies the address, to who signed up.
    Verification,
    /// That somebody signed up with an address that is taken, to its owner, where accounts are hidden.
    Notice,
}

impl Kind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::Notice => "notice",
        }
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let kinds = [Self::Verification, Self::Notice];
        kinds.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind(text))
    }
}

/// The database holds a mail this program does not know; a newer version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of mail known to this version")]
pub struct UnknownKind(String);

/// Where an intent stands. `sent`, `refused`, `dead` and `cancelled` are final; the others are owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Owed, and not known to be in Redis.
    Waiting,
    /// Owed, and handed to Redis.
    Dispatched,
    /// Owed, and leased to a worker that may be talking to the mail server.
    Sending,
    /// The mail server accepted the mail.
    Sent,
    /// The mail server refused it for good; its reply is kept.
    Refused,
    /// The retries or the time allowed were used up.
    Dead,
    /// Nobody wants it any more: user deleted, address changed, or already verified.
    Cancelled,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Dispatched, Self::Sending, Self::Sent, Self::Refused, Self::Dead, Self::Cancelled];

    /// The word in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dispatched => "dispatched",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the mail has still to be sent.
    pub fn is_owed(self) -> bool {
        matches!(self, Self::Waiting | Self::Dispatched | Self::Sending)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The database holds a state this program does not know; a newer version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of an e-mail intent known to this version")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

impl TryFrom<String> for State {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// One owed or settled verification mail, without the address: safe to log.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Intent {
    /// UUID version 7; also the id of the task in Redis.
    pub id: Uuid,
    /// Whose mail it is.
    #[sqlx(try_from = "rows::Owner")]
    pub username: String,
    /// Name of the queue it travels in.
    pub queue: String,
    /// Failed attempts allowed after the first one.
    #[sqlx(try_from = "rows::Counter")]
    pub max_retries: u32,
    /// Not to be sent before: commit of the signup plus delay, by the database's clock.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub run_at: Timestamp,
    /// Not to be tried again before; `None` until an attempt was made.
    #[sqlx(try_from = "rows::OptionalTime")]
    pub next_attempt_at: Option<Timestamp>,
    /// Given up after.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub deadline: Timestamp,
    /// Time limit of one attempt.
    #[sqlx(rename = "timeout_ms", try_from = "rows::Milliseconds")]
    pub timeout: Duration,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: State,
}

impl Intent {
    /// When the next attempt may start.
    pub fn due_at(&self) -> Timestamp {
        self.next_attempt_at.unwrap_or(self.run_at)
    }
}

/// What is copied into each new intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Time between the commit and the mail.
    pub delay: Duration,
    /// Name of the queue.
    pub queue: String,
    /// Failed attempts allowed after the first one.
    pub max_retries: u32,
    /// Time after it became due at which a mail that could not be sent is given up.
    pub deadline: Duration,
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Base of the link, without a trailing slash.
    pub public_url: String,
    /// How long the link works, counted from the first accepted send.
    pub link_ttl: Duration,
    /// Right side of the Message-ID: the domain mails are sent from.
    pub message_id_domain: String,
}

impl From<&pipeline::Document> for Policy {
    fn from(document: &pipeline::Document) -> Self {
        Self {
            delay: document.task.delay,
            queue: document.task.queue.clone(),
            max_retries: document.task.max_retries,
            deadline: document.task.deadline,
            timeout: document.task.timeout,
            public_url: document.verification.public_url.trim_end_matches('/').to_owned(),
            link_ttl: document.verification.link_ttl,
            // A document that was parsed has a sender.
            message_id_domain: document.mail.sender().map_or("localhost".into(), |from| from.address().domain().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_word() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("retrying".parse::<State>().is_err());
    }
}
