//! What the loops of one server share: who it is, what it runs, when it stops.

use super::{
    drain::Drain,
    queues::Queues,
    running::Running,
    settler::{Outcome, Settlement},
    wake::Wake,
};
use crate::{broker::Broker, clock::Now, error::Error, random::Random, settings::Settings};
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The same failure is logged at most this often.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(3);

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) settings: watch::Receiver<Settings>,
    pub(crate) queues: Queues,
    pub(crate) running: Running,
    pub(crate) wake: Wake,
    pub(crate) drain: Drain,
    /// No more tasks are taken.
    pub(crate) stop_taking: CancellationToken,
    /// All loops end.
    pub(crate) quit: CancellationToken,
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) server_id: String,
    pub(crate) started: Now,
    /// `None` once the settler shall end.
    settlements: Mutex<Option<mpsc::UnboundedSender<Settlement>>>,
    handlers: AtomicUsize,
    handlers_ended: AtomicUsize,
    handler_gone: Notify,
    requeued: AtomicUsize,
    numbers: AtomicU64,
    random: Mutex<Random>,
    last_failure: Mutex<Option<LoggedFailure>>,
}

/// What was logged last, and when.
struct LoggedFailure {
    what: &'static str,
    at: Instant,
}

impl Shared {
    pub(crate) fn new(
        broker: Broker,
        settings: watch::Receiver<Settings>,
        settlements: mpsc::UnboundedSender<Settlement>,
    ) -> Self {
        Self {
            started: broker.now(),
            broker,
            settings,
            queues: Queues::default(),
            running: Running::default(),
            wake: Wake::default(),
            drain: Drain::default(),
            stop_taking: CancellationToken::new(),
            quit: CancellationToken::new(),
            host: host_name(),
            pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            server_id: uuid::Uuid::new_v4().to_string(),
            settlements: Mutex::new(Some(settlements)),
            handlers: AtomicUsize::new(0),
            handlers_ended: AtomicUsize::new(0),
            handler_gone: Notify::new(),
            requeued: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            random: Mutex::new(Random::from_system()),
            last_failure: Mutex::new(None),
        }
    }

    /// `<host>:<pid>:<id>`, as asynq's keys spell it.
    pub(crate) fn identity(&self) -> String {
        format!("{}:{}:{}", self.host, self.pid, self.server_id)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn handler_started(&self) {
        self.handlers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handler_ended(&self) {
        self.handlers_ended.fetch_add(1, Ordering::Relaxed);
        if self.handlers.fetch_sub(1, Ordering::Release) == 1 {
            self.drain.became_idle();
        }
        self.handler_gone.notify_waiters();
        self.wake.slot_freed();
    }

    pub(crate) fn running_handlers(&self) -> usize {
        self.handlers.load(Ordering::Acquire)
    }

    pub(crate) fn handlers_ended(&self) -> usize {
        self.handlers_ended.load(Ordering::Relaxed)
    }

    /// Waits until no handler runs; false when one still does at `deadline`.
    pub(crate) async fn handlers_gone(&self, deadline: Instant) -> bool {
        loop {
            let gone = self.handler_gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.running_handlers() == 0 {
                return true;
            }
            if tokio::time::timeout_at(deadline, gone).await.is_err() {
                return self.running_handlers() == 0;
            }
        }
    }

    /// Hands a settlement to the settler.
    pub(crate) fn settle(&self, settlement: Settlement) {
        if matches!(settlement.outcome, Outcome::Requeue) {
            self.requeued.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(settlements) = &*self.settlements.lock() {
            // The settler ends only after the sender is gone, so this is received.
            let _ = settlements.send(settlement);
        }
    }

    /// Lets the settler end once everything handed to it is written.
    pub(crate) fn close_settler(&self) {
        self.settlements.lock().take();
    }

    pub(crate) fn requeued(&self) -> usize {
        self.requeued.load(Ordering::Relaxed)
    }

    /// The policy's delay after a failure that follows `retried` earlier ones.
    pub(crate) fn retry_delay(&self, retried: u32) -> Duration {
        let random = self.random.lock().next();
        self.settings.borrow().retry.delay(retried, random)
    }

    /// A random part of a span, for what many servers should not do at once.
    pub(crate) fn random_part_of(&self, span: Duration) -> Duration {
        Duration::from_millis(self.random.lock().below(span.as_millis() as u64))
    }

    /// Logs a failure of Redis, but not over and over while it lasts.
    pub(crate) fn log_failure(&self, what: &'static str, error: &Error) {
        let now = Instant::now();
        let mut last = self.last_failure.lock();
        let is_repeated =
            last.as_ref().is_some_and(|last| last.what == what && now.duration_since(last.at) < FAILURE_LOG_INTERVAL);
        if !is_repeated {
            *last = Some(LoggedFailure { what, at: now });
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(error = %error, cause, "{what}");
        }
    }
}

/// Waits for other settings; for ever when their sender is gone.
pub(crate) async fn changed(settings: &mut watch::Receiver<Settings>) {
    if settings.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The machine's name; in Kubernetes the pod's. asynq's word when there is none.
fn host_name() -> String {
    let name = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty() && !name.contains(['{', '}']));
    name.unwrap_or_else(|| "unknown-host".to_owned())
}
