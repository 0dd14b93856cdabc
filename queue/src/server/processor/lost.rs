//! Dequeues whose reply never came.
//!
//! Takes: the queue and token of such a dequeue. Gives: what the dispatcher remembers of it. Does not: reclaim
//! anything.

use crate::{error::Error, server::queues::Queue};
use std::{collections::HashSet, sync::Arc};
use tokio::time::Instant;

/// The tasks of a dequeue without a reply are reclaimed at most this often, a poll interval apart.
const MAX_RECLAIMS: u32 = 10;

/// A dequeue that got no reply. Its tasks are ours, but unknown to us; and it may reach Redis even after the first
/// reclaim, with the last bytes of the old connection. What happens to it:
///
/// 1. No reply: it is put into `Dispatcher::lost`, to be reclaimed before the next dequeue.
/// 2. The reclaim finds tasks: they start under leases extended just now, and it leaves `lost`.
/// 3. The reclaim finds none or is refused: reclaimed again a poll interval later, [`MAX_RECLAIMS`] times in all.
/// 4. The reclaim gets no answer: it stays as it is, and nothing is dequeued, because Redis is away; on a cluster from
///    this queue, because its node is.
/// 5. The server stops: reclaimed a last time at once; `attempt::start` hands the tasks back.
pub(super) struct Lost {
    pub(super) queue: Arc<Queue>,
    pub(super) token: Arc<str>,
    pub(super) next_reclaim: Instant,
    pub(super) reclaims_left: u32,
    /// The node of a cluster did not answer the last reclaim.
    pub(super) is_away: bool,
}

impl Lost {
    pub(super) fn new(queue: Arc<Queue>, token: &Arc<str>) -> Self {
        let token = Arc::clone(token);
        Self { queue, token, next_reclaim: Instant::now(), reclaims_left: MAX_RECLAIMS, is_away: false }
    }
}

/// Queues of a cluster whose node does not answer.
#[derive(Default)]
pub(super) struct Away {
    pub(super) queues: HashSet<String>,
    pub(super) failure: Option<Error>,
}
