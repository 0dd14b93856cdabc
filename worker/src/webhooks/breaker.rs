//! Stops sending to a receiver that is down.
//!
//! Takes: whether each request found it working. Gives: how many requests may be under way. Does not: send, or use
//! anything up: what is owed stays in PostgreSQL. As that of the mail server, for one receiver and without a timer.

use crate::mail::breaker::PROBE_WAIT;
use std::time::Duration;
use tokio::time::Instant;

/// Requests to one receiver at once, of one worker.
const AT_ONCE: usize = 8;

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// The breaker of one receiver.
pub(super) struct Breaker {
    failures: u32,
    /// When one request finds out whether it works again; `None`: it does.
    probe_at: Option<Instant>,
    wait: fn(Duration, Duration) -> Duration,
}

impl Breaker {
    /// Starts closed. `wait` chooses the time to the next probe between two bounds.
    pub(super) fn new(wait: fn(Duration, Duration) -> Duration) -> Self {
        Self { failures: 0, probe_at: None, wait }
    }

    /// Requests that may be under way now.
    pub(super) fn allowed(&self) -> usize {
        match self.probe_at {
            None => AT_ONCE,
            Some(at) => usize::from(at <= Instant::now()),
        }
    }

    /// How long a delivery waits that found the receiver down.
    pub(super) fn wait(&self) -> Duration {
        (self.wait)(PROBE_WAIT.0, PROBE_WAIT.1)
    }

    /// Records what a request found; true when that opens or closes it.
    pub(super) fn record(&mut self, works: bool) -> bool {
        let was_open = self.probe_at.is_some();
        if works {
            (self.failures, self.probe_at) = (0, None);
        } else {
            self.failures = self.failures.saturating_add(1);
            if self.failures >= FAILURES {
                self.probe_at = Some(Instant::now() + self.wait());
            }
        }
        was_open != self.probe_at.is_some()
    }

    /// Whether nothing but a probe is sent.
    pub(super) fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_one_probe_at_a_time_finds_out() {
        let mut breaker = Breaker::new(|shortest, _| shortest);
        for _ in 0..4 {
            assert!(!breaker.record(false) && breaker.allowed() == AT_ONCE);
        }
        assert!(!breaker.record(true));
        for number in 1..=5 {
            assert_eq!(breaker.record(false), number == 5);
        }
        assert_eq!(breaker.allowed(), 0);
        tokio::time::advance(PROBE_WAIT.0).await;
        assert_eq!(breaker.allowed(), 1);
        assert!(!breaker.record(false) && breaker.allowed() == 0);
        tokio::time::advance(PROBE_WAIT.0).await;
        assert!(breaker.record(true) && breaker.allowed() == AT_ONCE);
    }
}
