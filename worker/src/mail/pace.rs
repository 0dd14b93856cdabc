//! No more mails per second than the provider allows.
//!
//! Takes: the limit in force at each call, so an edit applies at once. Gives: the moment a mail may start, evenly spaced and in
//! the order of asking. Does not: coordinate processes; `mail.smtp.maxPerSecond` is per worker process.

use std::{sync::Mutex, time::Duration};
use tokio::time::Instant;

/// Hands out evenly spaced starting times.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits for this mail's turn; returns at once when there is no limit.
    ///
    /// # Cancel safety
    ///
    /// A turn that was handed out and not used is lost, which only makes the next mail a little later.
    pub(crate) async fn turn(&self, max_per_second: Option<u32>) {
        if let Some(limit) = max_per_second {
            tokio::time::sleep_until(self.reserve(limit, Instant::now())).await;
        }
    }

    fn reserve(&self, max_per_second: u32, now: Instant) -> Instant {
        let gap = Duration::from_secs(1) / max_per_second.max(1);
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + gap);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_per_second_means_a_hundred_milliseconds_apart() {
        let pace = Pace::default();
        let start = Instant::now();
        for expected_ms in [0, 100, 200, 300] {
            pace.turn(Some(10)).await;
            assert_eq!(start.elapsed().as_millis() / 10 * 10, expected_ms);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_never_waits() {
        let pace = Pace::default();
        let start = Instant::now();
        for _ in 0..1_000 {
            pace.turn(None).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up_for_a_burst() {
        let pace = Pace::default();
        pace.turn(Some(1)).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        pace.turn(Some(1)).await;
        pace.turn(Some(1)).await;
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}
