//! Stops taking tasks while the mail server is down.
//!
//! Takes: whether each dialogue found a working relay. Gives: how many tasks may be taken: all, one (the probe) or
//! none. Does not: take, delay or fail anything itself; while it is open, tasks simply stay in Redis and nothing is
//! used up.
//!
//! ```text
//! closed --5 failures in a row--> open --10 to 60 s--> probing --works--> closed
//!                                  ^                      |
//!                                  +-------fails----------+
//! ```

use parking_lot::Mutex;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// Bounds of the wait before a probe; random in between, so that many workers do not probe together.
pub(crate) const PROBE_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// How many tasks may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// As many as configured.
    All,
    /// One at a time: it finds out whether the server is back.
    Probe,
    /// None.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

/// The breaker of one mail server.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    allowance: watch::Sender<Allowance>,
    /// Gives a duration between two bounds; random in production.
    wait: fn(Duration, Duration) -> Duration,
}

impl Breaker {
    /// Starts closed. `wait` chooses the time to the next probe between two bounds.
    pub fn new(wait: fn(Duration, Duration) -> Duration) -> Self {
        Self { state: Mutex::new(State::Closed { failures: 0 }), allowance: watch::Sender::new(Allowance::All), wait }
    }

    /// Follows the allowance.
    pub fn subscribe(&self) -> watch::Receiver<Allowance> {
        self.allowance.subscribe()
    }

    /// True while no or only one task may be taken.
    pub fn is_open(&self) -> bool {
        *self.allowance.borrow() != Allowance::All
    }

    /// Records that a dialogue found the relay working, or not.
    pub(crate) fn record(&self, relay_works: bool) {
        let now = Instant::now();
        self.change(|state| match (relay_works, state) {
            (true, _) => State::Closed { failures: 0 },
            (false, State::Closed { failures }) if failures + 1 < FAILURES => State::Closed { failures: failures + 1 },
            (false, State::Open { until }) => State::Open { until },
            (false, State::Closed { .. } | State::Probing) => {
                State::Open { until: now + (self.wait)(PROBE_WAIT.0, PROBE_WAIT.1) }
            }
        });
    }

    /// Lets a probe go at once, because the settings changed and the reason may be gone.
    pub(crate) fn probe_now(&self) {
        self.change(|state| match state {
            State::Open { .. } => State::Probing,
            State::Closed { .. } | State::Probing => state,
        });
    }

    /// Turns the passing of time into probes; runs until dropped.
    pub(crate) async fn run(&self) {
        let mut allowance = self.subscribe();
        loop {
            let until = match *self.lock() {
                State::Open { until } => Some(until),
                State::Closed { .. } | State::Probing => None,
            };
            tokio::select! {
                () = sleep_until(until) => self.probe_if_due(),
                changed = allowance.changed() => if changed.is_err() { return },
            }
        }
    }

    fn probe_if_due(&self) {
        let now = Instant::now();
        self.change(|state| match state {
            State::Open { until } if until <= now => State::Probing,
            State::Open { .. } | State::Closed { .. } | State::Probing => state,
        });
    }

    fn change(&self, next: impl FnOnce(State) -> State) {
        let mut state = self.lock();
        *state = next(*state);
        let allowance = match *state {
            State::Closed { .. } => Allowance::All,
            State::Probing => Allowance::Probe,
            State::Open { .. } => Allowance::Nothing,
        };
        // Published and announced under the lock: otherwise two changes could be so in the wrong order.
        if self.allowance.send_if_modified(|current| std::mem::replace(current, allowance) != allowance) {
            announce(allowance);
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn announce(allowance: Allowance) {
    metrics::gauge!("signup_mail_breaker_open").set(if allowance == Allowance::All { 0.0 } else { 1.0 });
    match allowance {
        Allowance::All => tracing::info!("mail server works again, taking tasks"),
        Allowance::Probe => tracing::info!("trying the mail server with one mail"),
        Allowance::Nothing => tracing::warn!("mail server is not usable, taking no tasks until a probe succeeds"),
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
