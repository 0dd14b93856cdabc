//! One Redis server, asked for all pipelines that have their queues there with the same login.
//!
//! Takes: which queues each pipeline has. Gives: a [`Reading`] to each when its queues changed, when a delayed task
//! comes into its look-ahead, and every `pollInterval`. Does not: decide anything.
//!
//! What is due is read in round trips of 50 queues, so that none waits for long behind others (`pipelines`). A pipeline
//! is read at most every 100 ms (`schedule`); what Redis tells names a queue and no database, so that with many
//! pipelines most are read in vain: reading those takes a tenth of the time at most (`pace`). Before them come
//! pipelines that a producer of ours named, and those with work for which it names none.

mod answered;
mod pipelines;

use self::{answered::Answered, pipelines::Pipelines};
use super::{backoff::Backoff, schedule::Interest};
use futures::FutureExt;
use parking_lot::Mutex;
use queue::{Question, QueueReading, Tracker, Untracked};
use std::{sync::Arc, time::Instant};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// What was read for one pipeline.
#[derive(Debug)]
pub(super) struct Reading {
    /// Its queues, or why none could be read.
    pub(super) queues: Result<Vec<(String, QueueReading)>, queue::Error>,
    /// Those that could not be read while others could.
    pub(super) unread: Vec<(String, queue::Error)>,
    /// Why Redis does not tell of changes.
    pub(super) untracked: Option<Untracked>,
    /// What was asked.
    pub(super) interest: Interest,
    /// When that was told, or came due, which made it be read.
    pub(super) since: Instant,
    /// When the answer came.
    pub(super) at: Instant,
}

/// A server, asked until this is dropped.
pub(super) struct Server {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

/// A pipeline's part in a server, until it is dropped.
pub(super) struct Subscription {
    server: Arc<Server>,
    id: u64,
    readings: watch::Receiver<Option<Arc<Reading>>>,
}

struct Shared {
    tracker: Tracker,
    pipelines: Mutex<Pipelines>,
    asked: Notify,
}

impl Server {
    pub(super) fn start(tracker: Tracker) -> Self {
        let shared = Arc::new(Shared { tracker, pipelines: Mutex::default(), asked: Notify::new() });
        let task = AbortOnDropHandle::new(tokio::spawn(run(Arc::clone(&shared))));
        Self { shared, _task: task }
    }

    pub(super) fn subscribe(self: Arc<Self>, interest: Interest) -> Subscription {
        let (sender, readings) = watch::channel(None);
        let mut pipelines = self.shared.pipelines.lock();
        let id = pipelines.subscribe(interest, sender);
        drop(pipelines);
        self.shared.asked.notify_one();
        Subscription { server: self, id, readings }
    }
}

impl Subscription {
    /// Asks for other queues from now on, if these are others.
    pub(super) fn ask(&self, interest: &Interest) {
        let is_news = self.server.shared.pipelines.lock().ask(self.id, interest);
        if is_news {
            self.server.shared.asked.notify_one();
        }
    }

    /// The newest reading.
    pub(super) fn latest(&mut self) -> Option<Arc<Reading>> {
        self.readings.borrow_and_update().clone()
    }

    /// Waits for another.
    pub(super) async fn next(&mut self) -> Option<Arc<Reading>> {
        // The sender is as old as this: the server keeps it until this is dropped.
        self.readings.changed().await.ok()?;
        self.latest()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.server.shared.pipelines.lock().leave(self.id);
    }
}

async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        // What is named comes before the rest of a long round.
        if let Some(heard) = shared.tracker.changed().now_or_never() {
            shared.pipelines.lock().hear(&heard);
        }
        let now = Instant::now();
        let (due, next) = shared.pipelines.lock().due(now);
        if due.is_empty() {
            tokio::select! {
                heard = shared.tracker.changed() => shared.pipelines.lock().hear(&heard),
                () = shared.asked.notified() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
            continue;
        }
        let questions: Vec<Question> = due.iter().flat_map(|due| due.interest.questions()).collect();
        let answers = shared.tracker.read(&questions).await.and_then(Answered::of);
        metrics::histogram!("signup_operator_redis_read_seconds").record(now.elapsed());
        let mut pipelines = shared.pipelines.lock();
        match answers {
            Ok(answers) => {
                backoff = Backoff::default();
                pipelines.deliver(due, answers, now);
            }
            Err(error) => pipelines.fall_silent(error, Instant::now() + backoff.next()),
        }
    }
}
