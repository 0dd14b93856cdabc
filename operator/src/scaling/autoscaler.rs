//! One pipeline's decisions, poll by poll.
//!
//! Takes: what each poll found, with its time, and each change that was made. Gives: [`decide`]'s decisions, with what
//! the past allows. Does not: poll or change anything itself.

use super::{
    Decision, Depth, LimitedBy, Limits, Past, decide,
    history::{Changes, Recommendations},
    speed,
};
use crate::crd::{
    autoscaling::{Autoscaling, AutoscalingMode, ScalingRules},
    workload::Worker,
};
use std::time::{Duration, Instant};

/// The history of one pipeline.
#[derive(Debug, Default)]
pub struct Autoscaler {
    recommendations: Recommendations,
    changes: Changes,
    /// The operator alone decided the number at the last poll.
    decides: bool,
    /// Redis has not answered since.
    silent_since: Option<Instant>,
}

impl Autoscaler {
    /// Decides. `depths` is `None` while Redis does not answer, `running` is `None` while there is no Deployment yet.
    /// What runs when this begins to decide, or while Redis does not answer, counts as recommended: nothing is removed
    /// before a whole cool-down has been seen.
    pub fn decide(
        &mut self,
        worker: &Worker,
        depths: Option<&[Depth]>,
        running: Option<u32>,
        now: Instant,
    ) -> Decision {
        let limits = Limits::from(worker);
        let decides = matches!(limits.mode, AutoscalingMode::Auto | AutoscalingMode::DryRun);
        if let Some(running) = running {
            if decides && !self.decides {
                self.recommendations.add(running, now);
            } else if depths.is_none() {
                self.recommendations.add_needed(running, now);
            }
            self.decides = decides;
        }
        self.silent_since = if depths.is_none() { self.silent_since.or(Some(now)) } else { None };
        let running = running.unwrap_or(limits.min);
        let decision = decide(depths, &limits, running, &self.past(&worker.autoscaling, running, now));
        if depths.is_some() {
            self.recommendations.add(decision.recommended, now);
        }
        decision
    }

    /// Leaves the number to somebody else; after that, deciding begins anew.
    pub fn yield_control(&mut self) {
        self.decides = false;
    }

    /// Remembers that the number of workers was changed.
    pub fn changed(&mut self, from: u32, to: u32, now: Instant) {
        self.changes.add(from, to, now);
    }

    fn past(&mut self, settings: &Autoscaling, running: u32, now: Instant) -> Past {
        let behavior = settings.behavior.as_ref();
        let up = behavior.and_then(|behavior| behavior.scale_up.as_ref());
        let down = behavior.and_then(|behavior| behavior.scale_down.as_ref());
        let shrink_window = window(down);
        let silent = self.silent_since.map(|since| now.saturating_duration_since(since));
        let fallback = settings.fallback.as_ref().filter(|fallback| silent >= Some(fallback.after.get()));
        Past {
            most: self
                .recommendations
                .most_within(shrink_window.unwrap_or_else(|| settings.cooldown_period.get()), now),
            window: if shrink_window.is_some() { LimitedBy::ScaleDown } else { LimitedBy::Cooldown },
            fewest: window(up)
                .filter(|_| running > 0)
                .and_then(|window| self.recommendations.fewest_within(window, now)),
            grow_to: speed::most(up, running, &self.changes, now),
            shrink_to: speed::fewest(down, running, &self.changes, now),
            fallback: fallback.map(|fallback| fallback.replicas.unsigned_abs()),
        }
    }
}

fn window(rules: Option<&ScalingRules>) -> Option<Duration> {
    let seconds = rules?.stabilization_window_seconds?;
    Some(Duration::from_secs(seconds.unsigned_abs().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{
        autoscaling::{Behavior, Fallback, ScalingPolicy, ScalingPolicyType},
        time_span::TimeSpan,
    };

    const IDLE: &[Depth] = &[Depth { pending: 0, active: 0, due_soon: 0, paused: false }];
    const FULL: &[Depth] = &[Depth { pending: 1000, active: 0, due_soon: 0, paused: false }];

    /// Workers wanted of 5 that run, at each second with the answer of Redis.
    fn wanted(
        autoscaler: &mut Autoscaler,
        worker: &Worker,
        start: Instant,
        polls: &[(u64, Option<&[Depth]>)],
    ) -> Vec<u32> {
        let mut poll =
            |second, depths| autoscaler.decide(worker, depths, Some(5), start + Duration::from_secs(second)).desired;
        polls.iter().map(|(second, depths)| poll(*second, *depths)).collect()
    }

    fn behaving(behavior: Behavior) -> Worker {
        let mut worker = Worker::default();
        worker.autoscaling.behavior = Some(behavior);
        worker
    }

    fn one_a_minute(window: Option<i32>) -> Option<ScalingRules> {
        let policy = ScalingPolicy { kind: ScalingPolicyType::Pods, value: 1, period_seconds: 60 };
        Some(ScalingRules { stabilization_window_seconds: window, select_policy: None, policies: vec![policy] })
    }

    #[test]
    fn an_operator_that_starts_anew_lets_the_cool_down_pass_first() {
        let (mut autoscaler, worker, start) = (Autoscaler::default(), Worker::default(), Instant::now());
        assert_eq!(worker.autoscaling.cooldown_period.get(), Duration::from_secs(60));
        let polls = [(0, Some(IDLE)), (2, Some(IDLE)), (59, Some(IDLE)), (60, Some(IDLE))];
        assert_eq!(wanted(&mut autoscaler, &worker, start, &polls), [5, 5, 5, 1]);
        let first = Autoscaler::default().decide(&worker, Some(IDLE), Some(5), start);
        assert_eq!(first.limited_by, Some(LimitedBy::Cooldown));
    }

    #[test]
    fn the_cool_down_begins_again_when_redis_is_back() {
        let (mut autoscaler, worker, start) = (Autoscaler::default(), Worker::default(), Instant::now());
        let polls =
            [(0, Some(IDLE)), (100, None), (200, None), (202, Some(IDLE)), (259, Some(IDLE)), (260, Some(IDLE))];
        assert_eq!(wanted(&mut autoscaler, &worker, start, &polls), [5, 5, 5, 5, 5, 1]);
    }

    #[test]
    fn the_cool_down_begins_when_the_mode_becomes_auto() {
        let (mut autoscaler, auto, start) = (Autoscaler::default(), Worker::default(), Instant::now());
        let mut off = Worker { replicas: Some(5), ..Worker::default() };
        off.autoscaling.mode = AutoscalingMode::Off;
        assert_eq!(wanted(&mut autoscaler, &off, start, &[(0, Some(IDLE)), (100, Some(IDLE))]), [5, 5]);
        let polls = [(102, Some(IDLE)), (161, Some(IDLE)), (162, Some(IDLE))];
        assert_eq!(wanted(&mut autoscaler, &auto, start, &polls), [5, 5, 1]);
    }

    #[test]
    fn a_deployment_that_is_not_there_yet_begins_no_cool_down() {
        let (mut autoscaler, worker, start) = (Autoscaler::default(), Worker::default(), Instant::now());
        assert_eq!(autoscaler.decide(&worker, Some(IDLE), None, start).desired, 1);
        assert_eq!(wanted(&mut autoscaler, &worker, start, &[(50, Some(IDLE)), (60, Some(IDLE))]), [5, 5]);
    }

    #[test]
    fn the_cool_down_begins_when_somebody_elses_say_is_over() {
        let (mut autoscaler, worker, start) = (Autoscaler::default(), Worker::default(), Instant::now());
        assert_eq!(wanted(&mut autoscaler, &worker, start, &[(0, Some(IDLE)), (60, Some(IDLE))]), [5, 1]);
        autoscaler.yield_control();
        assert_eq!(wanted(&mut autoscaler, &worker, start, &[(100, Some(IDLE)), (160, Some(IDLE))]), [5, 1]);
    }

    #[test]
    fn a_look_that_redis_did_not_answer_does_not_hold_growth_up_and_zero_workers_wait_for_no_window() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let window = ScalingRules { stabilization_window_seconds: Some(30), ..ScalingRules::default() };
        let worker = behaving(Behavior { scale_up: Some(window), scale_down: None });
        let polls = [(0, Some(FULL)), (25, None), (29, Some(FULL)), (30, Some(FULL))];
        assert_eq!(wanted(&mut autoscaler, &worker, start, &polls), [5, 5, 5, 10]);
        assert_eq!(Autoscaler::default().decide(&worker, Some(FULL), Some(0), start).desired, 4);
    }

    #[test]
    fn growth_waits_for_its_window_and_goes_on_as_its_policies_allow() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let worker = behaving(Behavior { scale_up: one_a_minute(Some(30)), scale_down: None });
        let polls = [(0, Some(FULL)), (29, Some(FULL)), (30, Some(FULL))];
        assert_eq!(wanted(&mut autoscaler, &worker, start, &polls), [5, 5, 6]);
        autoscaler.changed(5, 6, start + Duration::from_secs(30));
        let mut then = |second| {
            let decision = autoscaler.decide(&worker, Some(FULL), Some(6), start + Duration::from_secs(second));
            (decision.desired, decision.limited_by)
        };
        assert_eq!(then(89), (6, Some(LimitedBy::ScaleUp)));
        assert_eq!(then(90), (7, Some(LimitedBy::ScaleUp)));
    }

    #[test]
    fn a_window_of_shrinking_takes_the_place_of_the_cool_down_and_policies_come_after_it() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let worker = behaving(Behavior { scale_up: None, scale_down: one_a_minute(Some(10)) });
        let first = autoscaler.decide(&worker, Some(IDLE), Some(5), start);
        assert_eq!((first.desired, first.limited_by), (5, Some(LimitedBy::ScaleDown)));
        assert_eq!(wanted(&mut autoscaler, &worker, start, &[(9, Some(IDLE)), (10, Some(IDLE))]), [5, 4]);
    }

    #[test]
    fn a_fallback_adds_workers_once_redis_is_silent_for_long_and_never_removes_any() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let mut worker = Worker::default();
        worker.autoscaling.fallback = Some(Fallback { replicas: 8, after: TimeSpan::from_secs(180) });
        let polls = [(0, Some(IDLE)), (10, None), (189, None), (190, None), (191, Some(IDLE)), (192, None)];
        assert_eq!(wanted(&mut autoscaler, &worker, start, &polls), [5, 5, 5, 8, 5, 5]);
        let told = |running, second| {
            let mut autoscaler = Autoscaler::default();
            autoscaler.decide(&worker, None, Some(running), start);
            autoscaler.decide(&worker, None, Some(running), start + Duration::from_secs(second)).explanation
        };
        assert!(told(8, 180).contains("fallback.replicas is 8") && told(9, 180).contains("stays as it is"));
        worker.autoscaling.fallback = Some(Fallback { replicas: 2, after: TimeSpan::from_secs(180) });
        assert_eq!(wanted(&mut autoscaler, &worker, start, &[(1000, None)]), [5]);
    }
}
