//! The queues a server deals with: their keys and metrics, made once per name.

use crate::{keys::QueueKeys, settings::Settings};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// Keys and metrics of one queue. The only label is the queue's name.
pub(crate) struct Queue {
    /// Unique within this server.
    pub(crate) number: usize,
    pub(crate) keys: Arc<QueueKeys>,
    pub(crate) processed: metrics::Counter,
    pub(crate) failed: metrics::Counter,
    pub(crate) recovered: metrics::Counter,
    pub(crate) leases_lost: metrics::Counter,
    pub(crate) repaired: metrics::Counter,
    pub(crate) too_long: metrics::Counter,
    pub(crate) seconds: metrics::Histogram,
}

impl Queue {
    /// Tells that a task of so many bytes goes into the archive without a run.
    pub(crate) fn tell_too_long(&self, id: &str, bytes: u64) {
        self.too_long.increment(1);
        self.failed.increment(1);
        self.processed.increment(1);
        let name = &self.keys.name;
        tracing::error!(task.id = id, queue.name = name, bytes, "task archived unread, its payload is over the limit");
    }
}

/// All queues seen so far.
#[derive(Default)]
pub(crate) struct Queues {
    by_name: Mutex<HashMap<String, Arc<Queue>>>,
}

impl Queues {
    pub(crate) fn get(&self, name: &str) -> Arc<Queue> {
        let mut queues = self.by_name.lock();
        if let Some(queue) = queues.get(name) {
            return Arc::clone(queue);
        }
        let queue = Arc::new(Queue::new(name, queues.len()));
        queues.insert(name.to_owned(), Arc::clone(&queue));
        queue
    }

    /// The queues of the settings, paused ones and those of priority zero included: their tasks still fall due and
    /// expire.
    pub(crate) fn of(&self, settings: &Settings) -> Vec<Arc<Queue>> {
        settings.queues.iter().map(|queue| self.get(&queue.name)).collect()
    }
}

impl Queue {
    fn new(name: &str, number: usize) -> Self {
        let label = || name.to_owned();
        Self {
            number,
            keys: Arc::new(QueueKeys::new(name)),
            processed: metrics::counter!("queue_tasks_processed_total", "queue" => label()),
            failed: metrics::counter!("queue_tasks_failed_total", "queue" => label()),
            recovered: metrics::counter!("queue_tasks_recovered_total", "queue" => label()),
            leases_lost: metrics::counter!("queue_leases_lost_total", "queue" => label()),
            repaired: metrics::counter!("queue_entries_repaired_total", "queue" => label()),
            too_long: metrics::counter!("queue_tasks_too_long_total", "queue" => label()),
            seconds: metrics::histogram!("queue_task_duration_seconds", "queue" => label()),
        }
    }
}
