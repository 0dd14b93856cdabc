//! The Secrets of PostgreSQL and Redis, as those write them who run databases.
//!
//! Takes: the content of a Secret, or of the folder that a pod sees it as. Gives: which of its keys are of use, and the
//! connection that they stand for: a URI, or one put together from host, port, user and so on. Does not: read files
//! (`secret` does) or show a value.
//!
//! The keys are those of CloudNativePG, Crunchy, Percona and Zalando (PostgreSQL), of Bitnami's charts, of the Service
//! Binding specification 1.0, of Aiven's operator and of Crossplane, and those of Secrets of type `kubernetes.io/tls`.

use crate::postgres_uri::{PostgresUri, PostgresUriError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use std::{fmt::Write as _, path::Path};

/// A key that holds a whole URI, under the name that `secretRef.key` has when it is not given.
pub const URI: &str = "uri";
/// The client's certificate and its key, as files of a pod: libpq's words.
pub const CERTIFICATE: [&str; 2] = ["sslcert", "sslkey"];
/// The authority that signed the server's certificate.
pub const AUTHORITY: &str = "sslrootcert";

/// A part of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The file that a pod sees it as.
    pub file: &'static str,
    /// The keys that hold it; the first that is there is taken.
    pub keys: &'static [&'static str],
}

const fn part(file: &'static str, keys: &'static [&'static str]) -> Part {
    Part { file, keys }
}

/// What of a Secret's keys says where a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The parts have the names of libpq's keywords.
    Postgres,
    /// Redis.
    Redis,
}

const POSTGRES: [Part; 10] = [
    part("host", &["host", "hostname", "endpoint", "PGHOST"]),
    part("port", &["port", "PGPORT"]),
    part("dbname", &["dbname", "database", "db", "PGDATABASE"]),
    part("user", &["user", "username", "PGUSER"]),
    part("password", &["password", "PGPASSWORD"]),
    part("sslmode", &["sslmode", "PGSSLMODE"]),
    part("target_session_attrs", &["target_session_attrs"]),
    part("sslcert", &["sslcert", "tls.crt"]),
    part("sslkey", &["sslkey", "tls.key"]),
    part("sslrootcert", &["sslrootcert", "ca.crt"]),
];

const REDIS: [Part; 9] = [
    part("host", &["host", "hostname", "endpoint", "REDIS_HOST"]),
    part("port", &["port", "REDIS_PORT"]),
    part("database", &["database", "db"]),
    part("user", &["user", "username", "REDIS_USER"]),
    part("password", &["password", "redis-password", "valkey-password", "REDIS_PASSWORD"]),
    part("tls", &["tls", "ssl"]),
    part("sslcert", &["sslcert", "tls.crt"]),
    part("sslkey", &["sslkey", "tls.key"]),
    part("sslrootcert", &["sslrootcert", "ca.crt"]),
];

/// What keeps a Secret from saying where a server is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreSecretError {
    /// Neither a URI nor all parts that are needed.
    #[error("it has neither the key uri nor {}", .0.join(" and "))]
    Missing(Vec<String>),
    /// PostgreSQL's text cannot be used.
    #[error(transparent)]
    PostgresUri(#[from] PostgresUriError),
    /// A part of Redis' is not what it has to be.
    #[error("its key {key} holds no {expected}; {fix}")]
    Value {
        /// The key as it is usually called.
        key: &'static str,
        /// What is expected.
        expected: &'static str,
        /// What to write.
        fix: &'static str,
    },
}

impl StoreKind {
    /// All parts.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Postgres => &POSTGRES,
            Self::Redis => &REDIS,
        }
    }

    /// The keys of a Secret that a pod needs, with the files that it sees them as: the URI and a client's certificate;
    /// or, where the key `uri` is not there, the parts that are. `holds` says whether there is something under a key.
    /// Without either the URI's key is named, for which a pod then waits.
    pub fn files(self, uri_key: &str, holds: impl Fn(&str) -> bool) -> Vec<(String, &'static str)> {
        let found = |part: &Part| {
            let key = part.keys.iter().find(|key| holds(key))?;
            Some(((*key).to_owned(), part.file))
        };
        let parts: Vec<_> = self.parts().iter().filter_map(found).collect();
        if !holds(uri_key) && uri_key == URI && !parts.is_empty() {
            return parts;
        }
        let certificate: Vec<_> = parts.into_iter().filter(|(_, file)| CERTIFICATE.contains(file)).collect();
        let whole = if certificate.len() == CERTIFICATE.len() { certificate } else { Vec::new() };
        std::iter::once((uri_key.to_owned(), URI)).chain(whole).collect()
    }

    /// Which of the parts that are needed are missing.
    fn missing(self, read: &impl Fn(&str) -> Option<String>) -> Result<(), StoreSecretError> {
        let needed: &[&str] = match self {
            Self::Postgres => &["host", "user"],
            Self::Redis => &["host"],
        };
        let is_missing = |part: &&Part| needed.contains(&part.file) && read(part.file).is_none();
        let name = |part: &Part| match part.keys {
            [first, second, ..] if part.file == "user" => format!("{first} (or {second})"),
            _ => part.file.to_owned(),
        };
        let missing: Vec<String> = self.parts().iter().filter(is_missing).map(name).collect();
        if missing.is_empty() { Ok(()) } else { Err(StoreSecretError::Missing(missing)) }
    }
}

/// PostgreSQL's connection. `read` gives the text of a file of [`StoreKind::files`], if there is one that is not empty;
/// `folder` is where the files are.
///
/// # Errors
///
/// [`StoreSecretError`], which names keys and never holds a value.
pub fn postgres(folder: &Path, read: impl Fn(&str) -> Option<String>) -> Result<PostgresUri, StoreSecretError> {
    let uri = match read(URI) {
        Some(uri) => PostgresUri::parse(&uri)?,
        None => {
            StoreKind::Postgres.missing(&read)?;
            let is_text = |part: &&Part| !part.file.starts_with("ssl") || part.file == "sslmode";
            let parts = POSTGRES.iter().filter(is_text).filter_map(|part| Some((part.file, read(part.file)?)));
            let uri = PostgresUri::from_parts(parts)?;
            if read(AUTHORITY).is_some() { uri.with_authority(&folder.join(AUTHORITY)) } else { uri }
        }
    };
    let [certificate, key] = CERTIFICATE;
    let has_certificate = read(certificate).is_some() && read(key).is_some();
    Ok(if has_certificate { uri.with_certificate(&folder.join(certificate), &folder.join(key)) } else { uri })
}

/// Redis' URI, with `rediss://` when the parts or `has_authority` speak of TLS. `read` as with [`postgres`].
///
/// # Errors
///
/// [`StoreSecretError`], which names keys and never holds a value.
pub fn redis(read: impl Fn(&str) -> Option<String>, has_authority: bool) -> Result<SecretString, StoreSecretError> {
    if let Some(uri) = read(URI) {
        return Ok(uri.into());
    }
    StoreKind::Redis.missing(&read)?;
    let by_certificate = has_authority || [AUTHORITY, CERTIFICATE[0]].into_iter().any(|file| read(file).is_some());
    let is_tls = match read("tls").map(|text| text.to_ascii_lowercase()).as_deref() {
        None => by_certificate,
        Some("true" | "yes" | "on" | "1") => true,
        Some("false" | "no" | "off" | "0") => false,
        Some(_) => return Err(invalid("tls", "answer", "write true or false")),
    };
    let mut uri = String::from(if is_tls { "rediss://" } else { "redis://" });
    let (user, password) = (read("user").unwrap_or_default(), read("password").unwrap_or_default());
    if !(user.is_empty() && password.is_empty()) {
        uri.extend(utf8_percent_encode(&user, NON_ALPHANUMERIC));
        uri.push(':');
        uri.extend(utf8_percent_encode(&password, NON_ALPHANUMERIC));
        uri.push('@');
    }
    let host = read("host").unwrap_or_default();
    let is_bare_ipv6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.contains(':') && !is_bare_ipv6 && !host.starts_with('[') {
        return Err(invalid("host", "name or address alone", "write the port under the key port"));
    }
    uri.push_str(&if is_bare_ipv6 { format!("[{host}]") } else { host });
    let number = |file, expected| match read(file).map(|text| text.parse::<u16>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(invalid(file, expected, "write a number")),
    };
    let _ = write!(uri, ":{}/{}", number("port", "port")?.unwrap_or(6379), number("database", "index")?.unwrap_or(0));
    Ok(uri.into())
}

fn invalid(key: &'static str, expected: &'static str, fix: &'static str) -> StoreSecretError {
    StoreSecretError::Value { key, expected, fix }
}
