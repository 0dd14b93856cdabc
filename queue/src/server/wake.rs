//! What makes the loops poll before their timers say so: a queue got tasks, a task is due earlier than known, a slot is
//! free, something was said of a server.

use parking_lot::Mutex;
use std::collections::HashSet;
use tokio::sync::Notify;

/// Signals to the dispatcher and the forwarder. Signals given while neither waits are kept.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    queues: Mutex<Woken>,
    dispatcher: Notify,
    due_ms: Mutex<Option<i64>>,
    forwarder: Notify,
    ended: Notify,
    drain: Notify,
}

/// Queues that may have got tasks since the last poll.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    pub(crate) all: bool,
    pub(crate) queues: HashSet<String>,
}

impl Wake {
    /// The queue may have got tasks.
    pub(crate) fn pending(&self, queue: &str) {
        let mut woken = self.queues.lock();
        if !woken.queues.contains(queue) {
            woken.queues.insert(queue.to_owned());
        }
        drop(woken);
        self.dispatcher.notify_one();
    }

    /// Any queue may have got tasks, for example while the subscription was lost.
    pub(crate) fn all(&self) {
        self.queues.lock().all = true;
        self.dispatcher.notify_one();
        self.forwarder.notify_one();
        self.ended.notify_one();
        self.drain.notify_one();
    }

    /// A server is said to have ended.
    pub(crate) fn ended(&self) {
        self.ended.notify_one();
    }

    /// The marks of servers that shall take no tasks have changed.
    pub(crate) fn drain(&self) {
        self.drain.notify_one();
    }

    /// The dispatcher's situation changed in another way.
    pub(crate) fn slot_freed(&self) {
        self.dispatcher.notify_one();
    }

    /// A task is due at `ms` (Unix time, milliseconds).
    pub(crate) fn due(&self, ms: i64) {
        let mut due = self.due_ms.lock();
        *due = Some(due.map_or(ms, |known| known.min(ms)));
        drop(due);
        self.forwarder.notify_one();
    }

    pub(crate) fn take_woken(&self) -> Woken {
        std::mem::take(&mut *self.queues.lock())
    }

    pub(crate) fn take_due(&self) -> Option<i64> {
        self.due_ms.lock().take()
    }

    pub(crate) async fn for_dispatcher(&self) {
        self.dispatcher.notified().await;
    }

    pub(crate) async fn for_forwarder(&self) {
        self.forwarder.notified().await;
    }

    pub(crate) async fn for_ended(&self) {
        self.ended.notified().await;
    }

    pub(crate) async fn for_drain(&self) {
        self.drain.notified().await;
    }
}
