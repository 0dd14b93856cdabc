//! The attempts of this server that are not settled yet: for the heartbeat, which extends their leases; for cancel; for
//! the recoverer, which must not take them; and for the shutdown.

use super::held::Held;
use crate::clock::Now;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// One attempt, from its dequeue until its settlement is written.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) held: Arc<Held>,
    pub(crate) started: Now,
    pub(crate) ends: Now,
    pub(crate) cancelled: CancellationToken,
    /// By the local clock; no other server can hold the task before.
    pub(crate) lease_until: Instant,
    /// Of the handler's task, once it is spawned; none when the handler has returned.
    pub(crate) abort: Option<AbortHandle>,
}

/// All attempts by number.
#[derive(Default)]
pub(crate) struct Running {
    attempts: Mutex<HashMap<u64, Attempt>>,
}

impl Running {
    fn locked(&self) -> MutexGuard<'_, HashMap<u64, Attempt>> {
        self.attempts.lock()
    }

    pub(crate) fn insert(&self, attempt: Attempt) {
        self.locked().insert(attempt.held.number, attempt);
    }

    pub(crate) fn set_abort(&self, number: u64, handle: AbortHandle) {
        if let Some(attempt) = self.locked().get_mut(&number) {
            attempt.abort = Some(handle);
        }
    }

    /// The handler has returned and its settlement is on the way.
    pub(crate) fn ended(&self, number: u64) {
        if let Some(attempt) = self.locked().get_mut(&number) {
            attempt.abort = None;
        }
    }

    /// The handler has not returned; it may have been aborted.
    pub(crate) fn is_unended(&self, number: u64) -> bool {
        self.locked().get(&number).is_some_and(|attempt| attempt.abort.is_some())
    }

    /// The attempt may take until another time than it seemed at its start.
    pub(crate) fn ends_at(&self, number: u64, ends: Now) {
        if let Some(attempt) = self.locked().get_mut(&number) {
            attempt.ends = ends;
        }
    }

    pub(crate) fn remove(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut attempts = self.locked();
        for number in numbers {
            attempts.remove(&number);
        }
    }

    /// True when this server holds the task, under whatever token.
    pub(crate) fn holds(&self, queue: &str, id: &str) -> bool {
        self.locked().values().any(|attempt| attempt.held.taken.id == id && attempt.held.queue.keys.name == queue)
    }

    /// Cancels the attempts at the task `id`, in whatever queue: the message on `asynq:cancel` does not say.
    pub(crate) fn cancel(&self, id: &str) {
        for attempt in self.locked().values().filter(|attempt| attempt.held.taken.id == id) {
            attempt.cancelled.cancel();
        }
    }

    pub(crate) fn cancel_all(&self) {
        self.locked().values().for_each(|attempt| attempt.cancelled.cancel());
    }

    pub(crate) fn all(&self) -> Vec<Attempt> {
        self.locked().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.locked().len()
    }

    /// Attempts whose handler has not returned.
    pub(crate) fn unfinished(&self) -> Vec<Attempt> {
        let is_unfinished = |attempt: &&Attempt| attempt.abort.as_ref().is_some_and(|abort| !abort.is_finished());
        self.locked().values().filter(is_unfinished).cloned().collect()
    }

    /// Attempts whose lease ends within `period`.
    pub(crate) fn lease_ends_within(&self, period: Duration) -> Vec<Attempt> {
        let limit = Instant::now() + period;
        self.locked().values().filter(|attempt| attempt.lease_until <= limit).cloned().collect()
    }

    pub(crate) fn extended(&self, number: u64, until: Instant) {
        if let Some(attempt) = self.locked().get_mut(&number) {
            attempt.lease_until = until;
        }
    }
}
