//! What a failure to use the database means.
//!
//! Takes: an error of the store. Gives: an [`Unready`], by PostgreSQL's SQLSTATE (appendix A of its manual) or by what
//! the TLS handshake came to. Does not: repeat the error, whose text may name users and addresses.

use super::StoreError;
use pipeline::Unready;
use std::{error::Error, io, sync::Arc};

impl StoreError {
    /// What to look at first.
    pub fn unready(&self) -> Unready {
        if let Self::Foreign(foreign) = self {
            return Unready::Foreign(foreign.table);
        }
        let mut causes = std::iter::successors(Some(self as &(dyn Error + 'static)), |&cause| cause.source());
        causes.find_map(database_error).map_or(Unready::Silent, read)
    }
}

/// Calls that share a statement share its error too.
fn database_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a sqlx::Error> {
    let shared = || cause.downcast_ref::<Arc<sqlx::Error>>().map(AsRef::as_ref);
    cause.downcast_ref::<sqlx::Error>().or_else(shared)
}

fn read(error: &sqlx::Error) -> Unready {
    match error {
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some("28P01") => Unready::Credentials,
            // pg_hba.conf has no entry: for this user from here at all, or for a connection without TLS.
            Some("28000") if refusal.message().contains("no encryption") => Unready::TlsDemanded,
            Some("28000") => Unready::Credentials,
            Some("3D000") => Unready::NoDatabase,
            // PostgreSQL 15 and newer let nobody but the owner create in `public`.
            Some("42501") => Unready::MayNotCreate,
            _ => Unready::Silent,
        },
        sqlx::Error::Tls(cause) if cause.to_string().contains("does not support TLS") => Unready::TlsNotOffered,
        sqlx::Error::Tls(_) => Unready::Certificate,
        sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => Unready::Certificate,
        _ => Unready::Silent,
    }
}
