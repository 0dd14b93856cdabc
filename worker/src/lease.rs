//! The lease on one intent, while its mail is being sent.
//!
//! Takes: what `Store::lease` gave. Gives: the mail that is leased, extensions in the background, and the answer to
//! "is it still mine?" without a round trip. Does not: trust the local wall clock. The end is counted on the
//! monotonic clock from before the question was asked, so it is never later than the database's; a process that was
//! stopped for a while (SIGSTOP) finds its lease over.
//!
//! A machine that was suspended does not: its monotonic clock stood still. Until the next extension is refused, the
//! lease seems to be ours although another worker may have the next one, so a mail that is handed over in this time
//! can go out twice. Both are the same copy (I6), and ours is not recorded (I10).

use parking_lot::Mutex;
use signup::{Leased, Store};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Lengths of a lease and its upkeep.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a lease lasts without extension.
    pub lease: Duration,
    /// How often it is extended: three tries before it ends.
    pub extend_every: Duration,
    /// How much of it must be left to hand over a mail: more than a pause between the check and the write usually
    /// takes.
    pub spare: Duration,
    /// How long one answer of the database is awaited: short enough to ask again, on another connection, before the
    /// lease ends.
    pub answer: Duration,
    /// How long a key that this process does not have may still be on its way: kubelet writes a changed Secret within
    /// about a minute.
    pub missing_key: Duration,
    /// How long the result of a mail that is out is offered to a database that does not answer.
    pub record_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            extend_every: Duration::from_secs(8),
            spare: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            missing_key: Duration::from_secs(60),
            record_timeout: Duration::from_secs(120),
        }
    }
}

/// The lease on one mail, and the mail; dropped, it runs out by itself.
pub(crate) struct Lease {
    /// What is leased: the mail, and the epoch that records of its result carry.
    pub(crate) mail: Box<Leased>,
    store: Store,
    timing: Timing,
    until: Mutex<Instant>,
    stop: CancellationToken,
}

impl Lease {
    /// `asked` is the moment before the database was asked. `stop` ends the attempt: it is cancelled here when the
    /// lease turns out to be lost, and by its owner for any other reason.
    pub(crate) fn new(
        mail: Box<Leased>,
        store: Store,
        timing: Timing,
        asked: Instant,
        stop: CancellationToken,
    ) -> Self {
        Self { mail, store, timing, until: Mutex::new(asked + timing.lease), stop }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.mail.intent.id
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.mail.epoch
    }

    /// Cancelled when the attempt has to end: the lease is lost, or the task is cancelled.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// True: the mail may be handed over. The attempt goes on, and no other worker can get the lease for at least the
    /// spare time to come.
    pub(crate) fn is_mine(&self) -> bool {
        !self.stop.is_cancelled() && self.until() > Instant::now() + self.timing.spare
    }

    /// Extends the lease again and again; never returns. Stops trying, and cancels `stop`, when the database says no
    /// or the lease has run out before the database answered.
    pub(crate) async fn keep(&self) {
        let mut asked = Instant::now();
        while !self.stop.is_cancelled() {
            tokio::time::sleep_until(asked + self.timing.extend_every).await;
            asked = Instant::now();
            let extending = self.store.extend_lease(self.id(), self.epoch(), self.timing.lease);
            match tokio::time::timeout(self.timing.answer, extending).await {
                Ok(Ok(true)) => *self.until.lock() = asked + self.timing.lease,
                Ok(Ok(false)) => self.stop.cancel(),
                Ok(Err(_)) | Err(_) if self.until() <= Instant::now() => self.stop.cancel(),
                Ok(Err(error)) => tracing::debug!(intent.id = %self.id(), %error, "lease not extended yet"),
                Err(_) => tracing::debug!(intent.id = %self.id(), "lease not extended yet, the database is silent"),
            }
        }
        std::future::pending::<()>().await;
    }

    fn until(&self) -> Instant {
        *self.until.lock()
    }
}
