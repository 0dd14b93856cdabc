//! How long a worker takes to start.
//!
//! Takes: when workers were asked for and how many are ready. Gives: the time to reckon with, and what is left of it
//! for those that start; and whether some do not start at all. Does not: know why one does not start.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Starts remembered.
const KEPT: usize = 20;

/// The same bound as `lookAhead.startupTime` has: longer is trouble, not a start.
const MAX_STARTUP: Duration = Duration::from_secs(600);

/// A worker that has not started after so many times what a start takes will hardly start beside others: there is no
/// room, no image, no quota.
const OVERDUE: u32 = 3;

/// Never before that: a cluster that adds a node for a pod needs minutes, and adds as many as are asked for.
const MIN_OVERDUE: Duration = Duration::from_secs(180);

/// The starts of one pipeline's workers.
#[derive(Debug, Default)]
pub(super) struct Startup {
    /// Until how many are ready, and when they were asked for.
    asked: VecDeque<(u32, Instant)>,
    /// What starts took, the newest last.
    took: VecDeque<Duration>,
}

impl Startup {
    /// The number of workers was changed.
    pub(super) fn changed(&mut self, from: u32, to: u32, now: Instant) {
        self.asked.retain(|(until, _)| *until < to);
        if to > from {
            self.asked.push_back((to, now));
        }
    }

    /// So many are to be: if others took some back, nobody waits for those.
    pub(super) fn wanted(&mut self, workers: u32) {
        self.asked.retain(|(until, _)| *until <= workers);
    }

    /// So many workers take tasks; gives how long those took that were waited for.
    pub(super) fn ready(&mut self, workers: u32, now: Instant) -> Vec<Duration> {
        let mut took = Vec::new();
        while let Some((_, at)) = self.asked.pop_front_if(|(until, _)| *until <= workers) {
            took.push(now.saturating_duration_since(at).min(MAX_STARTUP));
        }
        self.took.extend(&took);
        while self.took.len() > KEPT {
            self.took.pop_front();
        }
        took
    }

    /// The 95th percentile of the last starts; `first_guess` before the first.
    pub(super) fn time(&self, first_guess: Duration) -> Duration {
        let mut took: Vec<Duration> = self.took.iter().copied().collect();
        took.sort_unstable();
        took.get((took.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or(first_guess)
    }

    /// What is left of it for the workers that were asked for last, if they are not ready.
    pub(super) fn left(&self, first_guess: Duration, now: Instant) -> Duration {
        let last = self.asked.back().map(|(_, at)| now.saturating_duration_since(*at));
        last.map_or(Duration::ZERO, |since| self.time(first_guess).saturating_sub(since))
    }

    /// Whether workers that were asked for are long overdue.
    pub(super) fn is_overdue(&self, first_guess: Duration, now: Instant) -> bool {
        let first = self.asked.front().map(|(_, at)| now.saturating_duration_since(*at));
        first.is_some_and(|since| since >= (self.time(first_guess) * OVERDUE).max(MIN_OVERDUE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_learnt_when_the_workers_are_ready_and_what_is_left_of_it_counts_down() {
        let (mut startup, start) = (Startup::default(), Instant::now());
        let (guess, second) = (Duration::from_secs(10), Duration::from_secs(1));
        startup.changed(1, 5, start);
        assert_eq!(startup.left(guess, start + 4 * second), 6 * second);
        startup.ready(4, start + 4 * second);
        assert_eq!(startup.time(guess), guess, "one is missing");
        startup.ready(5, start + 6 * second);
        assert_eq!((startup.time(guess), startup.left(guess, start + 6 * second)), (6 * second, Duration::ZERO));
        startup.changed(5, 9, start + 10 * second);
        startup.changed(9, 5, start + 11 * second);
        startup.ready(5, start + 20 * second);
        assert_eq!(startup.time(guess), 6 * second, "what was taken back never started");
    }

    #[test]
    fn workers_are_overdue_after_three_times_what_a_start_takes_until_they_are_there_or_wanted_no_more() {
        let (mut startup, start) = (Startup::default(), Instant::now());
        let (guess, second) = (Duration::from_secs(100), Duration::from_secs(1));
        startup.changed(1, 3, start);
        startup.changed(3, 5, start + 20 * second);
        assert!(!startup.is_overdue(guess, start + 299 * second));
        assert!(startup.is_overdue(guess, start + 300 * second));
        assert!(!startup.is_overdue(second, start + 179 * second), "however fast a start is");
        startup.ready(3, start + 301 * second);
        assert!(!startup.is_overdue(guess, start + 302 * second), "the others have time still: a start takes 301 s");
        startup.changed(5, 3, start + 310 * second);
        assert!(!startup.is_overdue(guess, start + 2000 * second), "none is missing");
        startup.changed(3, 9, start + 2000 * second);
        startup.wanted(9);
        assert!(startup.is_overdue(guess, start + 4000 * second));
        startup.wanted(4);
        assert!(!startup.is_overdue(guess, start + 4000 * second), "somebody else took them back");
    }
}
