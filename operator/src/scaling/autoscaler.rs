//! One pipeline's decisions, snapshot by snapshot.
//!
//! Takes: what each snapshot shows, with its time, each change that was made, and what is known of the workers. Gives:
//! [`decide`]'s decisions, with what the past allows and taught. Does not: read or change anything itself.

#[cfg(test)]
mod hpa_vectors;

use super::{
    Decision, Depth, LimitedBy, Limits, Past, decide,
    guard::{Guard, Pace},
    history::{Changes, Periods, Recommendations},
    rates::{Continuity, Rates},
    speed,
    startup::Startup,
};
use crate::crd::{
    SignupPipelineSpec,
    autoscaling::{Autoscaling, AutoscalingMode, LookAhead, ScalingRules},
};
use std::time::{Duration, Instant};

/// Counters that went backwards are told for so long at least, however short the window of shrinking is.
const RESET_TOLD: Duration = Duration::from_secs(60);

/// The history of one pipeline.
#[derive(Debug, Default)]
pub struct Autoscaler {
    recommendations: Recommendations,
    changes: Changes,
    /// How long changes are kept, by the policies at the last snapshot.
    periods: Periods,
    /// The operator alone decided the number at the last snapshot.
    decides: bool,
    /// Redis has not answered since.
    silent_since: Option<Instant>,
    /// When its counters went backwards last.
    reset_at: Option<Instant>,
    rates: Rates,
    startup: Startup,
    guard: Guard,
    mail_connections: Option<u32>,
}

impl Autoscaler {
    /// Decides. `depths` is `None` while Redis does not answer, `running` is `None` while there is no Deployment yet.
    /// What runs when this begins to decide, while Redis does not answer, or when its counters begin anew, counts as
    /// recommended: nothing is removed before a whole cool-down has been seen.
    pub fn decide(
        &mut self,
        spec: &SignupPipelineSpec,
        depths: Option<&[Depth]>,
        running: Option<u32>,
        now: Instant,
    ) -> Decision {
        let limits = Limits::from(spec);
        let depths = depths.map(|depths| self.learn(depths, &limits));
        let continuity = depths.as_ref().map(|(_, continuity)| *continuity);
        let is_continuous = continuity == Some(Continuity::Goes);
        self.reset_at = if continuity == Some(Continuity::Broken) { Some(now) } else { self.reset_at };
        let depths = depths.map(|(depths, _)| depths);
        let decides = matches!(limits.mode, AutoscalingMode::Auto | AutoscalingMode::DryRun);
        if let Some(running) = running {
            self.startup.wanted(running);
            if decides && !self.decides {
                self.recommendations.add(running, now);
            } else if !is_continuous {
                self.recommendations.add_needed(running, now);
            }
            self.decides = decides;
        }
        self.silent_since = if depths.is_none() { self.silent_since.or(Some(now)) } else { None };
        let running = running.unwrap_or(limits.min);
        let past = self.past(&spec.worker.autoscaling, &limits, depths.as_deref(), running, now);
        let decision = decide(depths.as_deref(), &limits, running, &past);
        if depths.is_some() {
            self.recommendations.add(decision.recommended, now);
        }
        decision
    }

    /// How far ahead of their time tasks count as due: the time that a worker needs to start, as far as it is known.
    pub fn look_ahead(&self, settings: &Autoscaling) -> Duration {
        let LookAhead { enabled, startup_time } = settings.look_ahead;
        if enabled { self.startup.time(startup_time.get()) } else { Duration::ZERO }
    }

    /// Leaves the number to somebody else; after that, deciding begins anew.
    pub fn yield_control(&mut self) {
        self.decides = false;
    }

    /// Another Redis is read from now on: its counters have nothing to do with those before, and what runs counts as
    /// needed, as when deciding begins.
    pub fn moved(&mut self) {
        (self.rates, self.decides) = (Rates::default(), false);
    }

    /// Remembers that the number of workers was changed.
    pub fn changed(&mut self, from: u32, to: u32, now: Instant) {
        self.changes.add(from, to, self.periods, now);
        self.startup.changed(from, to, now);
        self.guard.changed(from, to, self.pace(), now);
    }

    /// Learns from how many workers take tasks how long a start takes; gives what those took that were waited for.
    pub fn ready(&mut self, workers: u32, now: Instant) -> Vec<Duration> {
        self.startup.ready(workers, now)
    }

    /// Learns how many connections the mail server lets all workers together have; `None` while one of them knows no
    /// limit.
    pub fn mail_takes(&mut self, connections: Option<u32>) {
        self.mail_connections = connections;
    }

    fn learn(&mut self, depths: &[Depth], limits: &Limits) -> (Vec<Depth>, Continuity) {
        let continuity = self.rates.read(depths, limits.mail.per_second);
        let learnt = depths.iter().map(|depth| Depth { learnt: self.rates.learnt(&depth.name), ..depth.clone() });
        (learnt.collect(), continuity)
    }

    fn pace(&self) -> Pace {
        let rates = &self.rates;
        Pace { throughput: rates.throughput(), service_s: rates.service(), failing: rates.failing() }
    }

    fn past(
        &mut self,
        settings: &Autoscaling,
        limits: &Limits,
        depths: Option<&[Depth]>,
        running: u32,
        now: Instant,
    ) -> Past {
        let behavior = settings.behavior.as_ref();
        let up = behavior.and_then(|behavior| behavior.scale_up.as_ref());
        let down = behavior.and_then(|behavior| behavior.scale_down.as_ref());
        self.periods = speed::longest(up, down);
        let shrink_window = window(down);
        let shrinking = shrink_window.unwrap_or_else(|| settings.cooldown_period.get());
        let silent = self.silent_since.map(|since| now.saturating_duration_since(since));
        let fallback = settings.fallback.as_ref().filter(|fallback| silent >= Some(fallback.after.get()));
        let first_guess = settings.look_ahead.startup_time.get();
        let startup = self.startup.time(first_guess);
        let waiting = depths.into_iter().flatten().map(Depth::backlog).fold(0, u64::saturating_add);
        let is_behind = waiting > u64::from(running) * u64::from(limits.concurrency.max(1));
        Past {
            most: self.recommendations.most_within(shrinking, now),
            window: if shrink_window.is_some() { LimitedBy::ScaleDown } else { LimitedBy::Cooldown },
            fewest: window(up)
                .filter(|_| running > 0)
                .and_then(|window| self.recommendations.fewest_within(window, now)),
            grow_to: speed::most(up, running, &self.changes, now),
            shrink_to: speed::fewest(down, running, &self.changes, now),
            fallback: fallback.map(|fallback| fallback.replicas.unsigned_abs()),
            reset: self.reset_at.is_some_and(|at| now.saturating_duration_since(at) < shrinking.max(RESET_TOLD)),
            startup,
            starting: self.startup.left(first_guess, now),
            ahead: if settings.look_ahead.enabled { shrinking } else { Duration::ZERO },
            failing: self.rates.failing(),
            ineffective: self.guard.holds(self.pace(), is_behind, startup, now),
            not_starting: self.startup.is_overdue(first_guess, now),
            mail_connections: self.mail_connections,
        }
    }
}

fn window(rules: Option<&ScalingRules>) -> Option<Duration> {
    let seconds = rules?.stabilization_window_seconds?;
    Some(Duration::from_secs(seconds.unsigned_abs().into()))
}

#[cfg(test)]
mod tests {
    use super::{super::Gap, *};
    use crate::crd::{
        autoscaling::{Behavior, Fallback, ScalingPolicy, ScalingPolicyType},
        time_span::TimeSpan,
    };
    use std::sync::LazyLock;

    static IDLE: LazyLock<Vec<Depth>> = LazyLock::new(|| vec![Depth::default()]);
    static FULL: LazyLock<Vec<Depth>> = LazyLock::new(|| vec![Depth { pending: 1000, ..Depth::default() }]);

    /// The minimal sample's: one to ten workers.
    fn minimal() -> SignupPipelineSpec {
        let text = include_str!("../../../samples/minimal.yaml");
        crate::manifest::parse(text).expect("it is valid").pipeline.spec
    }

    /// Workers wanted of 5 that run, at each second with the answer of Redis.
    fn wanted(
        autoscaler: &mut Autoscaler,
        spec: &SignupPipelineSpec,
        start: Instant,
        polls: &[(u64, Option<&[Depth]>)],
    ) -> Vec<u32> {
        let mut poll =
            |second, depths| autoscaler.decide(spec, depths, Some(5), start + Duration::from_secs(second)).desired;
        polls.iter().map(|(second, depths)| poll(*second, *depths)).collect()
    }

    fn behaving(behavior: Behavior) -> SignupPipelineSpec {
        let mut spec = minimal();
        spec.worker.autoscaling.behavior = Some(behavior);
        spec
    }

    fn one_a_minute(window: Option<i32>) -> Option<ScalingRules> {
        let policy = ScalingPolicy { kind: ScalingPolicyType::Pods, value: 1, period_seconds: 60 };
        Some(ScalingRules { stabilization_window_seconds: window, policies: vec![policy], ..ScalingRules::default() })
    }

    #[test]
    fn an_operator_that_starts_anew_lets_the_cool_down_pass_first() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        assert_eq!(spec.worker.autoscaling.cooldown_period.get(), Duration::from_secs(60));
        let polls = [
            (0, Some(IDLE.as_slice())),
            (2, Some(IDLE.as_slice())),
            (59, Some(IDLE.as_slice())),
            (60, Some(IDLE.as_slice())),
        ];
        assert_eq!(wanted(&mut autoscaler, &spec, start, &polls), [5, 5, 5, 1]);
        let first = Autoscaler::default().decide(&spec, Some(IDLE.as_slice()), Some(5), start);
        assert_eq!(first.limited_by, Some(LimitedBy::Cooldown));
    }

    #[test]
    fn the_cool_down_begins_again_when_redis_is_back() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        let polls = [
            (0, Some(IDLE.as_slice())),
            (100, None),
            (200, None),
            (202, Some(IDLE.as_slice())),
            (259, Some(IDLE.as_slice())),
            (260, Some(IDLE.as_slice())),
        ];
        assert_eq!(wanted(&mut autoscaler, &spec, start, &polls), [5, 5, 5, 5, 5, 1]);
    }

    #[test]
    fn counters_that_go_back_are_told_and_nothing_is_removed_for_a_cool_down() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        let mut told = |second: u64, processed| {
            let at = jiff::Timestamp::from_second(i64::try_from(second).expect("it is small")).expect("a time");
            let depths = [Depth { processed, at, ..Depth::default() }];
            let decision = autoscaler.decide(&spec, Some(&depths), Some(5), start + Duration::from_secs(second));
            (decision.desired, decision.gap, decision.explanation.contains("counters of Redis began anew"))
        };
        assert_eq!(told(0, 100), (5, None, false));
        assert_eq!(told(70, 150), (1, None, false));
        let reset = Some(Gap::CounterReset);
        assert_eq!((told(80, 0), told(139, 9)), ((5, reset, true), (5, reset, true)));
        assert_eq!(told(140, 9), (1, None, false));
    }

    #[test]
    fn counters_of_another_redis_teach_nothing_and_nothing_is_removed_for_a_cool_down() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        let mut told = |second: u64, processed, is_other: bool| {
            let at = jiff::Timestamp::from_second(i64::try_from(second).expect("it is small")).expect("a time");
            let depths = [Depth { processed, active: u64::from(second < 90), at, ..Depth::default() }];
            if is_other {
                autoscaler.moved();
            }
            let decision = autoscaler.decide(&spec, Some(&depths), Some(5), start + Duration::from_secs(second));
            let learnt = decision.terms.expect("Redis answers").queues[0].depth.learnt;
            (decision.desired, decision.gap, learnt.service_s.map(f64::round))
        };
        assert_eq!(told(0, 0, false), (5, None, None));
        assert_eq!(told(80, 20, false), (1, None, Some(4.0)));
        // Here it has been at work for years.
        assert_eq!(told(90, 1_000_000, true), (5, None, None));
        assert_eq!(told(149, 1_000_000, false), (5, None, None));
        assert_eq!(told(150, 1_000_000, false), (1, None, None));
    }

    #[test]
    fn the_cool_down_begins_when_the_mode_becomes_auto() {
        let (mut autoscaler, auto, start) = (Autoscaler::default(), minimal(), Instant::now());
        let mut off = minimal();
        (off.worker.replicas, off.worker.autoscaling.mode) = (Some(5), AutoscalingMode::Off);
        assert_eq!(
            wanted(&mut autoscaler, &off, start, &[(0, Some(IDLE.as_slice())), (100, Some(IDLE.as_slice()))]),
            [5, 5]
        );
        let polls = [(102, Some(IDLE.as_slice())), (161, Some(IDLE.as_slice())), (162, Some(IDLE.as_slice()))];
        assert_eq!(wanted(&mut autoscaler, &auto, start, &polls), [5, 5, 1]);
    }

    #[test]
    fn a_deployment_that_is_not_there_yet_begins_no_cool_down() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        assert_eq!(autoscaler.decide(&spec, Some(IDLE.as_slice()), None, start).desired, 1);
        assert_eq!(
            wanted(&mut autoscaler, &spec, start, &[(50, Some(IDLE.as_slice())), (60, Some(IDLE.as_slice()))]),
            [5, 5]
        );
    }

    #[test]
    fn the_cool_down_begins_when_somebody_elses_say_is_over() {
        let (mut autoscaler, spec, start) = (Autoscaler::default(), minimal(), Instant::now());
        assert_eq!(
            wanted(&mut autoscaler, &spec, start, &[(0, Some(IDLE.as_slice())), (60, Some(IDLE.as_slice()))]),
            [5, 1]
        );
        autoscaler.yield_control();
        assert_eq!(
            wanted(&mut autoscaler, &spec, start, &[(100, Some(IDLE.as_slice())), (160, Some(IDLE.as_slice()))]),
            [5, 1]
        );
    }

    #[test]
    fn a_snapshot_that_redis_did_not_answer_does_not_hold_growth_up_and_zero_workers_wait_for_no_window() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let window = ScalingRules { stabilization_window_seconds: Some(30), ..ScalingRules::default() };
        let spec = behaving(Behavior { scale_up: Some(window), scale_down: None });
        let polls = [(0, Some(FULL.as_slice())), (25, None), (29, Some(FULL.as_slice())), (30, Some(FULL.as_slice()))];
        assert_eq!(wanted(&mut autoscaler, &spec, start, &polls), [5, 5, 5, 10]);
        assert_eq!(Autoscaler::default().decide(&spec, Some(FULL.as_slice()), Some(0), start).desired, 4);
    }

    #[test]
    fn growth_waits_for_its_window_and_goes_on_as_its_policies_allow() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let spec = behaving(Behavior { scale_up: one_a_minute(Some(30)), scale_down: None });
        let polls = [(0, Some(FULL.as_slice())), (29, Some(FULL.as_slice())), (30, Some(FULL.as_slice()))];
        assert_eq!(wanted(&mut autoscaler, &spec, start, &polls), [5, 5, 6]);
        autoscaler.changed(5, 6, start + Duration::from_secs(30));
        let mut then = |second| {
            let decision =
                autoscaler.decide(&spec, Some(FULL.as_slice()), Some(6), start + Duration::from_secs(second));
            (decision.desired, decision.limited_by)
        };
        assert_eq!(then(89), (6, Some(LimitedBy::ScaleUp)));
        assert_eq!(then(90), (7, Some(LimitedBy::ScaleUp)));
    }

    #[test]
    fn a_window_of_shrinking_takes_the_place_of_the_cool_down_and_policies_come_after_it() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let spec = behaving(Behavior { scale_up: None, scale_down: one_a_minute(Some(10)) });
        let first = autoscaler.decide(&spec, Some(IDLE.as_slice()), Some(5), start);
        assert_eq!((first.desired, first.limited_by), (5, Some(LimitedBy::ScaleDown)));
        assert_eq!(
            wanted(&mut autoscaler, &spec, start, &[(9, Some(IDLE.as_slice())), (10, Some(IDLE.as_slice()))]),
            [5, 4]
        );
    }

    #[test]
    fn a_fallback_adds_workers_once_redis_is_silent_for_long_and_never_removes_any() {
        let (mut autoscaler, start) = (Autoscaler::default(), Instant::now());
        let mut spec = minimal();
        spec.worker.autoscaling.fallback = Some(Fallback { replicas: 8, after: TimeSpan::from_secs(180) });
        let polls = [
            (0, Some(IDLE.as_slice())),
            (10, None),
            (189, None),
            (190, None),
            (191, Some(IDLE.as_slice())),
            (192, None),
        ];
        assert_eq!(wanted(&mut autoscaler, &spec, start, &polls), [5, 5, 5, 8, 5, 5]);
        let mut gap =
            |second, depths| autoscaler.decide(&spec, depths, Some(5), start + Duration::from_secs(second)).gap;
        assert_eq!(
            [gap(371, None), gap(372, None), gap(373, Some(IDLE.as_slice()))],
            [None, Some(Gap::Fallback), None]
        );
        let told = |running, second| {
            let mut autoscaler = Autoscaler::default();
            autoscaler.decide(&spec, None, Some(running), start);
            autoscaler.decide(&spec, None, Some(running), start + Duration::from_secs(second)).explanation
        };
        assert!(told(8, 180).contains("fallback.replicas is 8") && told(9, 180).contains("stays as it is"));
        spec.worker.autoscaling.fallback = Some(Fallback { replicas: 2, after: TimeSpan::from_secs(180) });
        assert_eq!(wanted(&mut autoscaler, &spec, start, &[(1000, None)]), [5]);
    }
}
