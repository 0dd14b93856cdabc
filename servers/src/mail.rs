//! What the real mail servers have in common.
//!
//! Takes: how a test wants to be served. Gives: a started server, or `None` where `WITHOUT_MAIL_SERVERS` is set, which
//! is said on standard error past the test runner's capture. Does not: know any server's configuration.

use crate::{Authority, Exim, OpenSmtpd, Postfix, ServerError, private_root::PrivateRoot};
use std::{collections::BTreeMap, io::Write};

/// Leaves tests with real mail servers out, for machines without root; never set in CI.
const SWITCH: &str = "WITHOUT_MAIL_SERVERS";

/// Domain whose mail each server takes, and throws away.
pub(crate) const DOMAIN: &str = "example.com";

/// How many mails a server took responsibility for, by Message-ID (without its brackets).
pub type Accepted = BTreeMap<String, usize>;

/// What a server asks of a client before it takes mail.
#[derive(Debug, Clone, Copy, Default)]
pub enum Security<'a> {
    /// Nothing.
    #[default]
    Plain,
    /// Nothing, and it offers STARTTLS.
    StartTls(&'a Authority),
    /// STARTTLS, then AUTH PLAIN or LOGIN with [`LOGIN`].
    Login(&'a Authority),
}

/// User name and password of [`Security::Login`].
pub const LOGIN: (&str, &str) = ("app", "correct-horse");

impl<'a> Security<'a> {
    pub(crate) fn authority(self) -> Option<&'a Authority> {
        match self {
            Self::Plain => None,
            Self::StartTls(authority) | Self::Login(authority) => Some(authority),
        }
    }

    pub(crate) fn wants_login(self) -> bool {
        matches!(self, Self::Login(_))
    }

    /// Puts certificate and key where the server's start script finds them.
    pub(crate) fn write(self, root: &PrivateRoot) -> Result<(), ServerError> {
        let io = |source| ServerError::Io { action: "give the server its certificate", source };
        if let Some(authority) = self.authority() {
            for (from, name) in [(authority.certificate(), "server.crt"), (authority.key(), "server.key")] {
                std::fs::copy(from, root.path(name)).map_err(io)?;
            }
        }
        Ok(())
    }
}

/// [`Postfix::start`] for a test.
///
/// # Panics
///
/// When it cannot be started; the message says why and what to do.
pub fn postfix(security: Security<'_>, parameters: &[&str]) -> Option<Postfix> {
    unless_left_out(|| Postfix::start(security, parameters))
}

/// [`Exim::start`] for a test.
///
/// # Panics
///
/// When it cannot be started; the message says why and what to do.
pub fn exim(security: Security<'_>, options: &[&str], rcpt_acl: &[&str]) -> Option<Exim> {
    unless_left_out(|| Exim::start(security, options, rcpt_acl))
}

/// [`OpenSmtpd::start`] for a test.
///
/// # Panics
///
/// When it cannot be started; the message says why and what to do.
pub fn opensmtpd(known: &[&str], rules: &[&str]) -> Option<OpenSmtpd> {
    unless_left_out(|| OpenSmtpd::start(known, rules))
}

fn unless_left_out<T>(start: impl FnOnce() -> Result<T, ServerError>) -> Option<T> {
    if std::env::var_os(SWITCH).is_some_and(|value| !value.is_empty()) {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // A test that cannot say so has nobody to say it to.
        let _ = writeln!(std::io::stderr(), "LEFT OUT because {SWITCH} is set: {test}");
        return None;
    }
    match start() {
        Ok(server) => Some(server),
        Err(error) => panic!("{}", crate::shared::in_full(&error)),
    }
}
