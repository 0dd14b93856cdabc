//! How long a Redis that does not answer is left alone.
//!
//! Gives: waits that double, each shortened by up to half at random, so that a Redis that comes back is not met by all
//! its clients at once. Does not: wait longer than a second, so that the decision after its return comes within one; a
//! server has one connection, whatever the number of pipelines, so nothing is saved by asking less often.

use std::time::Duration;

const MIN_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_millis(800);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let wait = MIN_WAIT.saturating_mul(2u32.saturating_pow(self.0)).min(MAX_WAIT);
        self.0 = self.0.saturating_add(1);
        let mut random = [0; 1];
        // Without random bytes it is the whole wait.
        let _ = getrandom::fill(&mut random);
        wait - wait * u32::from(random[0]) / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_tenth_of_a_second_and_stay_under_one() {
        let mut backoff = Backoff::default();
        for most in [100, 200, 400, 800, 800, 800] {
            let wait = backoff.next().as_millis();
            assert!((most / 2..=most).contains(&wait), "{wait} of {most}");
        }
    }
}
