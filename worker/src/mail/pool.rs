//! Connections that wait for their next mail.
//!
//! Takes: connections in order after a mail. Gives: the one used last, as long as it was opened with the settings in force and
//! has not idled too long and the server has not hung up. Does not: bound how many are open (the worker's slots do), test them
//! with NOOP (a round trip per mail; one that died without a word shows itself at MAIL), or open any.

use super::connection::Connection;
use pipeline::document::Smtp;
use std::{sync::Mutex, time::Duration};
use tokio::time::Instant;

/// Servers hang up on idle clients; RFC 5321 section 4.5.3.2 allows that after 5 minutes, many do after 1.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

struct Idle {
    connection: Connection,
    settings: Smtp,
    since: Instant,
}

/// The idle connections of one process.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// Takes the connection that was used last.
    pub(super) fn take(&self, settings: &Smtp) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some(mut candidate) = idle.pop() {
            let is_fresh = candidate.settings == *settings && candidate.since.elapsed() < IDLE_LIMIT;
            if is_fresh && candidate.connection.is_silent() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Keeps a usable connection for the next mail; drops another.
    pub(super) fn put(&self, connection: Connection, settings: &Smtp) {
        if connection.is_usable() {
            self.lock().push(Idle { connection, settings: settings.clone(), since: Instant::now() });
        }
    }

    /// Forgets all idle connections without a word: one was found dead, so the others are too.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Says goodbye on every idle connection.
    pub(super) async fn quit_all(&self) {
        let idle = std::mem::take(&mut *self.lock());
        futures::future::join_all(idle.into_iter().map(|idle| idle.connection.quit())).await;
    }

    /// Says goodbye on what idles too long, forever.
    pub(super) async fn run(&self) {
        let mut tick = tokio::time::interval(IDLE_LIMIT / 2);
        loop {
            tick.tick().await;
            let stale: Vec<Idle> = self.lock().extract_if(.., |idle| idle.since.elapsed() >= IDLE_LIMIT).collect();
            futures::future::join_all(stale.into_iter().map(|idle| idle.connection.quit())).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // Pushing and popping whole entries leaves the list in order whatever panics.
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
