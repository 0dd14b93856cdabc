//! Growth that does not help.
//!
//! Takes: each growth, and the throughput before and after it. Gives: whether more growth is to be held back. A
//! database or mail server that is at its end gets slower with every worker more,
//! and then the demand grows with the workers.
//! Does not: hold anything for longer than [`HOLD`].

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Growths in a row that brought nothing.
const STRIKES: u32 = 2;

/// The least part of the expected gain that counts as one.
const LEAST_GAIN: f64 = 0.1;

/// How much slower tasks get, or how much more of them fail, before growth is to blame.
const SLOWER: f64 = 1.2;
const MORE_FAIL: f64 = 0.1;

/// Time after the start of the new workers until their effect is measured.
const EFFECT: Duration = Duration::from_secs(15);

/// How long growth is held; then it is tried again.
const HOLD: Duration = Duration::from_secs(300);

/// What the queues do, all together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Attempts that end per second.
    pub(super) throughput: f64,
    /// Seconds that an attempt takes.
    pub(super) service_s: f64,
    /// Share that fails.
    pub(super) failing: f64,
}

/// The growths whose effect is not known yet, and those that had none.
#[derive(Debug, Default)]
pub(super) struct Guard {
    growths: VecDeque<(Instant, f64, Pace)>,
    strikes: u32,
    held_since: Option<Instant>,
}

impl Guard {
    /// The number of workers was changed.
    pub(super) fn changed(&mut self, from: u32, to: u32, pace: Pace, now: Instant) {
        if to < from {
            self.growths.clear();
        } else if from > 0 && pace.throughput > 0.0 {
            self.growths.push_back((now, f64::from(to) / f64::from(from), pace));
        }
    }

    /// Whether growth is held back. `is_behind`: more is waiting than the workers have slots, so that they could show
    /// what they bring.
    pub(super) fn holds(&mut self, pace: Pace, is_behind: bool, startup: Duration, now: Instant) -> bool {
        let is_measurable = |at: &Instant| now.saturating_duration_since(*at) >= startup + EFFECT;
        while let Some((_, factor, before)) = self.growths.pop_front_if(|(at, ..)| is_measurable(at)) {
            if is_behind {
                let brought = pace.throughput - before.throughput;
                let is_nothing = brought < LEAST_GAIN * before.throughput * (factor - 1.0);
                let is_worse = pace.service_s > SLOWER * before.service_s || pace.failing > before.failing + MORE_FAIL;
                self.strikes = if is_nothing && is_worse { self.strikes + 1 } else { 0 };
            }
        }
        if self.strikes >= STRIKES {
            (self.strikes, self.held_since) = (0, Some(now));
        }
        let is_over = |since: Instant| !is_behind || now.saturating_duration_since(since) >= HOLD;
        self.held_since = self.held_since.filter(|since| !is_over(*since));
        self.held_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_held_after_two_growths_that_only_made_tasks_slower() {
        let (mut guard, start) = (Guard::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let pace = |throughput, service_s| Pace { throughput, service_s, failing: 0.0 };
        guard.changed(2, 4, pace(20.0, 1.0), start);
        assert!(!guard.holds(pace(20.0, 2.0), true, Duration::ZERO, at(15)), "one growth proves nothing");
        guard.changed(4, 8, pace(20.0, 2.0), at(15));
        assert!(guard.holds(pace(20.0, 4.0), true, Duration::ZERO, at(30)));
        assert!(guard.holds(pace(20.0, 4.0), true, Duration::ZERO, at(329)));
        assert!(!guard.holds(pace(20.0, 4.0), true, Duration::ZERO, at(330)), "it is tried again");
    }

    #[test]
    fn growth_that_helps_or_whose_effect_cannot_be_seen_is_not_held() {
        let (mut guard, start) = (Guard::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        let pace = |throughput| Pace { throughput, service_s: 1.0, failing: 0.0 };
        for (number, throughput) in [(0, 20.0), (1, 38.0), (2, 70.0)] {
            assert!(!guard.holds(pace(throughput), true, Duration::ZERO, at(20 * number)));
            guard.changed(2, 4, pace(throughput), at(20 * number));
        }
        let slow = Pace { throughput: 1.0, service_s: 9.0, failing: 0.0 };
        assert!(!guard.holds(slow, false, Duration::ZERO, at(80)), "nothing waits");
    }
}
