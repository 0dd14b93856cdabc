//! How long to wait before the next attempt: a pure function of the policy, the failures so far and one random number.

use std::time::Duration;

/// Formula of the delay before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Full jitter over a doubling range: uniform in `[0, min(max, initial * 2^n))`, but at least one second, after `n`
    /// earlier counted failures. With 15 s and 30 min the range ends at 15 s, 30 s, 1 min, 2 min, 4 min, 8 min, 16 min,
    /// 30 min.
    Jitter {
        /// End of the first range.
        initial: Duration,
        /// End of the last range.
        max: Duration,
    },
    /// asynq's default: `n^4 + 15 + r * (n + 1)` seconds, `r` a whole number in `0..30` (asynq v0.26.0, `server.go`).
    /// 15-44 s, 16-74 s, 31-118 s, 96-212 s, ... about 20 days for 25 retries.
    Asynq,
}

/// The shortest delay of [`RetryPolicy::Jitter`]: a zero draw must not turn into a busy loop.
const MIN_DELAY: Duration = Duration::from_secs(1);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::Jitter { initial: Duration::from_secs(15), max: Duration::from_secs(30 * 60) }
    }
}

impl RetryPolicy {
    /// The delay after a failure that follows `retried` counted failures. `random` is uniform over all of `u64`.
    pub fn delay(self, retried: u32, random: u64) -> Duration {
        match self {
            Self::Jitter { initial, max } => {
                let doubled = initial.checked_mul(2u32.saturating_pow(retried.min(31))).unwrap_or(max);
                let range_ms = doubled.min(max).as_millis() as u64;
                let drawn_ms = ((u128::from(range_ms) * u128::from(random)) >> 64) as u64;
                Duration::from_millis(drawn_ms).max(MIN_DELAY.min(max))
            }
            Self::Asynq => {
                let n = u64::from(retried);
                let seconds = n.saturating_pow(4).saturating_add(15 + (random % 30) * (n + 1));
                Duration::from_secs(seconds)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_asynq_formula_gives_the_published_ranges() {
        for (retried, low, high) in
            [(0, 15, 44), (1, 16, 74), (2, 31, 118), (3, 96, 212), (4, 271, 416), (10, 10015, 10334)]
        {
            let drawn: Vec<u64> = (0..30).map(|r| RetryPolicy::Asynq.delay(retried, r).as_secs()).collect();
            assert_eq!(drawn.iter().min(), Some(&low));
            assert_eq!(drawn.iter().max(), Some(&high));
        }
    }

    #[test]
    fn the_default_range_doubles_from_15_seconds_to_30_minutes() {
        let ends: Vec<u64> =
            (0..9).map(|n| RetryPolicy::default().delay(n, u64::MAX).as_millis().div_ceil(1000) as u64).collect();
        assert_eq!(ends, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(RetryPolicy::default().delay(5, 0), MIN_DELAY);
    }

    proptest! {
        #[test]
        fn a_jittered_delay_stays_between_one_second_and_the_maximum(retried: u32, random: u64) {
            let delay = RetryPolicy::default().delay(retried, random);
            prop_assert!(delay >= Duration::from_secs(1) && delay < Duration::from_secs(1800));
        }

        #[test]
        fn no_number_of_failures_overflows_the_asynq_formula(retried: u32, random: u64) {
            prop_assert!(RetryPolicy::Asynq.delay(retried, random) >= Duration::from_secs(15));
        }
    }
}
