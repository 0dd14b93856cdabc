//! What a failed dialogue means for the mail.
//!
//! Takes: where the dialogue ended and how. Gives: a [`Class`], which says whether the attempt uses up a retry and how
//! long to wait. Does not: know the clock, the database or the queue; everything here is pure.
//!
//! The step alone does not tell whose fault a refusal is: Postfix by default complains about HELO and sender at RCPT,
//! and filters complain about us at the final dot. So a mail is given up only on evidence about its mailbox;
//! `evidence` finds out what a reply speaks of, and the first row that fits says what follows:
//!
//! | where | what | class |
//! |---|---|---|
//! | connect, greeting, tls, auth, mail, rcpt, data | lost or silent | relay down |
//! | dot | lost or silent | unknown |
//! | connect, greeting | this side stopped | relay down |
//! | tls, auth, mail, data | this side stopped | misconfigured |
//! | rcpt | this side stopped | permanent |
//! | dot | this side stopped | unknown |
//! | anywhere | 421 | limited |
//! | anywhere | 4xx, 5xx about a limit | limited |
//! | greeting, auth, mail | 432, 450-454 | limited |
//! | greeting, tls, auth, mail | 5xx about us | misconfigured |
//! | auth, mail | 5xx | misconfigured |
//! | connect, greeting, tls, auth, mail | any other reply | relay down |
//! | rcpt, data, dot | 454 | relay down |
//! | rcpt, data, dot | 4xx | transient |
//! | rcpt, data, dot | 5xx about us | misconfigured |
//! | rcpt, data, dot | 5xx about the mailbox, by code | permanent |
//! | rcpt | 5xx about the mailbox, in words | permanent |
//! | rcpt, data, dot | 5xx | transient |
//! | dot | any other reply | unknown |
//! | rcpt, data | any other reply | relay down |
//!
//! "greeting" is the answer to EHLO, too. "This side stopped" at RCPT is an address that the server cannot carry (no
//! SMTPUTF8); elsewhere it is a setting. A full mailbox has no row of its own: its 5xx are no evidence that it is gone.

pub(super) mod evidence;
mod fault;

use super::{
    reply::{Cause, Failure, Phase},
    sign_in::is_not_offered,
};
use evidence::{About, about};
use std::time::Duration;

/// Shortest wait after a "try again later": greylisting servers reject what comes back sooner (RFC 6647 section 5).
const MIN_TRANSIENT_WAIT: Duration = Duration::from_secs(60);

/// What happened to the mail, in the words that PostgreSQL, logs and metrics use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The server cannot be used now; says nothing about the mail.
    RelayDown,
    /// The server takes no more from us now: connections, mails per time, the quota of the account; says nothing about
    /// the mail.
    Limited,
    /// The server will not serve us before somebody changes a setting; says nothing about the mail.
    Misconfigured,
    /// The server wants this mail later.
    Transient,
    /// The server will never take this mail.
    Permanent,
    /// The message was handed over and the answer is lost: it may have been accepted.
    Unknown,
    /// This program failed: rendering or a panic.
    Internal,
}

impl Class {
    /// Every class, for tests and for metrics that start at zero.
    pub const ALL: [Self; 7] = [
        Self::RelayDown,
        Self::Limited,
        Self::Misconfigured,
        Self::Transient,
        Self::Permanent,
        Self::Unknown,
        Self::Internal,
    ];

    /// The name in PostgreSQL, log lines and metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::RelayDown => "relay_down",
            Self::Limited => "limited",
            Self::Misconfigured => "misconfigured",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Unknown => "unknown",
            Self::Internal => "internal",
        }
    }

    /// True: the attempt uses up one of the mail's retries. Trouble of the provider never does.
    pub fn is_counted(self) -> bool {
        match self {
            Self::Transient | Self::Unknown | Self::Internal => true,
            Self::RelayDown | Self::Limited | Self::Misconfigured | Self::Permanent => false,
        }
    }

    /// Lower bound of the wait before the next attempt.
    pub fn shortest_wait(self) -> Duration {
        match self {
            Self::Transient | Self::Unknown => MIN_TRANSIENT_WAIT,
            Self::RelayDown | Self::Limited | Self::Misconfigured | Self::Permanent | Self::Internal => Duration::ZERO,
        }
    }
}

impl Failure {
    /// What the failure means for the mail (design: the table of classes).
    pub fn class(&self) -> Class {
        class(self.phase, &self.cause)
    }

    /// True: a permanent verdict with a code of its own for the mailbox.
    pub fn names_the_mailbox(&self) -> bool {
        matches!(&self.cause, Cause::Reply(reply) if about(reply) == About::Mailbox)
    }

    /// What it has against us, in a word for the operator; `None` where it says no more than the class does.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::Reply(reply) if matches!(self.class(), Class::Misconfigured | Class::Limited) => fault::fault(reply),
            Cause::Unusable(problem) if is_not_offered(problem) => Some("mechanism"),
            _ => None,
        }
    }

    /// True: the server said in so many words that it takes no more from us now.
    pub(super) fn speaks_of_a_limit(&self) -> bool {
        matches!(&self.cause, Cause::Reply(reply) if about(reply) == About::Limit)
    }
}

fn class(phase: Phase, cause: &Cause) -> Class {
    match cause {
        Cause::Reply(reply) => class_of_reply(phase, reply.code, about(reply)),
        Cause::Unusable(_) => class_of_our_stop(phase),
        Cause::Lost | Cause::TimedOut if phase == Phase::Dot => Class::Unknown,
        Cause::Lost | Cause::TimedOut => Class::RelayDown,
    }
}

fn class_of_reply(phase: Phase, code: u16, about: About) -> Class {
    use Phase::{Auth, Connect, Data, Dot, Greeting, Mail, Rcpt, Tls};
    match (phase, code, about) {
        (_, 421, _) | (_, 400..=599, About::Limit) => Class::Limited,
        (Greeting | Auth | Mail, 432 | 450..=454, _) => Class::Limited,
        (Greeting | Tls | Auth | Mail, 500..=599, About::Us) => Class::Misconfigured,
        (Auth | Mail, 500..=599, _) => Class::Misconfigured,
        (Connect | Greeting | Tls | Auth | Mail, _, _) => Class::RelayDown,
        (Rcpt | Data | Dot, 454, _) => Class::RelayDown,
        (Rcpt | Data | Dot, 400..=499, _) => Class::Transient,
        (Rcpt | Data | Dot, 500..=599, About::Us) => Class::Misconfigured,
        (Rcpt | Data | Dot, 500..=599, About::Mailbox) => Class::Permanent,
        (Rcpt, 500..=599, About::MailboxInWords) => Class::Permanent,
        (Rcpt | Data | Dot, 500..=599, _) => Class::Transient,
        (Dot, _, _) => Class::Unknown,
        (Rcpt | Data, _, _) => Class::RelayDown,
    }
}

fn class_of_our_stop(phase: Phase) -> Class {
    match phase {
        Phase::Connect | Phase::Greeting => Class::RelayDown,
        Phase::Tls | Phase::Auth | Phase::Mail | Phase::Data => Class::Misconfigured,
        Phase::Rcpt => Class::Permanent,
        Phase::Dot => Class::Unknown,
    }
}

#[cfg(test)]
mod tests;
