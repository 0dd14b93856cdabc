//! The lease on one intent, while its mail is being sent.
//!
//! Takes: what `Store::lease` gave. Gives: extensions in the background, and the answer to "is it still mine?" without a round
//! trip. Does not: trust the local wall clock: the end is counted on the monotonic clock from before the question was asked,
//! so it is never later than the database's. A process that was stopped for a while (SIGSTOP) sees it over.
//!
//! A machine that was suspended does not: its monotonic clock stood still. Until the next extension is refused, the lease
//! seems to be ours although somebody else may have the next one, so a mail that is handed over in this time can go out twice.
//! Both are the same copy (I6), and ours is not recorded (I10).

use signup::Store;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
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
    /// How much of it must be left to hand over a mail: more than a pause between the check and the write usually takes.
    pub spare: Duration,
    /// How long one answer of the database is awaited: short enough to ask again, on another connection, before the lease ends.
    pub answer: Duration,
    /// How long the result of a mail that is out is offered to a database that does not answer.
    pub record_patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            extend_every: Duration::from_secs(8),
            spare: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            record_patience: Duration::from_secs(120),
        }
    }
}

/// One lease; dropped, it runs out by itself.
pub(crate) struct Lease {
    store: Store,
    pub(crate) id: Uuid,
    pub(crate) epoch: i64,
    timing: Timing,
    until: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    /// `asked` is the moment before the database was asked; `lost` is cancelled when the lease turns out to be lost.
    pub(crate) fn new(
        store: Store,
        (id, epoch): (Uuid, i64),
        timing: Timing,
        asked: Instant,
        lost: CancellationToken,
    ) -> Self {
        Self { store, id, epoch, timing, until: Mutex::new(asked + timing.lease), lost }
    }

    /// True: nobody else can hold it for at least the spare time to come.
    pub(crate) fn is_mine(&self) -> bool {
        !self.lost.is_cancelled() && self.until() > Instant::now() + self.timing.spare
    }

    /// Extends the lease again and again; never returns. Stops trying, and cancels `lost`, when the database says no or the
    /// lease has run out before the database answered.
    pub(crate) async fn keep(&self) {
        let mut asked = Instant::now();
        while !self.lost.is_cancelled() {
            tokio::time::sleep_until(asked + self.timing.extend_every).await;
            asked = Instant::now();
            let extending = self.store.extend_lease(self.id, self.epoch, self.timing.lease);
            match tokio::time::timeout(self.timing.answer, extending).await {
                Ok(Ok(true)) => *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.timing.lease,
                Ok(Ok(false)) => self.lost.cancel(),
                Ok(Err(_)) | Err(_) if self.until() <= Instant::now() => self.lost.cancel(),
                Ok(Err(error)) => tracing::debug!(intent.id = %self.id, %error, "lease not extended yet"),
                Err(_) => tracing::debug!(intent.id = %self.id, "lease not extended yet, the database is silent"),
            }
        }
        std::future::pending::<()>().await;
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
