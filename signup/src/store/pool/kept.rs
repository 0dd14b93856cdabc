//! Connections between two statements that follow each other closely.
//!
//! Takes: a connection whose statement was answered to its end. Gives: it to the next such statement, as it is. Does
//! not: keep one from anybody who waits for the pool, keep one that a statement failed on or was given up on, or keep
//! one for long: within [`MAX_AGE`] it is back in the pool, which tests it.
//!
//! Why: each return to the pool is two round trips that test the connection, ours and the driver's own. After a
//! statement that was answered to its end they find nothing out. For the two statements of a mail that is four round
//! trips of six.

use super::Server;
use parking_lot::Mutex;
use sqlx::{Postgres, pool::PoolConnection};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{runtime::Handle, time::Instant};

/// How long a connection waits for the next statement: less than the idle time after which the pool tests one.
const MAX_IDLE: Duration = Duration::from_millis(100);

/// How long a connection goes from statement to statement before the pool tests it.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The connections that wait for the next statement. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// How many wait for the pool; as long as there are some, nothing is kept.
    waiting: usize,
    /// A task gives back what idles.
    is_tended: bool,
}

struct Idle {
    loan: Loan,
    since: Instant,
}

/// A connection on its way from statement to statement; dropped, it goes back to the pool.
pub(super) struct Loan {
    pub(super) connection: PoolConnection<Postgres>,
    /// No later than the pool gave it.
    since: Instant,
}

impl Loan {
    /// `since` is the moment before the pool was asked for it.
    pub(super) fn new(connection: PoolConnection<Postgres>, since: Instant) -> Self {
        Self { connection, since }
    }
}

impl Kept {
    /// The connection that was used last; those of a server that is another one meanwhile go back to be closed.
    pub(super) fn take(&self, server: &Server) -> Option<Loan> {
        loop {
            let Idle { loan, .. } = self.0.lock().idle.pop()?;
            if !server.is_stale(loan.since.elapsed()) {
                return Some(loan);
            }
        }
    }

    /// Keeps a connection whose statement was answered to its end. Needs a Tokio runtime.
    pub(super) fn give_back(&self, loan: Loan) {
        let mut state = self.0.lock();
        if state.waiting > 0 || loan.since.elapsed() >= MAX_AGE {
            // The pool has locks of its own.
            drop(state);
            return;
        }
        state.idle.push(Idle { loan, since: Instant::now() });
        if !std::mem::replace(&mut state.is_tended, true) {
            tokio::spawn(tend(Arc::downgrade(&self.0)));
        }
    }

    /// Lets somebody wait for the pool; one that has nothing idle gets one of these back.
    pub(super) fn wait(&self, pool_is_empty: bool) -> Waiting {
        let given_back = {
            let mut state = self.0.lock();
            state.waiting += 1;
            if pool_is_empty { state.idle.pop() } else { None }
        };
        drop(given_back);
        Waiting(self.clone())
    }

    /// Gives all of them back.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut self.0.lock().idle);
        drop(idle);
    }
}

/// Gives back what idles, until nothing does.
async fn tend(kept: Weak<Mutex<State>>) {
    loop {
        tokio::time::sleep(MAX_IDLE).await;
        let Some(kept) = kept.upgrade() else { return };
        let mut state = kept.lock();
        let idle: Vec<_> = state.idle.extract_if(.., |idle| idle.since.elapsed() >= MAX_IDLE).collect();
        state.is_tended = !state.idle.is_empty();
        let is_done = !state.is_tended;
        drop(state);
        drop(idle);
        if is_done {
            return;
        }
    }
}

/// Somebody waits for the pool until this is dropped.
pub(super) struct Waiting(Kept);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.lock().waiting -= 1;
    }
}

impl Drop for State {
    /// Without a runtime, which may have ended before the last clone of the store, nothing can go back to the pool.
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            for Idle { loan, .. } in self.idle.drain(..) {
                drop(loan.connection.detach());
            }
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
