//! A task that this server dequeued and has to settle. Values only.

use super::queues::Queue;
use crate::broker::{Lease, Taken};
use std::sync::Arc;

/// One dequeued task, shared by its attempt and its settlement.
pub(crate) struct Held {
    /// Unique within this server.
    pub(crate) number: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) taken: Taken,
    /// The fencing token of its dequeue.
    pub(crate) token: Arc<str>,
}

impl Held {
    /// What entitles this server to write the task back.
    pub(crate) fn lease(&self) -> Lease<'_> {
        Lease { id: &self.taken.id, token: &self.token }
    }
}
