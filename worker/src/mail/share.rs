//! This worker's part of what the mail server takes from all workers.
//!
//! Takes: how many workers there are, and which of them this one is. Gives: its part of a limit; the parts of all
//! workers are the limit, no more and no less. Does not: count workers.

use std::time::Duration;

/// One worker among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    workers: u32,
    position: u32,
}

impl Share {
    /// The worker at `position`, from 0, of so many.
    pub(crate) const fn new(position: u32, workers: u32) -> Self {
        Self { workers: if workers == 0 { 1 } else { workers }, position }
    }

    /// Its part of things that cannot be divided: what is left over goes to the first workers. None, where there are
    /// more workers than things.
    pub(crate) fn of(self, limit: u32) -> usize {
        (limit / self.workers + u32::from(self.position < limit % self.workers)) as usize
    }

    /// Time between two mails, where all workers together send so many a second.
    pub(crate) fn gap(self, per_second: u32) -> Duration {
        Duration::from_secs(1) * self.workers / per_second.max(1)
    }

    /// How many of its mails have their turn within `wait`; one at least.
    pub(crate) fn turns(self, per_second: u32, wait: Duration) -> usize {
        let turns = u128::from(per_second) * wait.as_millis() / 1_000 / u128::from(self.workers);
        usize::try_from(turns).unwrap_or(usize::MAX).max(1)
    }
}

impl Default for Share {
    /// A worker alone.
    fn default() -> Self {
        Self::new(0, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_workers_are_the_limit() {
        for (limit, workers) in [(10, 1), (10, 4), (3, 3), (3, 5), (10_000, 7)] {
            let parts: Vec<usize> = (0..workers).map(|at| Share::new(at, workers).of(limit)).collect();
            assert_eq!(parts.iter().sum::<usize>(), limit as usize, "{limit} among {workers}: {parts:?}");
            assert!(parts[0] - parts[workers as usize - 1] <= 1, "{parts:?}");
            let per_second: f64 = (0..workers).map(|at| 1.0 / Share::new(at, workers).gap(limit).as_secs_f64()).sum();
            assert!((per_second / f64::from(limit) - 1.0).abs() < 0.001, "{per_second}");
        }
    }
}
