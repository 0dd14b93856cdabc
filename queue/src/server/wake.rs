//! What makes the loops look before their timers say so: a queue got tasks, a task is due earlier than known, a slot is free.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Signals to the dispatcher and the forwarder. Signals given while nobody waits are kept.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    queues: Mutex<News>,
    dispatcher: Notify,
    due_ms: Mutex<Option<i64>>,
    forwarder: Notify,
}

/// Queues that may have got tasks since the last look.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) all: bool,
    pub(crate) queues: HashSet<String>,
}

impl Wake {
    /// The queue may have got tasks.
    pub(crate) fn pending(&self, queue: &str) {
        let mut news = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !news.queues.contains(queue) {
            news.queues.insert(queue.to_owned());
        }
        drop(news);
        self.dispatcher.notify_one();
    }

    /// Any queue may have got tasks, for example while nobody listened.
    pub(crate) fn all(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).all = true;
        self.dispatcher.notify_one();
        self.forwarder.notify_one();
    }

    /// The dispatcher's situation changed in another way.
    pub(crate) fn slot_freed(&self) {
        self.dispatcher.notify_one();
    }

    /// A task is due at `ms` (Unix time, milliseconds).
    pub(crate) fn due(&self, ms: i64) {
        let mut due = self.due_ms.lock().unwrap_or_else(PoisonError::into_inner);
        *due = Some(due.map_or(ms, |known| known.min(ms)));
        drop(due);
        self.forwarder.notify_one();
    }

    pub(crate) fn take_news(&self) -> News {
        std::mem::take(&mut *self.queues.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn take_due(&self) -> Option<i64> {
        self.due_ms.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) async fn for_dispatcher(&self) {
        self.dispatcher.notified().await;
    }

    pub(crate) async fn for_forwarder(&self) {
        self.forwarder.notified().await;
    }
}
