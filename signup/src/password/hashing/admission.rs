//! Whether one more password may wait for its hash.
//!
//! Takes: how many wait, how many threads there are, and how long hashes took. Gives: admission, or the time until
//! those that wait now are done. Does not: read a clock or count; [`Hashing`](super::Hashing) does.
//!
//! What is bounded is the time of the wait, not the length of the line: a client that waits for seconds has given up or
//! asks again, and a hash made for it is lost to everybody. How long a hash takes is measured, because it depends on
//! the machine and on who else is on its cores.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The longest wait for a thread that is begun: with hash, commit and a busy machine an accepted signup is then
/// answered within 1.5 s, and enough wait that no thread is ever without work.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How much of the running mean one hash is: the mean follows a machine whose speed changes within some ten hashes, and
/// no single hash that was interrupted decides.
const WEIGHT: u64 = 16;

/// The running mean of how long a hash occupies its thread; zero until the first one is done.
#[derive(Debug, Default)]
pub(super) struct HashTime(AtomicU64);

impl HashTime {
    pub(super) fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // Two threads at once may lose one of their two values, which a mean survives.
        let mean = self.0.load(Ordering::Relaxed);
        let next = if mean == 0 { took } else { mean - mean / WEIGHT + took / WEIGHT };
        self.0.store(next, Ordering::Relaxed);
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Admits a password behind `waiting` others; the first in the line is always admitted.
///
/// # Errors
///
/// The time until the others have begun.
pub(super) fn admit(waiting: usize, threads: usize, hash: Duration) -> Result<(), Duration> {
    let wait = wait(waiting, threads, hash);
    if wait > MAX_WAIT { Err(wait) } else { Ok(()) }
}

/// How long those that wait occupy the threads before the next one has its turn.
pub(super) fn wait(waiting: usize, threads: usize, hash: Duration) -> Duration {
    let rounds = waiting as f64 / threads.max(1) as f64;
    Duration::try_from_secs_f64(hash.as_secs_f64() * rounds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn as_many_wait_as_begin_within_a_second() {
        for (threads, hash, admitted) in [(1, 14, 72), (2, 14, 143), (2, 26, 77), (64, 14, 4572), (1, 1000, 2)] {
            let first_refused = (0..).find(|waiting| admit(*waiting, threads, ms(hash)).is_err());
            assert_eq!(first_refused, Some(admitted), "{threads} threads, {hash} ms");
        }
    }

    #[test]
    fn the_first_in_line_is_admitted_however_slow_the_machine_is() {
        assert_eq!(admit(0, 1, ms(60_000)), Ok(()));
        assert_eq!(admit(1, 1, ms(60_000)), Err(ms(60_000)));
    }

    #[test]
    fn before_the_first_hash_is_measured_time_refuses_nobody() {
        assert_eq!(admit(1_000_000, 1, HashTime::default().mean()), Ok(()));
    }

    #[test]
    fn the_mean_begins_with_the_first_hash_and_follows_the_machine() {
        let time = HashTime::default();
        time.record(ms(20));
        assert_eq!(time.mean(), ms(20));
        time.record(ms(2000));
        assert!(time.mean() < ms(150), "one that was interrupted does not decide: {:?}", time.mean());
        for _ in 0..100 {
            time.record(ms(40));
        }
        assert!((ms(38)..ms(42)).contains(&time.mean()), "{:?}", time.mean());
    }

    proptest! {
        #[test]
        fn who_is_admitted_begins_in_time_and_who_is_not_is_told_how_long_it_would_be(
            waiting in 0usize..100_000, threads in 1usize..256, hash in 0u64..10_000_000_000,
        ) {
            let hash = Duration::from_nanos(hash);
            match admit(waiting, threads, hash) {
                Ok(()) => prop_assert!(wait(waiting, threads, hash) <= MAX_WAIT),
                Err(after) => prop_assert!(after > MAX_WAIT && after == wait(waiting, threads, hash)),
            }
            // Whoever comes later is never better off.
            prop_assert!(admit(waiting, threads, hash).is_ok() || admit(waiting + 1, threads, hash).is_err());
        }
    }
}
