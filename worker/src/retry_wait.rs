//! How long a mail waits after an attempt that failed, by the class of the failure.
//!
//! The formulas of the back-off themselves are the queue's (`queue/src/backoff.rs`): this file chooses one of them, and
//! adds the waits that do not grow.
//!
//! Takes: the class of the failure, the failures so far, the configured back-off, a random number. Gives: a duration.
//! Does not: count or record anything; pure.

use crate::mail::{Class, breaker::PROBE_WAIT};
use pipeline::document::{Backoff, BackoffFormula};
use queue::RetryPolicy;
use std::time::Duration;

/// The queue's formula of the configured back-off.
pub(crate) fn policy(backoff: &Backoff) -> RetryPolicy {
    match backoff.formula {
        BackoffFormula::Jitter => RetryPolicy::Jitter { initial: backoff.initial, max: backoff.max },
        BackoffFormula::Asynq => RetryPolicy::Asynq,
    }
}

/// The wait. Trouble of the provider's making does not grow with the number of failures of this mail, because it is not
/// the mail's failure: the mail is back when the next probe is likely. `task.backoff.max` bounds every wait of ours.
pub(crate) fn wait(class: Class, failures: u32, backoff: &Backoff, random: u64) -> Duration {
    match class {
        Class::RelayDown | Class::Limited | Class::Misconfigured => {
            let (shortest, longest) = PROBE_WAIT;
            let range_ms = (longest - shortest).as_millis();
            let drawn_ms = ((range_ms * u128::from(random)) >> 64) as u64;
            (shortest + Duration::from_millis(drawn_ms)).min(backoff.max)
        }
        Class::Transient | Class::Permanent | Class::Unknown | Class::Internal => {
            policy(backoff).delay(failures, random).max(class.shortest_wait().min(backoff.max))
        }
    }
}

/// The wait of a mail that is held: nothing is wrong with it, and its server answers something else to others. It grows
/// with the attempts, of which none is counted.
pub(crate) fn held(attempts: u32, backoff: &Backoff, random: u64) -> Duration {
    policy(backoff).delay(attempts.saturating_sub(1), random).max(PROBE_WAIT.0).min(backoff.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEFAULT: Backoff =
        Backoff { initial: Duration::from_secs(15), max: Duration::from_secs(1800), formula: BackoffFormula::Jitter };

    proptest! {
        #[test]
        fn what_the_server_put_off_waits_a_minute_at_least(failures in 0u32..100, random: u64) {
            for class in [Class::Transient, Class::Unknown] {
                prop_assert!(wait(class, failures, &DEFAULT, random) >= Duration::from_secs(60));
            }
        }

        #[test]
        fn no_wait_is_longer_than_configured(failures in 0u32..1000, random: u64, max_ms in 1u64..100_000) {
            let backoff = Backoff { max: Duration::from_millis(max_ms), ..DEFAULT };
            for class in Class::ALL {
                prop_assert!(wait(class, failures, &backoff, random) <= backoff.max);
            }
        }

        #[test]
        fn a_relay_that_is_down_is_tried_within_a_minute_however_long_it_has_been_down(failures: u32, random: u64) {
            let wait = wait(Class::RelayDown, failures, &DEFAULT, random);
            prop_assert!(wait >= Duration::from_secs(10) && wait < Duration::from_secs(60));
        }
    }

    #[test]
    fn a_held_mail_is_tried_less_and_less_often() {
        let waits: Vec<u64> = (0..9).map(|attempts| held(attempts, &DEFAULT, u64::MAX).as_secs()).collect();
        assert_eq!(waits, [14, 14, 29, 59, 119, 239, 479, 959, 1799]);
        assert_eq!(held(1, &DEFAULT, 0), PROBE_WAIT.0);
        assert_eq!(held(30, &Backoff { max: Duration::from_secs(5), ..DEFAULT }, 0), Duration::from_secs(5));
    }

    #[test]
    fn the_asynq_formula_is_asynqs() {
        let backoff = Backoff { formula: BackoffFormula::Asynq, ..DEFAULT };
        assert_eq!(wait(Class::Internal, 2, &backoff, 0), Duration::from_secs(31));
    }
}
