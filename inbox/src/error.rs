//! What can go wrong with an inbox as a whole.
//!
//! Gives: why it does not start, and what did not happen before its deadline. Does not: know SMTP; what a session meets
//! stays in the session.

use crate::certificates::CertificateError;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// Why an inbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("failed to listen on {address} ({purpose})")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// `SMTP` or `HTTP`.
        purpose: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error("failed to open the journal {}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("failed to set up TLS")]
    Tls(#[from] CertificateError),
    /// No thread or event queue could be made.
    #[error("failed to start the thread of the inbox")]
    Thread(#[source] std::io::Error),
}

/// Something that did not happen before its deadline.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not happen within {within:?}; {kept} mails are kept, {held:?} sessions are held")]
pub struct NotInTime {
    pub(crate) what: String,
    pub(crate) within: Duration,
    pub(crate) kept: usize,
    pub(crate) held: BTreeMap<String, usize>,
}
