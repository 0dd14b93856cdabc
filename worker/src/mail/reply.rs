//! What a mail server answered, or that it did not.
//!
//! Takes: codes and texts, or how a connection ended. Gives: a [`Reply`] to keep in PostgreSQL, and a [`Failure`] whose
//! `Display` is safe for logs: code and enhanced status code only, because reply texts repeat addresses.
//! Does not: decide what a failure means (that is `class`).

use super::masked::masked;
use std::fmt;

/// Longest reply kept, in bytes; chosen to hold two or three lines of any real server.
const MAX_REPLY_BYTES: usize = 500;

/// A step of the dialogue; replies mean different things at different steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name lookup and TCP connection.
    Connect,
    /// The server's greeting and its answer to EHLO.
    Greeting,
    /// STARTTLS or the TLS handshake.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, before the first byte of the message.
    Data,
    /// The message and its final dot.
    Dot,
}

impl Phase {
    /// All steps, in their order.
    pub const ALL: [Self; 8] =
        [Self::Connect, Self::Greeting, Self::Tls, Self::Auth, Self::Mail, Self::Rcpt, Self::Data, Self::Dot];

    /// The name used as a metric label and in log lines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Dot => "dot",
        }
    }
}

/// A reply of the server. It has no `Display`: the text may hold addresses, so it goes to PostgreSQL and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Reply code (RFC 5321 section 4.2), 200 to 599.
    pub code: u16,
    text: String,
    codes: Vec<String>,
}

impl Reply {
    /// Keeps a code and its text, cut to 500 bytes and to one line.
    pub fn new(code: u16, text: &str) -> Self {
        let mut codes: Vec<String> = Vec::new();
        for line in text.lines() {
            let word = line.split_ascii_whitespace().next().unwrap_or_default();
            // Cisco's gateways write `#5.1.0`, and others `5.1.1:`.
            let word = word.strip_prefix('#').unwrap_or(word).trim_end_matches([':', ';', ',']);
            if is_enhanced(word) && !codes.iter().any(|code| code == word) {
                codes.push(word.to_owned());
            }
        }
        Self { code, text: one_line(text), codes }
    }

    /// Enhanced status code (RFC 3463), such as `5.1.1`, when a line begins with one and no line with another.
    pub fn enhanced(&self) -> Option<&str> {
        match &self.codes[..] {
            [code] => Some(code.as_str()),
            _ => None,
        }
    }

    /// All enhanced codes that lines begin with, each once. RFC 2034 (section 4) wants the same on every line.
    pub(super) fn codes(&self) -> &[String] {
        &self.codes
    }

    /// What the server wrote, in one line; may hold addresses.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Code and text in one line, to be kept in PostgreSQL.
    pub fn for_the_record(&self) -> String {
        format!("{} {}", self.code, self.text)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reply({} {})", self.code, self.enhanced().unwrap_or("-"))
    }
}

/// A dialogue that did not end with the message accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it ended.
    pub phase: Phase,
    /// Why.
    pub cause: Cause,
}

/// Why a dialogue failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server said no.
    Reply(Reply),
    /// The connection broke, was never made, or carried something that is not SMTP.
    Lost,
    /// The server did not answer in time.
    TimedOut,
    /// This side cannot continue: the text names what is configured wrong or missing at the server; it holds no secret.
    Unusable(String),
}

impl Failure {
    pub(super) fn new(phase: Phase, cause: Cause) -> Self {
        Self { phase, cause }
    }

    /// The reply code, when the server gave one.
    pub fn code(&self) -> Option<u16> {
        match &self.cause {
            Cause::Reply(reply) => Some(reply.code),
            Cause::Lost | Cause::TimedOut | Cause::Unusable(_) => None,
        }
    }

    /// True: the server answered and goes on listening (421 announces that it hangs up).
    pub(super) fn leaves_the_connection_open(&self) -> bool {
        self.code().is_some_and(|code| code != 421)
    }

    /// True: what follows concerns this mail alone, whose connection was in order.
    pub fn is_about_the_mail(&self) -> bool {
        matches!(self.phase, Phase::Rcpt | Phase::Data | Phase::Dot)
    }

    /// Everything that may be shown: the server's text without addresses and without these names.
    pub(super) fn for_people(&self, names: &[&str]) -> String {
        match &self.cause {
            Cause::Reply(reply) => format!("{} {}", reply.code, masked(&reply.text, names)).trim_end().to_owned(),
            Cause::Lost | Cause::TimedOut | Cause::Unusable(_) => self.to_string(),
        }
    }

    /// Everything known, in one line, to be kept in PostgreSQL; not for logs, the reply may hold addresses.
    pub fn for_the_record(&self) -> String {
        match &self.cause {
            Cause::Reply(reply) => reply.for_the_record(),
            Cause::Lost | Cause::TimedOut | Cause::Unusable(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.phase.label();
        match &self.cause {
            Cause::Reply(reply) => match reply.enhanced() {
                Some(enhanced) => write!(out, "mail server answered {} {enhanced} at {phase}", reply.code),
                None => write!(out, "mail server answered {} at {phase}", reply.code),
            },
            Cause::Lost => write!(out, "connection to the mail server lost at {phase}"),
            Cause::TimedOut => write!(out, "mail server did not answer in time at {phase}"),
            Cause::Unusable(problem) => write!(out, "cannot use the mail server at {phase}: {problem}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Whether a word is an enhanced code (RFC 3463 section 2).
pub(super) fn is_enhanced(word: &str) -> bool {
    let mut numbers = word.split('.');
    let is_number = |part: Option<&str>, digits: usize| {
        part.is_some_and(|part| (1..=digits).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_whole = is_number(numbers.next(), 1) && is_number(numbers.next(), 3) && is_number(numbers.next(), 3);
    is_whole && numbers.next().is_none()
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_REPLY_BYTES));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if line.len() + word.len() + 1 > MAX_REPLY_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_found_only_where_they_stand() {
        for (text, expected) in [
            ("5.1.1 no such user", Some("5.1.1")),
            ("4.7.123 greylisted", Some("4.7.123")),
            ("mailbox full", None),
            ("5.1 short", None),
            ("5.1.1.1 long", None),
            ("127.0.0 is an address", None),
            ("", None),
            ("#5.1.0 Address rejected.", Some("5.1.0")),
            ("5.1.1: gone", Some("5.1.1")),
            ("no\n5.7.1 policy\n5.7.1 again", Some("5.7.1")),
            ("no such user, see 5.1.1", None),
            ("5.1.1 unknown\n5.7.1 no relaying", None),
        ] {
            assert_eq!(Reply::new(550, text).enhanced(), expected, "{text}");
        }
    }

    #[test]
    fn log_texts_never_show_what_the_server_wrote() {
        let reply = Reply::new(550, "5.1.1 <alice@example.com>: unknown\r\nsecond line");
        let failure = Failure::new(Phase::Rcpt, Cause::Reply(reply.clone()));
        assert_eq!(failure.to_string(), "mail server answered 550 5.1.1 at rcpt");
        assert!(!format!("{failure:?}").contains("alice"));
        assert_eq!(reply.for_the_record(), "550 5.1.1 <alice@example.com>: unknown second line");
    }

    #[test]
    fn replies_of_any_length_are_cut() {
        assert!(Reply::new(550, &"word ".repeat(10_000)).for_the_record().len() <= MAX_REPLY_BYTES + 4);
        assert_eq!(Reply::new(550, &"x".repeat(10_000)).for_the_record(), "550 ");
    }
}
