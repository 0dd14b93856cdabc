//! What a queue did lately: arrivals, and how long a task takes.
//!
//! Takes: each snapshot's depths, on the Redis clock. Gives: a [`Learnt`] per queue, and the share of failed attempts.
//! Arrivals are a trimmed mean over 30 s, so that a burst counts as backlog and lasting load as a rate. The time of a
//! task is Little's law: tasks that ran, times seconds, over attempts that ended. Does not: survive a restart.

use super::{Depth, Learnt};
use std::collections::{BTreeMap, VecDeque};

/// Seconds kept, for tasks so long that few end in [`WINDOW_S`].
const KEPT_S: i64 = 120;

/// Seconds over which arrivals and failures are counted.
const WINDOW_S: i64 = 30;

/// Share of the busiest seconds that is left out.
const TRIMMED: f64 = 0.1;

/// Fewer attempts say nothing.
const LEAST_ATTEMPTS: f64 = 10.0;

/// `task.timeout` allows no more.
const MAX_SERVICE_S: f64 = 600.0;

/// All queues of a pipeline by name.
#[derive(Debug, Default)]
pub(super) struct Rates(BTreeMap<String, Queue>);

/// What a snapshot meant for the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuity {
    /// It goes on.
    Goes,
    /// Counters or the clock went backwards: Redis lost what it knew, or is another one.
    Broken,
}

impl Rates {
    /// Adds a snapshot. Where `is_paced` the mail server's limit sets the time of a task, which is not learnt then.
    pub(super) fn read(&mut self, depths: &[Depth], max_per_s: Option<u32>) -> Continuity {
        self.0.retain(|name, _| depths.iter().any(|depth| depth.name == *name));
        let mut continuity = Continuity::Goes;
        for depth in depths.iter().filter(|depth| !depth.missing) {
            let queue = self.0.entry(depth.name.clone()).or_default();
            if queue.read(depth, max_per_s) == Continuity::Broken {
                continuity = Continuity::Broken;
            }
        }
        continuity
    }

    /// What was learnt of a queue.
    pub(super) fn learnt(&self, name: &str) -> Learnt {
        self.0.get(name).map(Queue::learnt).unwrap_or_default()
    }

    /// Share of the attempts of the last 30 s that failed; 0 while there were few.
    pub(super) fn failing(&self) -> f64 {
        let sum = |figure: fn(&Second) -> f64| self.recent().map(figure).sum::<f64>();
        let ended = sum(|second| second.ended);
        if ended < 2.0 * LEAST_ATTEMPTS { 0.0 } else { (sum(|second| second.failed) / ended).min(1.0) }
    }

    /// Attempts that ended per second in the last 10 s.
    pub(super) fn throughput(&self) -> f64 {
        self.0.values().map(Queue::pace).sum()
    }

    /// The longest time of a task.
    pub(super) fn service(&self) -> f64 {
        self.0.values().filter_map(|queue| queue.service_s).fold(0.0, f64::max)
    }

    fn recent(&self) -> impl Iterator<Item = &Second> {
        self.0.values().flat_map(|queue| queue.last_seconds(WINDOW_S))
    }
}

#[derive(Debug, Default)]
struct Queue {
    last: Option<Depth>,
    seconds: VecDeque<Second>,
    /// Seconds of the Redis clock since when nothing has happened. They are not kept: most queues are at rest.
    quiet_since: Option<f64>,
    service_s: Option<f64>,
    /// Seconds of the Redis clock since when tasks run and none has ended.
    stuck_since: Option<f64>,
}

/// What happened in one second of the Redis clock.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: i64,
    arrived: f64,
    ended: f64,
    failed: f64,
    /// Tasks that ran, times seconds.
    ran: f64,
}

impl Second {
    fn is_quiet(&self) -> bool {
        [self.arrived, self.ended, self.failed, self.ran] == [0.0; 4]
    }
}

impl Queue {
    fn read(&mut self, depth: &Depth, max_per_s: Option<u32>) -> Continuity {
        let before = self.last.replace(depth.clone());
        let Some(before) = before else { return Continuity::Goes };
        let (from, to) = (seconds(&before), seconds(depth));
        if depth.processed < before.processed || depth.failed < before.failed || to < from {
            (self.seconds, self.quiet_since, self.stuck_since) = (VecDeque::new(), None, None);
            return Continuity::Broken;
        }
        if to > from {
            self.add(&before, depth, from, to);
            let is_paced = max_per_s.is_some_and(|limit| self.pace() > 0.9 * f64::from(limit));
            if !is_paced {
                self.learn(depth, to);
            }
        }
        Continuity::Goes
    }

    /// Spreads what happened between two snapshots over its seconds.
    fn add(&mut self, before: &Depth, now: &Depth, from: f64, to: f64) {
        let ended = (now.processed - before.processed) as f64;
        let ready = |depth: &Depth| (depth.pending + depth.active) as f64;
        let arrived = (ended + ready(now) - ready(before)).max(0.0);
        let failed = (now.failed - before.failed) as f64;
        let ran = (before.active + now.active) as f64 / 2.0 * (to - from);
        let is_quiet = [arrived, ended, failed, ran] == [0.0; 4];
        if is_quiet && self.seconds.iter().all(Second::is_quiet) {
            self.quiet_since =
                self.seconds.front().map(|first| first.number as f64).or(self.quiet_since).or(Some(from));
            (self.seconds, self.stuck_since) = (VecDeque::new(), None);
            return;
        }
        self.fill_quiet(from);
        let last = to.floor() as i64;
        let first = (from.floor() as i64).max(last - KEPT_S + 1);
        for number in first..=last {
            let share = ((number + 1) as f64).min(to) - (number as f64).max(from);
            let share = share.max(0.0) / (to - from);
            if self.seconds.back().is_none_or(|second| second.number < number) {
                self.seconds.push_back(Second { number, ..Second::default() });
            }
            if let Some(second) = self.seconds.back_mut() {
                second.arrived += arrived * share;
                second.ended += ended * share;
                second.failed += failed * share;
                second.ran += ran * share;
            }
        }
        self.seconds.retain(|second| second.number > last - KEPT_S);
        let is_stuck = ended == 0.0 && now.active > 0 && before.active > 0;
        self.stuck_since = if is_stuck { self.stuck_since.or(Some(from)) } else { None };
    }

    /// Keeps the seconds before `until` in which nothing happened: they count in a mean.
    fn fill_quiet(&mut self, until: f64) {
        let Some(since) = self.quiet_since.take() else { return };
        let last = until.floor() as i64;
        let first = (since.floor() as i64).max(last - KEPT_S + 1);
        self.seconds.extend((first..=last).map(|number| Second { number, ..Second::default() }));
    }

    /// Only when most of the tasks that ran have ended: those that still run have not shown their length yet.
    fn learn(&mut self, now: &Depth, at: f64) {
        for window in [WINDOW_S, KEPT_S] {
            let (ran, ended) = self
                .last_seconds(window)
                .fold((0.0, 0.0), |(ran, ended), second| (ran + second.ran, ended + second.ended));
            if ended >= LEAST_ATTEMPTS.max(2.0 * now.active as f64) {
                self.service_s = Some((ran / ended).clamp(1e-4, MAX_SERVICE_S));
                break;
            }
        }
        // Since none ends, each takes so long at least.
        if let (Some(service), Some(since)) = (self.service_s, self.stuck_since) {
            self.service_s = Some(service.max(at - since).min(MAX_SERVICE_S));
        }
    }

    fn learnt(&self) -> Learnt {
        Learnt { arrivals_per_s: self.arrivals(), service_s: self.service_s, completions_per_s: self.pace() }
    }

    /// Whole seconds only; the one that has begun would count too little.
    fn arrivals(&self) -> f64 {
        let current = self.last.as_ref().map_or(0, |depth| seconds(depth).floor() as i64);
        let mut arrived: Vec<f64> = self
            .last_seconds(WINDOW_S + 1)
            .filter(|second| second.number < current)
            .map(|second| second.arrived)
            .collect();
        arrived.sort_unstable_by(f64::total_cmp);
        let trimmed = ((arrived.len() as f64 * TRIMMED) as usize).max(1);
        let kept = &arrived[..arrived.len().saturating_sub(trimmed)];
        if kept.is_empty() { 0.0 } else { kept.iter().sum::<f64>() / kept.len() as f64 }
    }

    /// Attempts that ended per second in the last 10 whole seconds.
    fn pace(&self) -> f64 {
        let current = self.last.as_ref().map_or(0, |depth| seconds(depth).floor() as i64);
        self.last_seconds(11).filter(|second| second.number < current).map(|second| second.ended).sum::<f64>() / 10.0
    }

    fn last_seconds(&self, window: i64) -> impl Iterator<Item = &Second> {
        let last = self.last.as_ref().map_or(0, |depth| seconds(depth).floor() as i64);
        self.seconds.iter().filter(move |second| second.number > last - window)
    }
}

fn seconds(depth: &Depth) -> f64 {
    depth.at.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// A snapshot at a second of the Redis clock: pending, active, attempts that ended and failed.
    fn depth(second: f64, [pending, active, processed, failed]: [u64; 4]) -> Depth {
        let at = Timestamp::from_millisecond((second * 1000.0) as i64).expect("a time");
        Depth { name: "critical".into(), pending, active, processed, failed, at, ..Depth::default() }
    }

    fn read(rates: &mut Rates, second: f64, figures: [u64; 4]) -> Continuity {
        rates.read(&[depth(second, figures)], None)
    }

    /// 40 s in which 20 tasks a second arrive and run for half a second each.
    fn steady() -> Rates {
        let mut rates = Rates::default();
        for second in 0..=40 {
            read(&mut rates, second as f64, [0, 10, 20 * second, 5 * second]);
        }
        rates
    }

    #[test]
    fn arrivals_the_time_of_a_task_and_the_share_of_failures_are_learnt() {
        let rates = steady();
        let learnt = rates.learnt("critical");
        assert!((learnt.arrivals_per_s - 20.0).abs() < 0.5, "{learnt:?}");
        assert!(learnt.service_s.is_some_and(|service| (service - 0.5).abs() < 0.02), "{learnt:?}");
        assert!((rates.failing() - 0.25).abs() < 0.01 && (rates.throughput() - 20.0).abs() < 2.1);
        assert_eq!(rates.learnt("default"), Learnt::default());
    }

    #[test]
    fn a_burst_is_no_rate_and_tasks_that_do_not_end_have_no_time_yet() {
        let mut rates = Rates::default();
        for second in 0..=10 {
            read(&mut rates, second as f64, [if second < 5 { 0 } else { 5000 }, 10, 0, 0]);
        }
        assert_eq!(rates.learnt("critical"), Learnt::default());
        assert!(rates.failing() < f64::EPSILON, "none ended");
    }

    #[test]
    fn seconds_in_which_nothing_happens_are_not_kept_and_count_all_the_same() {
        let mut rates = Rates::default();
        for second in 0..=60 {
            read(&mut rates, second as f64, [0, 0, 40, 0]);
        }
        assert_eq!(rates.0["critical"].seconds.capacity(), 0);
        for second in 61..=66 {
            read(&mut rates, second as f64, [100 * (second - 60), 0, 40, 0]);
        }
        // Six of the last thirty whole seconds, of which the busiest three are left out.
        let learnt = rates.learnt("critical");
        assert!((learnt.arrivals_per_s - 300.0 / 27.0).abs() < 0.1, "{learnt:?}");
    }

    #[test]
    fn tasks_that_stop_ending_are_known_to_take_longer() {
        let mut rates = steady();
        for second in 41..=50 {
            read(&mut rates, second as f64, [0, 10, 800, 200]);
        }
        assert!(rates.learnt("critical").service_s.is_some_and(|service| service >= 9.0));
    }

    #[test]
    fn a_pace_that_the_mail_server_sets_is_not_the_time_of_a_task() {
        let mut rates = Rates::default();
        for second in 0..=40 {
            rates.read(&[depth(second as f64, [900, 160, 20 * second, 0])], Some(20));
        }
        // Before the pace is reached something may be learnt; 160 / 20 = 8 s is not.
        assert!(rates.learnt("critical").service_s.is_none_or(|service| service < 8.0));
    }

    #[test]
    fn counters_or_a_clock_that_go_backwards_break_the_history() {
        let mut rates = steady();
        assert_eq!(read(&mut rates, 41.0, [0, 0, 3, 0]), Continuity::Broken);
        assert!(rates.learnt("critical").arrivals_per_s < f64::EPSILON);
        assert_eq!(read(&mut rates, 40.5, [0, 0, 3, 0]), Continuity::Broken);
        assert_eq!(read(&mut rates, 42.0, [0, 0, 4, 0]), Continuity::Goes);
    }
}
