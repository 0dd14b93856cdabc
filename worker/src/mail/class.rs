//! What a failed dialogue means for the mail.
//!
//! Takes: where the dialogue ended and how. Gives: a [`Class`], which says whether the attempt uses up a retry and how long
//! to wait. Does not: know the clock, the database or the queue; everything here is pure.
//!
//! | where | reply | class |
//! |---|---|---|
//! | connect, TLS, greeting, EHLO | any failure | relay down |
//! | anywhere | 421, 454; lost or silent before the message | relay down |
//! | MAIL FROM | any 4xx: it says nothing about the recipient | relay down |
//! | TLS | STARTTLS is not offered, our CA file is unusable | misconfigured |
//! | AUTH | 53x and other 5xx, no common mechanism | misconfigured |
//! | MAIL FROM | 5xx | misconfigured |
//! | RCPT TO, DATA | 53x (sign in first); 554 5.7.x (relaying or this client is refused) | misconfigured |
//! | RCPT TO, DATA | other 4xx, and 552 (RFC 5321 section 4.5.3.1.10 reads it as 452) | transient |
//! | RCPT TO, DATA | other 5xx | permanent |
//! | final dot | 4xx | transient |
//! | final dot | 5xx | permanent |
//! | after the message began | lost, silent, or not SMTP | unknown |

use super::reply::{Cause, Phase};
use std::time::Duration;

/// Shortest wait after a "try again later": greylisting servers reject what comes back sooner (RFC 6647 section 5).
const SHORTEST_TRANSIENT_WAIT: Duration = Duration::from_secs(60);

/// What happened to the mail, in the words that PostgreSQL, logs and metrics use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The server cannot be used now; says nothing about the mail.
    RelayDown,
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
    pub const ALL: [Self; 6] =
        [Self::RelayDown, Self::Misconfigured, Self::Transient, Self::Permanent, Self::Unknown, Self::Internal];

    /// The name in PostgreSQL, log lines and metric labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::RelayDown => "relay_down",
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
            Self::RelayDown | Self::Misconfigured | Self::Permanent => false,
        }
    }

    /// Whether the mail server works for us, as far as this outcome tells; the circuit breaker counts the `Some(false)`.
    pub fn relay_works(self) -> Option<bool> {
        match self {
            Self::Transient | Self::Permanent => Some(true),
            Self::RelayDown | Self::Misconfigured => Some(false),
            Self::Unknown | Self::Internal => None,
        }
    }

    /// Lower bound of the wait before the next attempt.
    pub fn shortest_wait(self) -> Duration {
        match self {
            Self::Transient | Self::Unknown => SHORTEST_TRANSIENT_WAIT,
            Self::RelayDown | Self::Misconfigured | Self::Permanent | Self::Internal => Duration::ZERO,
        }
    }
}

pub(super) fn class(phase: Phase, cause: &Cause) -> Class {
    match cause {
        Cause::Reply(reply) => class_of_reply(phase, reply.code, reply.enhanced()),
        Cause::Unusable(_) => class_of_our_refusal(phase),
        Cause::Lost | Cause::TimedOut if phase == Phase::Dot => Class::Unknown,
        Cause::Lost | Cause::TimedOut => Class::RelayDown,
    }
}

fn class_of_reply(phase: Phase, code: u16, enhanced: Option<&str>) -> Class {
    let refuses_us = enhanced.is_some_and(|enhanced| enhanced.starts_with("5.7."));
    match (phase, code) {
        (_, 421 | 454) => Class::RelayDown,
        (Phase::Connect | Phase::Greeting | Phase::Tls, _) => Class::RelayDown,
        (Phase::Auth | Phase::Mail, 500..) => Class::Misconfigured,
        (Phase::Auth | Phase::Mail, _) => Class::RelayDown,
        (Phase::Rcpt | Phase::Data, 530..=539) => Class::Misconfigured,
        (Phase::Rcpt | Phase::Data, 554) if refuses_us => Class::Misconfigured,
        (Phase::Rcpt | Phase::Data, 552) => Class::Transient,
        (Phase::Rcpt | Phase::Data | Phase::Dot, 500..) => Class::Permanent,
        (Phase::Rcpt | Phase::Data | Phase::Dot, 400..) => Class::Transient,
        (Phase::Rcpt | Phase::Data, _) => Class::RelayDown,
        (Phase::Dot, _) => Class::Unknown,
    }
}

/// This side stopped: at RCPT because the server cannot carry the address (no SMTPUTF8), elsewhere because of settings.
fn class_of_our_refusal(phase: Phase) -> Class {
    match phase {
        Phase::Connect | Phase::Greeting => Class::RelayDown,
        Phase::Tls | Phase::Auth | Phase::Mail | Phase::Data => Class::Misconfigured,
        Phase::Rcpt => Class::Permanent,
        Phase::Dot => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::reply::Reply;

    const PHASES: [Phase; 8] =
        [Phase::Connect, Phase::Greeting, Phase::Tls, Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot];

    fn reply(code: u16, text: &str) -> Cause {
        Cause::Reply(Reply::new(code, text))
    }

    #[test]
    fn every_row_of_the_table() {
        use Class::*;
        use Phase::*;
        let rows = [
            (Connect, Cause::Lost, RelayDown),
            (Connect, Cause::TimedOut, RelayDown),
            (Greeting, reply(554, "no service here"), RelayDown),
            (Greeting, reply(421, "busy"), RelayDown),
            (Greeting, Cause::Lost, RelayDown),
            (Tls, Cause::Unusable("STARTTLS is not offered".into()), Misconfigured),
            (Tls, reply(454, "TLS not available"), RelayDown),
            (Tls, Cause::Lost, RelayDown),
            (Auth, reply(535, "5.7.8 bad credentials"), Misconfigured),
            (Auth, reply(534, "mechanism too weak"), Misconfigured),
            (Auth, reply(504, "mechanism not known"), Misconfigured),
            (Auth, reply(454, "4.7.0 try later"), RelayDown),
            (Auth, Cause::Unusable("no common mechanism".into()), Misconfigured),
            (Mail, reply(550, "sender refused"), Misconfigured),
            (Mail, reply(530, "5.7.0 authentication required"), Misconfigured),
            (Mail, reply(451, "local error"), RelayDown),
            (Mail, Cause::Lost, RelayDown),
            (Rcpt, reply(450, "4.2.0 greylisted"), Transient),
            (Rcpt, reply(451, "4.7.1 greylisted"), Transient),
            (Rcpt, reply(452, "4.2.2 mailbox full"), Transient),
            (Rcpt, reply(421, "closing"), RelayDown),
            (Rcpt, reply(454, "TLS needed"), RelayDown),
            (Rcpt, reply(550, "5.1.1 no such user"), Permanent),
            (Rcpt, reply(551, "user not local"), Permanent),
            (Rcpt, reply(553, "name not allowed"), Permanent),
            (Rcpt, reply(556, "5.1.10 null MX"), Permanent),
            (Rcpt, reply(552, "too many recipients"), Transient),
            (Rcpt, reply(554, "5.7.1 relay access denied"), Misconfigured),
            (Rcpt, reply(554, "5.1.2 no such domain"), Permanent),
            (Rcpt, reply(530, "authentication required"), Misconfigured),
            (Rcpt, Cause::TimedOut, RelayDown),
            (Rcpt, Cause::Unusable("no SMTPUTF8".into()), Permanent),
            (Data, reply(451, "later"), Transient),
            (Data, reply(554, "no"), Permanent),
            (Data, Cause::Lost, RelayDown),
            (Dot, reply(451, "4.3.0 queue full"), Transient),
            (Dot, reply(452, "disk full"), Transient),
            (Dot, reply(421, "closing, not taken"), RelayDown),
            (Dot, reply(550, "5.7.1 spam"), Permanent),
            (Dot, reply(552, "too large"), Permanent),
            (Dot, reply(554, "5.6.0 refused"), Permanent),
            (Dot, Cause::Lost, Unknown),
            (Dot, Cause::TimedOut, Unknown),
        ];
        for (phase, cause, expected) in rows {
            assert_eq!(class(phase, &cause), expected, "{phase:?} {cause:?}");
        }
    }

    #[test]
    fn a_mail_is_refused_for_good_only_by_a_reply_about_it() {
        for phase in PHASES {
            for code in 200..=599 {
                let class = class(phase, &reply(code, ""));
                let about_the_mail = matches!(phase, Phase::Rcpt | Phase::Data | Phase::Dot) && code >= 500;
                assert!(class != Class::Permanent || about_the_mail, "{phase:?} {code} {class:?}");
            }
        }
    }

    #[test]
    fn trouble_of_the_provider_never_uses_up_a_retry() {
        for phase in PHASES.into_iter().filter(|phase| *phase != Phase::Dot) {
            assert!(!class(phase, &Cause::Lost).is_counted(), "{phase:?}");
            assert!(!class(phase, &reply(421, "")).is_counted(), "{phase:?}");
        }
    }

    #[test]
    fn what_may_have_been_accepted_waits_a_minute_and_counts() {
        let class = class(Phase::Dot, &Cause::Lost);
        assert!(class.is_counted() && class.shortest_wait() >= Duration::from_secs(60));
    }

    #[test]
    fn labels_are_distinct() {
        let labels: std::collections::HashSet<_> = Class::ALL.iter().map(|class| class.label()).collect();
        assert_eq!(labels.len(), Class::ALL.len());
    }
}
