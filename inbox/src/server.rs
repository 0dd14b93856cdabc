//! What all sessions of an inbox share.
//!
//! Gives: mails, journal, rules, holds, encryption and credentials in one place. Does not: take connections
//! (`listener`) or speak SMTP (`session`).

use crate::{
    certificates::CertificateError,
    holds::Holds,
    journal::Journal,
    mailbox::Mailbox,
    rules::{InvalidRule, Rule, Rules},
    settings::{Credentials, Tls},
};
use std::sync::{Arc, atomic::AtomicU64};

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) mailbox: Mailbox,
    pub(crate) journal: Journal,
    pub(crate) rules: Rules,
    pub(crate) holds: Holds,
    pub(crate) security: Security,
    pub(crate) credentials: Option<Credentials>,
    /// Connections taken since the start.
    pub(crate) connections: AtomicU64,
}

/// [`Tls`], ready for use.
#[derive(Debug)]
pub(crate) enum Security {
    None,
    StartTls(Arc<rustls::ServerConfig>),
    Implicit(Arc<rustls::ServerConfig>),
}

impl Security {
    pub(crate) fn new(tls: &Tls) -> Result<Self, CertificateError> {
        Ok(match tls {
            Tls::None => Self::None,
            Tls::StartTls(certificates) => Self::StartTls(certificates.server_config()?),
            Tls::Implicit(certificates) => Self::Implicit(certificates.server_config()?),
        })
    }
}

impl Server {
    pub(crate) fn set_rules(&self, rules: Vec<Rule>) -> Result<(), InvalidRule> {
        self.rules.set(rules)?;
        self.holds.reset();
        Ok(())
    }
}
