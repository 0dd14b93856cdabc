//! What a failure to use the database means.
//!
//! Takes: an error of the store. Gives: an [`Unready`], what to look at, and a [`Verdict`], what to do with the
//! connections, by PostgreSQL's SQLSTATE (appendix A of its manual) or by what the TLS handshake came to. Does not:
//! repeat the error, whose text may name users and addresses.

use super::StoreError;
use pipeline::Unready;
use std::{error::Error, io, sync::Arc};

/// No server of the URI can be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NoHost {
    /// Some answer, and none is what is asked for.
    #[error("no host of the database URI is what its target_session_attrs asks for")]
    NoneMatches,
    /// None takes a connection.
    #[error("no host of the database URI takes a connection")]
    NoneAnswers(#[source] Arc<sqlx::Error>),
}

impl From<NoHost> for sqlx::Error {
    fn from(error: NoHost) -> Self {
        Self::Configuration(Box::new(error))
    }
}

/// What a failed statement says of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server takes no writes, stops or does not answer: another one may stand behind its name.
    Stale,
    /// A prepared statement was looked for in a session that is not the one it was prepared in; it did not run.
    Pooled,
    /// Nothing: it is about the statement.
    Other,
}

impl Verdict {
    pub(super) fn on(error: &sqlx::Error) -> Self {
        let refusal = match error {
            sqlx::Error::Database(refusal) => refusal.code(),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => return Self::Stale,
            _ => None,
        };
        match refusal.as_deref().unwrap_or_default() {
            READ_ONLY => Self::Stale,
            // Shutdown by hand or after a crash, not yet started, database dropped, session ended; connection failed.
            code if code.starts_with("57P") || code.starts_with("08") => Self::Stale,
            // The statement is not there; another of its name is.
            "26000" | "42P05" => Self::Pooled,
            _ => Self::Other,
        }
    }
}

/// A statement that writes, on a standby or a server set to read only.
const READ_ONLY: &str = "25006";

impl StoreError {
    /// What to look at first.
    pub fn unready(&self) -> Unready {
        match self {
            Self::Foreign(foreign) => return Unready::Foreign(foreign.what.clone()),
            Self::Unfit(unready) => return unready.clone(),
            _ => {}
        }
        cause(self).map_or(Unready::Silent, read)
    }
}

/// What a failure means whose causes, a [`StoreError`] perhaps, are errors of the database.
///
/// `None`: they are none.
pub fn unready(error: &(dyn Error + 'static)) -> Option<Unready> {
    std::iter::successors(Some(error), |&cause| cause.source())
        .find_map(|cause| cause.downcast_ref::<StoreError>())
        .map(StoreError::unready)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a sqlx::Error> {
    std::iter::successors(Some(error), |&cause| cause.source()).find_map(database_error)
}

/// Calls that share a statement share its error too.
fn database_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a sqlx::Error> {
    let shared = || cause.downcast_ref::<Arc<sqlx::Error>>().map(AsRef::as_ref);
    cause.downcast_ref::<sqlx::Error>().or_else(shared)
}

/// Supavisor, Supabase's pooler, has PostgreSQL's own code for internal errors (XX000), so only its words count.
fn refused_by_supavisor(message: &str) -> Unready {
    let says = |words: &str| message.contains(words);
    match () {
        () if says("Max client connections reached") || says("max clients reached") => Unready::Full,
        () if says("Tenant or user not found") => Unready::Credentials,
        () => Unready::Silent,
    }
}

/// PgBouncer (1.18) has one code for all that it refuses (08P01).
fn refused_by_pooler(message: &str) -> Unready {
    let says = |words: &str| message.contains(words);
    match () {
        () if says("statement pooling mode") => Unready::StatementPooling,
        () if says("unsupported startup parameter") => Unready::ParameterRefused,
        () if says("no more connections allowed") || says("too many connections") => Unready::Full,
        () if says("authentication failed") => Unready::Credentials,
        () if says("no such database") || says("does not exist") => Unready::NoDatabase,
        () => Unready::Silent,
    }
}

fn read(error: &sqlx::Error) -> Unready {
    match error {
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some("28P01") => Unready::Credentials,
            // pg_hba.conf has no entry: for this user from here at all, or for a connection without TLS.
            Some("28000") if refusal.message().contains("no encryption") => Unready::TlsDemanded,
            Some("28000") => Unready::Credentials,
            Some("3D000") => Unready::NoDatabase,
            Some(READ_ONLY) => Unready::ReadOnly,
            Some("53300") => Unready::Full,
            Some("08P01") => refused_by_pooler(refusal.message()),
            Some("XX000") => refused_by_supavisor(refusal.message()),
            Some("42501") => {
                let (what, needs) = ("do all that it has to", "the privilege that the log speaks of");
                Unready::Forbidden { what: what.to_owned(), needs: needs.to_owned() }
            }
            Some("3F000") => Unready::Missing("schema that a statement names".to_owned()),
            Some("42P01") => Unready::Missing("table that a statement names".to_owned()),
            Some("42703") => Unready::Missing("column that a statement names".to_owned()),
            Some("42883") => Unready::Missing("function that a statement names".to_owned()),
            Some("42704") => Unready::Missing("object that a statement names".to_owned()),
            _ => Unready::Silent,
        },
        sqlx::Error::Configuration(cause) => match cause.downcast_ref::<NoHost>() {
            Some(NoHost::NoneMatches) => Unready::ReadOnly,
            Some(NoHost::NoneAnswers(error)) => read(error),
            None => Unready::Silent,
        },
        // The question for TLS is answered with an error, as a pooler does that is full; the driver reads no further.
        sqlx::Error::Protocol(words) if words.contains("from SSLRequest: 0x45") => Unready::Full,
        sqlx::Error::Tls(cause) if cause.to_string().contains("does not support TLS") => Unready::TlsNotOffered,
        sqlx::Error::Tls(_) => Unready::Certificate,
        sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => Unready::Certificate,
        _ => Unready::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_supavisor_refuses_is_told_as_if_it_were_the_server() {
        for (message, expected) in [
            ("Tenant or user not found", Unready::Credentials),
            ("Max client connections reached", Unready::Full),
            ("MaxClientsInSessionMode: max clients reached - in Session mode max clients are pool_size", Unready::Full),
            ("function f() does not exist in an extension's own words", Unready::Silent),
        ] {
            assert_eq!(refused_by_supavisor(message), expected, "{message}");
        }
    }
}
