//! The only source of chance in this program.
//!
//! Gives: numbers for jitter and names. Does not: serve cryptography (codes are derived in `signup`).

use std::time::Duration;

/// Uniform over all of `u64`. When the system has no randomness to give, the middle: jitter is a courtesy, not a need.
pub(crate) fn number() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

/// Uniform between two durations.
pub(crate) fn between(shortest: Duration, longest: Duration) -> Duration {
    let range_ms = u64::try_from(longest.saturating_sub(shortest).as_millis()).unwrap_or(u64::MAX);
    shortest + Duration::from_millis(((u128::from(range_ms) * u128::from(number())) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_durations_stay_between_the_bounds() {
        let (low, high) = (Duration::from_secs(10), Duration::from_secs(60));
        for _ in 0..1_000 {
            let drawn = between(low, high);
            assert!(drawn >= low && drawn < high);
        }
        assert_eq!(between(high, high), high);
    }
}
