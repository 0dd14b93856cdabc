//! What was recommended and done lately.
//!
//! Takes: each recommendation and each change of the number of workers, with its time. Gives: the most and the fewest
//! that were recommended within a window, and how many workers there were before it. Does not: survive a restart; the
//! HorizontalPodAutoscaler's history does not either.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The longest window of a setting (`stabilizationWindowSeconds`, `cooldownPeriod`: 3600 s).
const MAX_WINDOW: Duration = Duration::from_secs(3600);

/// The longest period of a policy (autoscaling/v2: 1800 s); changes before it never count again.
const MAX_PERIOD: Duration = Duration::from_secs(1800);

/// Recommendations, as far as they can still be the most or the fewest of a window.
#[derive(Debug, Default)]
pub(super) struct Recommendations {
    most: Largest,
    /// Of the negated numbers.
    fewest: Largest,
}

impl Recommendations {
    /// The most that was recommended within `window` before `now`; 0 when nothing was.
    pub(super) fn most_within(&self, window: Duration, now: Instant) -> u32 {
        self.most.within(window, now).map_or(0, count)
    }

    /// The fewest that was recommended within `window` before `now`; `None` when nothing was.
    pub(super) fn fewest_within(&self, window: Duration, now: Instant) -> Option<u32> {
        self.fewest.within(window, now).map(|fewest| count(-fewest))
    }

    /// Adds workers that may still be needed, though they were not recommended.
    pub(super) fn add_needed(&mut self, workers: u32, now: Instant) {
        self.most.add(workers.into(), now);
    }

    /// Adds a recommendation.
    pub(super) fn add(&mut self, recommended: u32, now: Instant) {
        self.most.add(recommended.into(), now);
        self.fewest.add(-i64::from(recommended), now);
    }
}

/// Numbers of which only the largest of a window is asked.
#[derive(Debug, Default)]
struct Largest(VecDeque<(Instant, i64)>);

impl Largest {
    /// They are in order of time and falling, so the first of a window is its largest.
    fn within(&self, window: Duration, now: Instant) -> Option<i64> {
        self.0.iter().find(|(at, _)| now.saturating_duration_since(*at) < window).map(|(_, number)| *number)
    }

    /// Smaller ones before it will never count again and are forgotten.
    fn add(&mut self, number: i64, now: Instant) {
        self.0.retain(|(at, _)| now.saturating_duration_since(*at) < MAX_WINDOW);
        while self.0.back().is_some_and(|(_, earlier)| *earlier <= number) {
            self.0.pop_back();
        }
        self.0.push_back((now, number));
    }
}

/// Changes of the number of workers, kept exactly as long as the HorizontalPodAutoscaler keeps them: one that is older
/// than every policy of its own direction makes room for the next one, though a longer policy of the other direction
/// would still count it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    up: Vec<Change>,
    down: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    at: Instant,
    by: i64,
}

/// The longest period of the policies of each direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Periods {
    pub(super) up: Duration,
    pub(super) down: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self { up: MAX_PERIOD, down: MAX_PERIOD }
    }
}

impl Changes {
    /// Adds a change.
    pub(super) fn add(&mut self, from: u32, to: u32, longest: Periods, now: Instant) {
        let (changes, longest) = if to > from { (&mut self.up, longest.up) } else { (&mut self.down, longest.down) };
        let change = Change { at: now, by: i64::from(to).abs_diff(from.into()).try_into().unwrap_or(i64::MAX) };
        let is_outdated = |change: &&mut Change| now.saturating_duration_since(change.at) > longest;
        match changes.iter_mut().rev().find(is_outdated) {
            Some(outdated) => *outdated = change,
            None => changes.push(change),
        }
    }

    /// How many workers there were `period` before `now`, when `running` are there now; below 0 where changes are
    /// forgotten.
    pub(super) fn before(&self, period: Duration, running: u32, now: Instant) -> i64 {
        let recent = |changes: &[Change]| {
            let recent = changes.iter().filter(|change| now.saturating_duration_since(change.at) < period);
            recent.map(|change| change.by).sum::<i64>()
        };
        i64::from(running) - recent(&self.up) + recent(&self.down)
    }
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_and_the_fewest_of_a_window_are_forgotten_in_time() {
        let (mut past, start, window) = (Recommendations::default(), Instant::now(), Duration::from_secs(60));
        assert_eq!((past.most_within(window, start), past.fewest_within(window, start)), (0, None));
        for (second, recommended) in [(0, 5), (10, 2), (20, 3), (30, 4)] {
            past.add(recommended, start + Duration::from_secs(second));
        }
        for (second, most, fewest) in
            [(30, 5, Some(2)), (59, 5, Some(2)), (60, 4, Some(2)), (70, 4, Some(3)), (80, 4, Some(4)), (90, 0, None)]
        {
            let now = start + Duration::from_secs(second);
            assert_eq!((past.most_within(window, now), past.fewest_within(window, now)), (most, fewest), "{second} s");
        }
    }

    #[test]
    fn a_longer_window_finds_what_a_shorter_one_did_not() {
        let (mut past, start) = (Recommendations::default(), Instant::now());
        past.add(5, start);
        past.add(1, start + Duration::from_secs(50));
        let now = start + Duration::from_secs(60);
        assert_eq!([10, 11, 60, 61].map(|window| past.most_within(Duration::from_secs(window), now)), [0, 1, 1, 5]);
    }

    #[test]
    fn the_number_before_a_period_is_without_the_changes_in_it() {
        let (mut changes, start) = (Changes::default(), Instant::now());
        changes.add(1, 5, Periods::default(), start);
        changes.add(5, 3, Periods::default(), start + Duration::from_secs(10));
        for (period, before) in [(1, 3), (6, 5), (16, 1)] {
            let now = start + Duration::from_secs(15);
            assert_eq!(changes.before(Duration::from_secs(period), 3, now), before, "{period} s");
        }
    }
}
