//! One PostgreSQL and one Redis for all tests of a process.
//!
//! Gives: servers started at first use; each test takes a database of its own. Does not: stop them
//! before the process ends; the guard of each server does it then.

use crate::{Postgres, Redis};
use std::sync::LazyLock;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| match Postgres::start() {
    Ok(server) => server,
    Err(error) => panic!("{}", in_full(&error)),
});

static REDIS: LazyLock<Redis> = LazyLock::new(|| match Redis::start() {
    Ok(server) => server,
    Err(error) => panic!("{}", in_full(&error)),
});

/// The PostgreSQL server of this process.
///
/// # Panics
///
/// When it cannot be started; the message says why and what to install.
pub fn postgres() -> &'static Postgres {
    &POSTGRES
}

/// The Redis server of this process.
///
/// # Panics
///
/// When it cannot be started; the message says why and what to install.
pub fn redis() -> &'static Redis {
    &REDIS
}

pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
