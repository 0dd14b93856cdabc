//! A worker server: starts the loops below, in this order, and stops them in the reverse one.
//!
//! - settler: writes settlements
//! - heartbeat: extends leases, publishes what this server does
//! - subscriber: receives wake-ups and cancellations
//! - recoverer, forwarder, janitor: what happens to tasks without a worker's doing
//! - ended, drain: what is said of this server and of others
//! - processor: takes tasks and runs the handler
//!
//! Does not restart a loop: none of them ends before it is stopped.

mod attempt;
mod choice;
mod drain;
mod ended;
mod forwarder;
mod heartbeat;
mod held;
mod janitor;
mod processor;
mod queues;
mod recoverer;
mod running;
mod settler;
mod shared;
mod subscriber;
mod wake;

use crate::{broker::Broker, connection::Connection, handler::Handler, settings::Settings};
use running::Attempt;
use settler::{Outcome, Settlement};
use shared::{Shared, changed};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinHandle},
    time::Instant,
};
use tokio_util::sync::DropGuard;

/// After the grace period handlers are cancelled, and aborted when they have not returned after this one.
const CANCELLED_GRACE: Duration = Duration::from_secs(2);
/// How long the last settlements may take to be written when the grace period is over, and aborted handlers to be gone.
const LAST_WRITES_GRACE: Duration = Duration::from_secs(2);

/// A running worker server. Dropping it without [`Server::shutdown`] stops its loops and leaves running tasks to
/// recovery.
pub struct Server {
    shared: Arc<Shared>,
    shutdown_grace: Duration,
    processor: JoinHandle<()>,
    settler: JoinHandle<()>,
    loops: Vec<JoinHandle<()>>,
    _quit_on_drop: DropGuard,
    _stop_on_drop: DropGuard,
}

/// What a shutdown did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Handlers that returned between the call and the end of the shutdown.
    pub finished: usize,
    /// Tasks handed back to pending without using up a retry.
    pub requeued: usize,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.shared.server_id)
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server on the current tokio runtime. It takes tasks as soon as Redis answers, and follows `settings`
    /// live.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        connection: Connection,
        settings: watch::Receiver<Settings>,
        shutdown_grace: Duration,
        handler: impl Handler,
    ) -> Self {
        let (sender, settlements) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(Broker::new(connection), settings.clone(), sender));
        let handler = Arc::new(handler);
        let settler = tokio::spawn(settler::run(Arc::clone(&shared), settlements));
        let loops = vec![
            tokio::spawn(heartbeat::run(Arc::clone(&shared))),
            tokio::spawn(subscriber::run(Arc::clone(&shared))),
            tokio::spawn(recoverer::run(Arc::clone(&shared))),
            tokio::spawn(forwarder::run(Arc::clone(&shared))),
            tokio::spawn(janitor::run(Arc::clone(&shared))),
            tokio::spawn(ended::run(Arc::clone(&shared), Arc::clone(&handler))),
            tokio::spawn(drain::run(Arc::clone(&shared))),
        ];
        let processor = tokio::spawn(processor::run(Arc::clone(&shared), settings, handler));
        Self {
            _quit_on_drop: shared.quit.clone().drop_guard(),
            _stop_on_drop: shared.stop_taking.clone().drop_guard(),
            shared,
            shutdown_grace,
            processor,
            settler,
            loops,
        }
    }

    /// Its random id, as [`crate::ServerInfo`] shows it.
    pub fn id(&self) -> &str {
        &self.shared.server_id
    }

    /// `<host>:<pid>:<id>`, as [`crate::ServerInfo::identity`] gives it. No other server, and no later one of the same
    /// process, pod or container, has the same.
    pub fn identity(&self) -> String {
        self.shared.identity()
    }

    /// Takes no more tasks; running ones go on. Cannot be undone.
    pub fn stop_taking(&self) {
        self.shared.stop_taking.cancel();
    }

    /// Handlers running now.
    pub fn running(&self) -> usize {
        self.shared.running_handlers()
    }

    /// True while Redis answers.
    pub fn healthy(&self) -> bool {
        self.shared.broker.connection().number().is_some()
    }

    /// Takes no more tasks and lets running ones finish and be settled within the grace period. Then cancels those that
    /// still run and, two seconds later, aborts and requeues them. Requeues what never started. Blocking code cannot be
    /// aborted: its task is left to recovery.
    pub async fn shutdown(self) -> ShutdownReport {
        let before = self.shared.handlers_ended();
        self.stop_taking();
        let _ = self.processor.await;
        let grace_over = Instant::now() + self.shutdown_grace;
        if !self.shared.handlers_gone(grace_over).await {
            self.shared.running.cancel_all();
            self.shared.handlers_gone(Instant::now() + CANCELLED_GRACE).await;
        }
        let finished = self.shared.handlers_ended() - before;
        abort_and_requeue(&self.shared).await;
        self.shared.close_settler();
        let mut settler = self.settler;
        // What is left of the grace period serves the settlements: a task whose success is not written runs again.
        let written_by = grace_over.max(Instant::now() + LAST_WRITES_GRACE);
        if tokio::time::timeout_at(written_by, &mut settler).await.is_err() {
            tracing::warn!(
                left = self.shared.running.len(),
                "results not written before the end, their tasks will be recovered"
            );
            settler.abort();
        }
        self.shared.quit.cancel();
        futures::future::join_all(self.loops).await;
        if let Err(error) = self.shared.broker.clear_server(&self.shared.identity()).await {
            self.shared.log_failure("failed to remove the heartbeat", &error);
        }
        ShutdownReport { finished, requeued: self.shared.requeued() }
    }
}

/// Ends handlers that did not heed their cancellation and hands their tasks back, unless they cannot be ended.
async fn abort_and_requeue(shared: &Shared) {
    let left = shared.running.unfinished();
    left.iter().flat_map(|attempt| &attempt.abort).for_each(AbortHandle::abort);
    let is_gone = |attempt: &Attempt| attempt.abort.as_ref().is_none_or(AbortHandle::is_finished);
    let deadline = Instant::now() + LAST_WRITES_GRACE;
    while !left.iter().all(is_gone) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = shared.broker.now();
    for attempt in left {
        if is_gone(&attempt) && shared.running.is_unended(attempt.held.number) {
            let outcome = Outcome::Requeue;
            shared.settle(Settlement { held: attempt.held, ended, outcome, refused_since: None });
        }
    }
}
