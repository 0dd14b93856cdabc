//! Stops taking tasks while the mail server is down.
//!
//! Takes: whether each dialogue found a working relay. Gives: how many tasks may be taken: all, one (the probe) or none.
//! Does not: take, delay or fail anything itself; while it is open, tasks simply stay in Redis and nothing is used up.
//!
//! ```text
//! closed --5 failures in a row--> open --10 to 60 s--> probing --works--> closed
//!                                  ^                      |
//!                                  +-------fails----------+
//! ```

use std::{sync::Mutex, time::Duration};
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
        // Published under the lock: otherwise two changes could be published in the wrong order.
        let changed = self.allowance.send_if_modified(|current| std::mem::replace(current, allowance) != allowance);
        drop(state);
        if changed {
            announce(allowance);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is Copy and replaced whole, so a panic elsewhere cannot leave it half-written.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A breaker whose timer runs and whose probes come after exactly 30 s.
    fn running() -> (Arc<Breaker>, watch::Receiver<Allowance>) {
        let breaker = Arc::new(Breaker::new(|_, _| Duration::from_secs(30)));
        let timer = Arc::clone(&breaker);
        tokio::spawn(async move { timer.run().await });
        let allowance = breaker.subscribe();
        (breaker, allowance)
    }

    fn fail(breaker: &Breaker, times: u32) {
        (0..times).for_each(|_| breaker.record(false));
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_four_do_not() {
        let (breaker, allowance) = running();
        fail(&breaker, 4);
        assert_eq!(*allowance.borrow(), Allowance::All);
        breaker.record(true);
        fail(&breaker, 4);
        assert_eq!(*allowance.borrow(), Allowance::All);
        fail(&breaker, 1);
        assert_eq!(*allowance.borrow(), Allowance::Nothing);
        assert!(breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_is_let_through_when_the_wait_is_over() {
        let (breaker, mut allowance) = running();
        let start = Instant::now();
        fail(&breaker, 5);
        allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_waits_again_and_a_good_one_closes() {
        let (breaker, mut allowance) = running();
        fail(&breaker, 5);
        allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
        breaker.record(false);
        assert_eq!(*allowance.borrow(), Allowance::Nothing);
        let start = Instant::now();
        allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
        assert_eq!(start.elapsed().as_secs(), 30);
        breaker.record(true);
        assert_eq!(*allowance.borrow(), Allowance::All);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_arrive_late_do_not_move_the_probe() {
        let (breaker, mut allowance) = running();
        let start = Instant::now();
        fail(&breaker, 5);
        tokio::time::advance(Duration::from_secs(20)).await;
        fail(&breaker, 11);
        allowance.wait_for(|allowance| *allowance == Allowance::Probe).await.expect("the breaker lives");
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn changed_settings_are_tried_at_once() {
        let (breaker, allowance) = running();
        fail(&breaker, 5);
        breaker.probe_now();
        assert_eq!(*allowance.borrow(), Allowance::Probe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_success_closes_it() {
        let (breaker, allowance) = running();
        fail(&breaker, 5);
        breaker.record(true);
        assert_eq!(*allowance.borrow(), Allowance::All);
    }
}
