//! The pool of the server that the settings name.
//!
//! Takes: the settings of each mail, and the bound of this process. Gives: the pool, a new one for another server:
//! what one server takes says nothing of the next. Tells metrics, log and the worker's settings how many connections
//! that are. Does not: lend any itself.

use super::pool::Pool;
use parking_lot::{Mutex, MutexGuard};
use pipeline::document::Smtp;
use std::time::Duration;
use tokio::sync::watch;

/// How often idle connections are looked at, and what was learnt is told.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Current {
    host: String,
    port: u16,
    pool: Pool,
    max: Option<usize>,
}

/// The pools of one process, of which one is in use.
#[derive(Default)]
pub(super) struct Pools {
    current: Mutex<Current>,
    allowed: watch::Sender<Option<usize>>,
}

impl Pools {
    /// The pool of the server of these settings.
    pub(super) fn of(&self, settings: &Smtp) -> Pool {
        let mut current = self.lock();
        if (current.host.as_str(), current.port) != (settings.host.as_str(), settings.port) {
            let pool = Pool::default();
            pool.set_max(current.max);
            // Whoever still uses the one before keeps it until its mail is through.
            current.pool.forget_idle();
            *current = Current { host: settings.host.clone(), port: settings.port, pool, max: current.max };
        }
        current.pool.clone()
    }

    /// Bounds the connections of this process; `None`: no bound but the server's.
    pub(super) fn set_max(&self, max: Option<usize>) {
        let pool = {
            let mut current = self.lock();
            current.max = max;
            current.pool.clone()
        };
        pool.set_max(max);
        self.tell_allowed(&pool);
    }

    /// True: for each connection another mail waits, so the next ones have time.
    pub(super) fn has_next_mails(&self) -> bool {
        self.lock().pool.has_next_mails()
    }

    /// As many connections as the server takes; `None`: no limit was met.
    pub(super) fn known(&self) -> Option<usize> {
        self.lock().pool.known()
    }

    /// Follows how many connections the server takes, or may be given; `None`: no limit is known.
    pub(super) fn allowed(&self) -> watch::Receiver<Option<usize>> {
        self.allowed.subscribe()
    }

    /// Says goodbye on every idle connection.
    pub(super) async fn quit_all(&self) {
        let pool = self.lock().pool.clone();
        pool.quit_all().await;
    }

    /// Keeps house; runs until dropped.
    pub(super) async fn run(&self) {
        let (mut tick, mut learnt) = (tokio::time::interval(INTERVAL), None);
        loop {
            tick.tick().await;
            let pool = self.lock().pool.clone();
            self.tell(&pool, &mut learnt);
            pool.quit_stale().await;
        }
    }

    fn tell(&self, pool: &Pool, learnt: &mut Option<usize>) {
        let known = pool.known();
        if let Some(connections) = known.filter(|_| known != *learnt) {
            let plural = if connections == 1 { "" } else { "s" };
            tracing::info!(connections, "the mail server takes {connections} connection{plural} at once");
        }
        *learnt = known;
        self.tell_allowed(pool);
    }

    fn tell_allowed(&self, pool: &Pool) {
        let allowed = pool.allowed();
        if self.allowed.send_if_modified(|told| std::mem::replace(told, allowed) != allowed) {
            let gauge = metrics::gauge!("signup_mail_connections_allowed");
            gauge.set(allowed.map_or(f64::INFINITY, |allowed| allowed as f64));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock()
    }
}
