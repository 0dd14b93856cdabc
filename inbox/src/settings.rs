//! What an inbox is started with.
//!
//! Gives: [`Settings`], with defaults that suit tests. Does not: read files or flags (`main` does).

use crate::certificates::Certificates;
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// How an inbox is started. The default listens on free ports of 127.0.0.1, without TLS, credentials or journal.
#[derive(Debug)]
pub struct Settings {
    /// Where SMTP is spoken; port 0 takes a free one.
    pub smtp: SocketAddr,
    /// Where the page is served; port 0 takes a free one.
    pub http: SocketAddr,
    /// Transport security of SMTP.
    pub tls: Tls,
    /// When given, mail is taken only after AUTH with them.
    pub credentials: Option<Credentials>,
    /// File that gets one JSON line per mail accepted, appended.
    pub log: Option<PathBuf>,
    /// Mails kept; older ones go. Their total size is bounded too (64 MiB).
    pub kept: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { smtp: free_port, http: free_port, tls: Tls::None, credentials: None, log: None, kept: 10_000 }
    }
}

/// Transport security of SMTP.
#[derive(Debug)]
pub enum Tls {
    /// Clear text.
    None,
    /// Clear text until STARTTLS (RFC 3207), without which no mail is taken.
    StartTls(Certificates),
    /// TLS from the first byte (RFC 8314).
    Implicit(Certificates),
}

impl Tls {
    pub(crate) fn certificates(&self) -> Option<&Certificates> {
        match self {
            Self::None => None,
            Self::StartTls(certificates) | Self::Implicit(certificates) => Some(certificates),
        }
    }
}

/// A user and its password, as AUTH has to give them.
#[derive(Debug)]
pub struct Credentials {
    username: String,
    password: SecretString,
}

impl Credentials {
    /// Takes a user name and a password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: SecretString::from(password.into()) }
    }

    /// Reads `user:password`; the first colon separates them. `None` without a colon.
    pub fn parse(text: &str) -> Option<Self> {
        let (username, password) = text.trim_end_matches(['\r', '\n']).split_once(':')?;
        Some(Self::new(username, password))
    }

    pub(crate) fn accepts(&self, username: &[u8], password: &[u8]) -> bool {
        username == self.username.as_bytes() && password == self.password.expose_secret().as_bytes()
    }
}
