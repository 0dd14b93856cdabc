//! Whether this server shall take no tasks for a while, because a [`crate::Supervisor`] chose it to be stopped.
//!
//! Takes: the mark in Redis; a message wakes, and a poll covers lost ones. Gives: [`Drain`], which the processor heeds
//! and confirms, and which the heartbeat publishes at once. A mark ends with its time, also while Redis is silent.
//! Does not: stop the server, or touch tasks that run.

use super::Shared;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// The longest sleep.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after an error.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Where a drain stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Tasks are taken.
    #[default]
    Taking,
    /// No more shall be taken; a dequeue may still be under way.
    Asked,
    /// None is taken any more.
    Confirmed,
}

/// The drain of one server.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    stage: Mutex<Stage>,
    publish: Notify,
}

impl Drain {
    /// True: no task may be taken.
    pub(crate) fn is_asked(&self) -> bool {
        *self.stage.lock() != Stage::Taking
    }

    /// True: no task is taken any more, so that those that run are the last.
    pub(crate) fn is_confirmed(&self) -> bool {
        *self.stage.lock() == Stage::Confirmed
    }

    /// The processor has no dequeue under way.
    pub(crate) fn confirm(&self) {
        let mut stage = self.stage.lock();
        if *stage == Stage::Asked {
            *stage = Stage::Confirmed;
            self.publish.notify_one();
        }
    }

    /// Something changed that others wait for: the last task of a drained server has ended.
    pub(crate) fn became_idle(&self) {
        if self.is_confirmed() {
            self.publish.notify_one();
        }
    }

    /// Waits until a heartbeat is due before its time.
    pub(crate) async fn for_heartbeat(&self) {
        self.publish.notified().await;
    }

    /// True when that changed something.
    fn ask(&self, asked: bool) -> bool {
        let mut stage = self.stage.lock();
        if asked == (*stage != Stage::Taking) {
            return false;
        }
        *stage = if asked { Stage::Asked } else { Stage::Taking };
        if !asked {
            self.publish.notify_one();
        }
        true
    }
}

/// Runs until the server's loops end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ends = None;
    loop {
        let pause = match shared.broker.drain_of(&shared.identity(), shared.broker.now()).await {
            Ok(left) => {
                ends = left.map(|left| Instant::now() + left);
                POLL_INTERVAL
            }
            Err(error) => {
                shared.log_failure("failed to ask whether to drain", &error);
                BACK_OFF
            }
        };
        let lasts = ends.is_some_and(|ends| ends > Instant::now());
        if shared.drain.ask(lasts) {
            tracing::info!("{}", if lasts { "asked to take no more tasks" } else { "free to take tasks again" });
            shared.wake.slot_freed();
        }
        let next = Instant::now() + pause;
        let next = ends.filter(|_| lasts).map_or(next, |ends| ends.min(next));
        tokio::select! {
            () = shared.quit.cancelled() => return,
            () = shared.wake.for_drain() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}
