//! The connections to one mail server: kept, lent, and no more than it takes.
//!
//! Takes: connections in order after a mail, and what became of those that were opened. Gives: a connection for each
//! mail, its own to use until it is given back: whichever comes first of one that another mail gives back and a new
//! one. Does not: speak to the server, test a connection with NOOP (a round trip per mail; one that died without a
//! word shows itself at MAIL), or know what a mail is.

mod line;
mod opening;

use self::line::{Line, Turn};
use super::{capacity::Capacity, connection::Connection, reached::Reached, reply::Failure};
use parking_lot::{Mutex, MutexGuard};
use pipeline::document::Smtp;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Servers hang up on idle clients; RFC 5321 section 4.5.3.2 allows that after 5 minutes, many do after 1.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The same where connections are scarce: somebody else waits for it.
const SCARCE_IDLE_LIMIT: Duration = Duration::from_secs(1);
/// How long a mail waits for a connection to a server that takes no more of them.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one server. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Tells one waiting mail at a time that a connection was closed, or may be.
    freed: Notify,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    line: Line,
    /// Open, being opened, idle.
    permits: usize,
    /// Open or idle.
    open: usize,
    capacity: Capacity,
    /// As many as configured; `None`: no limit.
    max: Option<usize>,
    accepted_at: Option<Instant>,
}

struct Idle {
    lent: Lent,
    settings: Smtp,
    since: Instant,
}

/// The right to one of the connections that the server takes.
struct Permit {
    /// No owner: an idle connection keeps no pool alive.
    pool: Weak<Shared>,
    is_open: bool,
}

/// A connection with its permit; dropped, it is closed without a word.
pub(super) struct Lent {
    pub(super) connection: Connection,
    /// True: it lay idle, where the server may have hung up.
    pub(super) has_idled: bool,
    permit: Permit,
}

/// Why there is no connection.
pub(super) enum NoConnection {
    Failed(Failure),
    /// The server takes no more than are in use.
    Crowded,
}

/// What a mail does next for a connection.
#[expect(clippy::large_enum_variant, reason = "one a mail, taken apart at once: a box would be an allocation a mail")]
enum Next {
    Use(Lent),
    Open(Permit),
    /// Until then, or until something changes.
    Wait(Option<Instant>),
}

impl Pool {
    /// A connection for one mail. `reached` names the step at which the server is waited for, if it is.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses no connection: what came for it goes to the next mail.
    pub(super) async fn connection(&self, settings: &Smtp, reached: &Reached) -> Result<Lent, NoConnection> {
        if let Some(lent) = self.take(settings) {
            return Ok(lent);
        }
        let receiver = self.lock().line.join(settings.clone());
        let mut turn = Turn { receiver, pool: self, settings };
        let deadline = Instant::now() + CONNECTION_TIMEOUT;
        loop {
            let freed = self.0.freed.notified();
            let until = match self.next(settings) {
                Next::Use(lent) => return Ok(lent),
                Next::Open(permit) => match self.open(&mut turn, reached, permit).await {
                    Some(result) => return result,
                    None if Instant::now() < deadline => continue,
                    None => return Err(NoConnection::Crowded),
                },
                Next::Wait(until) => until.map_or(deadline, |until| until.min(deadline)),
            };
            // From here on it is not the server that is waited for, but other mails.
            reached.queue();
            tokio::select! {
                lent = turn.come() => return Ok(lent),
                () = freed => {}
                () = sleep_until(until) => if until >= deadline { return Err(NoConnection::Crowded) },
            }
        }
    }

    /// Keeps a usable connection for the next mail; closes another, and one that is too many since the bound was
    /// lowered.
    pub(super) fn give_back(&self, lent: Lent, settings: &Smtp) {
        if lent.connection.is_usable() {
            let mut state = self.lock();
            if state.is_over_max() {
                // Its end needs the lock, too.
                drop(state);
                return;
            }
            let Some(lent) = state.line.hand_on(Lent { has_idled: true, ..lent }, settings) else { return };
            state.idle.push(Idle { lent, settings: settings.clone(), since: Instant::now() });
            drop(state);
            // Who waits with other settings can have it closed.
            self.0.freed.notify_one();
        }
    }

    /// Notes that a mail was accepted.
    pub(super) fn accepted(&self) {
        self.lock().accepted_at = Some(Instant::now());
    }

    /// Learns from what the server said to a mail on this connection, and closes it. True: it takes fewer
    /// connections, and the mail may have another.
    pub(super) fn takes_fewer(&self, lent: Lent, failure: &Failure) -> bool {
        let Lent { connection, permit, .. } = lent;
        drop(connection);
        self.is_about_the_number(failure) && self.refused(permit, failure)
    }

    /// True: the server serves a connection of ours.
    pub(super) fn is_open(&self) -> bool {
        self.lock().open > 0
    }

    /// True: for each connection another mail waits, so the next ones have time.
    pub(super) fn has_next_mails(&self) -> bool {
        let state = self.lock();
        let opening = state.permits - state.open;
        state.open > 0 && state.line.len() >= state.permits + opening
    }

    /// Bounds the connections of this process; `None`: no bound but the server's.
    pub(super) fn set_max(&self, max: Option<usize>) {
        let surplus = {
            let mut state = self.lock();
            state.max = max;
            let surplus = max.map_or(0, |max| state.permits.saturating_sub(max)).min(state.idle.len());
            state.idle.drain(..surplus).collect::<Vec<_>>()
        };
        // The end of each connection needs the lock, too.
        drop(surplus);
        self.0.freed.notify_waiters();
    }

    /// As many connections as it takes; `None`: no limit was met.
    pub(super) fn known(&self) -> Option<usize> {
        self.lock().capacity.known()
    }

    /// As many connections as it takes, or may be given; `None`: no limit is known.
    pub(super) fn allowed(&self) -> Option<usize> {
        let state = self.lock();
        state.capacity.known().into_iter().chain(state.max).min()
    }

    /// Closes all idle connections without a word: one was found silent, so the others may be too.
    pub(super) fn forget_idle(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        drop(idle);
    }

    /// Says goodbye on every idle connection.
    pub(super) async fn quit_all(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        quit(idle).await;
    }

    /// Says goodbye on what idles too long.
    pub(super) async fn quit_stale(&self) {
        let stale: Vec<Idle> = {
            let mut state = self.lock();
            let limit = state.idle_limit();
            state.idle.extract_if(.., |idle| idle.since.elapsed() >= limit).collect()
        };
        quit(stale).await;
    }

    fn next(&self, settings: &Smtp) -> Next {
        if let Some(lent) = self.take(settings) {
            return Next::Use(lent);
        }
        let mut state = self.lock();
        let now = Instant::now();
        if state.max.is_some_and(|max| state.permits >= max) {
            return Next::Wait(None);
        }
        if state.permits - state.open >= state.line.len() {
            // As many are being opened already as mails wait: one of those is for this mail.
            return Next::Wait(None);
        }
        match state.capacity.opens_at(state.permits, now) {
            Some(at) if at <= now => {
                state.permits += 1;
                Next::Open(Permit { pool: Arc::downgrade(&self.0), is_open: false })
            }
            at => Next::Wait(at),
        }
    }

    /// The connection that was used last, if it was opened with these settings and the server has not hung up.
    fn take(&self, settings: &Smtp) -> Option<Lent> {
        loop {
            let (candidate, limit) = {
                let mut state = self.lock();
                (state.idle.pop()?, state.idle_limit())
            };
            let Idle { mut lent, settings: opened_with, since } = candidate;
            // Others are dropped here, out of the lock, which the end of a permit takes too.
            if opened_with == *settings && since.elapsed() < limit && lent.connection.is_silent() {
                return Some(lent);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    fn is_over_max(&self) -> bool {
        self.max.is_some_and(|max| self.permits > max)
    }

    fn idle_limit(&self) -> Duration {
        if self.capacity.known().is_some() { SCARCE_IDLE_LIMIT } else { IDLE_LIMIT }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade().map(Pool) else { return };
        let mut state = pool.lock();
        state.permits -= 1;
        state.open -= usize::from(self.is_open);
        drop(state);
        pool.0.freed.notify_one();
    }
}

async fn quit(idle: Vec<Idle>) {
    futures::future::join_all(idle.into_iter().map(|Idle { lent: Lent { connection, permit, .. }, .. }| async move {
        connection.quit().await;
        drop(permit);
    }))
    .await;
}
