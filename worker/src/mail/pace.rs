//! No more mails per second than the provider allows.
//!
//! Takes: the time between two mails at each call, so that an edit and another number of workers apply at once. Gives:
//! the moment a mail may start, evenly spaced and in the order of asking, or no turn at all to a mail that would wait
//! too long. Does not: wait, or coordinate processes: `share` divides `mail.smtp.maxPerSecond` by them.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Enough mails ahead to keep the pace.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// How long a task may keep its slot for its turn: never most of its own time. A timeout of zero is none.
pub(crate) fn longest_wait(timeout: Duration) -> Duration {
    if timeout.is_zero() { MAX_WAIT } else { MAX_WAIT.min(timeout / 2) }
}

/// Hands out evenly spaced starting times.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// This mail's turn. One that is handed out and not used is lost, which only makes the next mail a little later.
    ///
    /// # Errors
    ///
    /// The time until its turn, when that is longer than `patience` and than the time between two mails; it has no
    /// turn then.
    pub(crate) fn turn(&self, gap: Duration, patience: Duration, now: Instant) -> Result<Instant, Duration> {
        let mut next = self.next.lock();
        let turn = next.map_or(now, |next| next.max(now));
        let wait = turn - now;
        if wait > patience.max(gap) {
            return Err(wait);
        }
        *next = Some(turn + gap);
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Share;

    const PATIENCE: Duration = Duration::from_secs(3);

    fn waits(pace: &Pace, limit: u32, patience: Duration, now: Instant) -> Result<Duration, Duration> {
        pace.turn(Share::default().gap(limit), patience, now).map(|turn| turn - now)
    }

    #[test]
    fn ten_per_second_means_a_hundred_milliseconds_apart() {
        let (pace, now) = (Pace::default(), Instant::now());
        for expected_ms in [0, 100, 200, 300] {
            assert_eq!(waits(&pace, 10, PATIENCE, now), Ok(Duration::from_millis(expected_ms)));
        }
    }

    #[test]
    fn two_workers_are_each_half_as_fast() {
        let (pace, now, gap) = (Pace::default(), Instant::now(), Share::new(1, 2).gap(10));
        let waits: Vec<_> = (0..3).map(|_| pace.turn(gap, PATIENCE, now).map(|turn| turn - now)).collect();
        assert_eq!(waits, [0, 200, 400].map(|ms| Ok(Duration::from_millis(ms))));
    }

    #[test]
    fn idle_time_is_not_saved_up_for_a_burst() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(waits(&pace, 1, PATIENCE, now), Ok(Duration::ZERO));
        let later = now + Duration::from_secs(60);
        assert_eq!(waits(&pace, 1, PATIENCE, later), Ok(Duration::ZERO));
        assert_eq!(waits(&pace, 1, PATIENCE, later), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn a_mail_that_would_wait_too_long_takes_nobodys_turn() {
        let (pace, now) = (Pace::default(), Instant::now());
        for wait in [Ok(0), Ok(1), Ok(2), Ok(3), Err(4), Err(4)] {
            let expected = wait.map(Duration::from_secs).map_err(Duration::from_secs);
            assert_eq!(waits(&pace, 1, PATIENCE, now), expected);
        }
        let later = now + Duration::from_secs(4);
        assert_eq!(waits(&pace, 1, PATIENCE, later), Ok(Duration::ZERO));
    }

    #[test]
    fn the_next_turn_is_never_too_far_away() {
        let (pace, now) = (Pace::default(), Instant::now());
        let patience = longest_wait(Duration::from_secs(1));
        assert_eq!(waits(&pace, 1, patience, now), Ok(Duration::ZERO));
        assert_eq!(waits(&pace, 1, patience, now), Ok(Duration::from_secs(1)));
        assert_eq!(waits(&pace, 1, patience, now), Err(Duration::from_secs(2)));
    }

    #[test]
    fn a_task_waits_for_half_of_its_time_and_for_three_seconds_at_most() {
        for (timeout_s, wait_ms) in [(0, 3_000), (1, 500), (4, 2_000), (6, 3_000), (600, 3_000)] {
            assert_eq!(longest_wait(Duration::from_secs(timeout_s)).as_millis(), wait_ms);
        }
    }
}
