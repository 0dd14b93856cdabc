//! Where PostgreSQL is, as libpq's users write it: the one reader of such text for api, worker and operator.
//!
//! Takes: a URI (`postgres://user:password@one:5432,two:5432/app?target_session_attrs=read-write`) or pairs
//! (`host=db port=5432 user=app`), in the grammar of libpq (PostgreSQL 17 manual, 34.1.1). Gives: a [`PostgresUri`], or
//! what stands in the way, with the fix. Pure. Does not: read variables, `.pgpass` or service files, as libpq would;
//! open a connection; show a user, a password or an address in an error.
//!
//! # Layout
//!
//! - `syntax`: from text to libpq's keywords and values
//! - `parameters`: which keywords work, and with which values
//! - `hosts`: several hosts, addresses and ports as pairs
//! - `error`: what is wrong

mod error;
mod hosts;
mod parameters;
mod syntax;
#[cfg(test)]
mod tests;

pub use error::PostgresUriError;
pub use hosts::{Host, HostAddress};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

/// Where PostgreSQL is and how it is spoken to. `Debug` shows no value but hosts.
#[derive(Debug, Clone)]
pub struct PostgresUri {
    hosts: Vec<Host>,
    target_session_attrs: TargetSessionAttrs,
    connect_timeout: Option<Duration>,
    /// What is left to the driver, under libpq's names.
    parameters: BTreeMap<&'static str, SecretString>,
}

/// Which server of several is the right one (libpq's `target_session_attrs`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// The first that answers.
    #[default]
    Any,
    /// One whose sessions may write.
    ReadWrite,
    /// One whose sessions may not write.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is in recovery.
    Standby,
    /// A standby if there is one, else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    /// All of them with libpq's words.
    pub const ALL: [(&str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];
}

impl PostgresUri {
    /// Reads a URI or pairs; white space around it is passed over.
    ///
    /// # Errors
    ///
    /// [`PostgresUriError`], which never repeats a value.
    pub fn parse(text: &str) -> Result<Self, PostgresUriError> {
        parameters::read(syntax::pairs(text.trim())?)
    }

    /// Puts one together from keywords of libpq and values, as a Secret holds them in parts.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_parts(parts: impl IntoIterator<Item = (&'static str, String)>) -> Result<Self, PostgresUriError> {
        parameters::read(parts.into_iter().map(|(keyword, value)| (keyword.to_owned(), value)).collect())
    }

    /// The hosts, in the order in which they are tried; one at least.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// TCP ports of all hosts, sorted, each once; a socket has none.
    pub fn ports(&self) -> Vec<u16> {
        let is_tcp = |host: &&Host| matches!(host.address, HostAddress::Name(_));
        let mut ports: Vec<u16> = self.hosts.iter().filter(is_tcp).map(|host| host.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Which of the hosts is the right one.
    pub fn target_session_attrs(&self) -> TargetSessionAttrs {
        self.target_session_attrs
    }

    /// How long one host is tried; `None`: the text does not say.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// Whether a database is named; without, PostgreSQL takes that with the user's name.
    pub fn names_database(&self) -> bool {
        self.parameters.contains_key("dbname")
    }

    /// Whether a user is named; without, it is the one that the process runs as, whom a pod has no name for.
    pub fn names_user(&self) -> bool {
        self.parameters.contains_key("user")
    }

    /// Trusts the authority of a PEM file in the place of one that the text names. Without `sslmode` the certificate
    /// and the name in it are checked.
    #[must_use]
    pub fn with_authority(mut self, ca_file: &Path) -> Self {
        self.set("sslrootcert", ca_file);
        self.parameters.entry("sslmode").or_insert_with(|| "verify-full".into());
        self
    }

    /// Shows the server a certificate (PEM files) in the place of one that the text names.
    #[must_use]
    pub fn with_certificate(mut self, certificate: &Path, key: &Path) -> Self {
        self.set("sslcert", certificate);
        self.set("sslkey", key);
        self
    }

    fn set(&mut self, keyword: &'static str, path: &Path) {
        self.parameters.insert(keyword, path.to_string_lossy().into_owned().into());
    }

    /// A URI of one of the hosts alone, which drivers understand that know one host: everything is a parameter, and
    /// everything but letters and digits is percent-encoded.
    pub fn uri_of(&self, host: &Host) -> SecretString {
        let mut uri = String::from("postgres:///?host=");
        match &host.address {
            HostAddress::Name(name) => uri.extend(utf8_percent_encode(name, NON_ALPHANUMERIC)),
            HostAddress::SocketFolder(folder) => {
                uri.extend(utf8_percent_encode(&folder.to_string_lossy(), NON_ALPHANUMERIC))
            }
        }
        let _ = write!(uri, "&port={}", host.port);
        let is_socket = matches!(host.address, HostAddress::SocketFolder(_));
        // PostgreSQL offers no TLS on sockets, and libpq does not ask for it there, whatever `sslmode` says.
        let used = self.parameters.iter().filter(|(keyword, _)| !(is_socket && keyword.starts_with("ssl")));
        for (keyword, value) in used {
            let _ = write!(uri, "&{keyword}=");
            uri.extend(utf8_percent_encode(self.in_effect(keyword, value.expose_secret()), NON_ALPHANUMERIC));
        }
        if is_socket {
            uri.push_str("&sslmode=disable");
        }
        uri.into()
    }

    /// `require` with an authority checks the certificate as `verify-ca` does (manual, 34.19.1). libpq's `allow` and
    /// `prefer` differ in what is tried first; TLS is tried first for both.
    fn in_effect<'a>(&self, keyword: &str, value: &'a str) -> &'a str {
        match (keyword, value) {
            ("sslmode", "require") if self.parameters.contains_key("sslrootcert") => "verify-ca",
            ("sslmode", "allow") => "prefer",
            _ => value,
        }
    }
}
