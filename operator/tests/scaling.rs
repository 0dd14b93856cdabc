//! The number of workers for hand-made queue depths.

use operator::{
    crd::autoscaling::AutoscalingMode::{self, Auto, DryRun, External, Off},
    scaling::{Decision, Depth, LimitedBy, Limits, Recommendations, decide},
};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits { mode: Auto, min: 1, max: 10, replicas: 3, concurrency: 16 };

fn depth(pending: u64, active: u64, due_soon: u64) -> Depth {
    Depth { pending, active, due_soon, paused: false }
}

/// Name, depths, recommended, desired, limit.
type Case = (&'static str, Vec<Depth>, u32, u32, Option<LimitedBy>);

#[test]
fn workers_follow_the_work_between_the_limits() {
    let paused = Depth { paused: true, ..depth(1000, 0, 1000) };
    let paused_and_busy = Depth { paused: true, ..depth(1000, 17, 0) };
    let cases: [Case; 10] = [
        ("an empty queue", vec![depth(0, 0, 0)], 0, 1, Some(LimitedBy::MinReplicas)),
        ("no queue", vec![], 0, 1, Some(LimitedBy::MinReplicas)),
        ("one task", vec![depth(1, 0, 0)], 1, 1, None),
        ("a full worker", vec![depth(16, 0, 0)], 1, 1, None),
        ("one task more", vec![depth(16, 1, 0)], 2, 2, None),
        ("scheduled tasks that come due soon", vec![depth(0, 0, 33)], 3, 3, None),
        ("the sum of the queues", vec![depth(10, 0, 0), depth(0, 4, 3)], 2, 2, None),
        ("more than the most", vec![depth(100_000, 0, 0)], 6250, 10, Some(LimitedBy::MaxReplicas)),
        ("a paused queue", vec![paused], 0, 1, Some(LimitedBy::MinReplicas)),
        ("what still runs in a paused queue", vec![paused_and_busy], 2, 2, None),
    ];
    for (name, depths, recommended, desired, limited_by) in cases {
        let decision = decide(Some(&depths), &LIMITS, 1, 0);
        assert_eq!(
            (decision.recommended, decision.desired, decision.limited_by),
            (recommended, desired, limited_by),
            "{name}"
        );
    }
}

#[test]
fn with_a_minimum_of_zero_an_empty_queue_needs_nobody_and_a_task_due_soon_needs_one() {
    let limits = Limits { min: 0, ..LIMITS };
    assert_eq!(decide(Some(&[depth(0, 0, 0)]), &limits, 1, 0).desired, 0);
    assert_eq!(decide(Some(&[depth(0, 0, 1)]), &limits, 0, 0).desired, 1);
}

#[test]
fn nothing_shrinks_before_the_cool_down_is_over() {
    let held = decide(Some(&[depth(0, 0, 0)]), &LIMITS, 5, 4);
    assert_eq!((held.desired, held.limited_by), (4, Some(LimitedBy::Cooldown)));
    let grown_meanwhile = decide(Some(&[depth(0, 0, 0)]), &LIMITS, 2, 4);
    assert_eq!(grown_meanwhile.desired, 2, "an old recommendation starts nobody");
}

#[test]
fn busy_workers_stay_when_the_maximum_is_lowered() {
    let limits = Limits { max: 2, ..LIMITS };
    let decision = decide(Some(&[depth(0, 64, 0)]), &limits, 4, 0);
    assert_eq!((decision.desired, decision.limited_by), (4, Some(LimitedBy::Busy)));
}

#[test]
fn without_an_answer_of_redis_the_number_stays() {
    let decision = decide(None, &LIMITS, 7, 0);
    assert_eq!(
        (decision.desired, decision.explanation.as_str()),
        (7, "Redis does not answer, so the number stays as it is")
    );
    assert_eq!(decide(None, &LIMITS, 0, 0).desired, 1, "but never below the minimum");
}

#[test]
fn the_other_modes_follow_worker_replicas() {
    for mode in [DryRun, External, Off] {
        let decision = decide(Some(&[depth(1000, 0, 0)]), &Limits { mode, ..LIMITS }, 1, 0);
        assert_eq!(decision.desired, 3, "{mode:?}");
        assert!(decision.explanation.contains("worker.replicas is 3"), "{}", decision.explanation);
    }
}

#[test]
fn each_decision_explains_itself() {
    let explain = |depths: &[Depth], limits: &Limits, recent| decide(Some(depths), limits, 5, recent).explanation;
    let dry = Limits { mode: AutoscalingMode::DryRun, ..LIMITS };
    let cases = [
        (explain(&[depth(0, 0, 0)], &LIMITS, 0), "nothing is due; minReplicas is 1"),
        (explain(&[depth(20, 4, 0)], &LIMITS, 0), "24 running or due (4 running), 16 at once per worker: 2"),
        (
            explain(&[depth(500, 0, 0)], &LIMITS, 0),
            "500 running or due (0 running), 16 at once per worker: 32; maxReplicas is 10",
        ),
        (explain(&[depth(0, 0, 0)], &LIMITS, 9), "nothing is due; more were needed within cooldownPeriod"),
        (explain(&[depth(1, 0, 0)], &dry, 0), "worker.replicas is 3; Auto would say: 1 running or due"),
    ];
    for (explanation, expected) in cases {
        assert!(explanation.starts_with(expected), "{explanation}");
    }
}

#[test]
fn the_cool_down_remembers_the_most_and_forgets_it_in_time() {
    let (mut past, start, period) = (Recommendations::default(), Instant::now(), Duration::from_secs(60));
    for (second, recommended) in [(0, 5), (10, 2), (20, 3), (30, 1)] {
        past.add(recommended, start + Duration::from_secs(second));
    }
    for (second, most) in [(30, 5), (59, 5), (60, 3), (79, 3), (80, 1), (90, 0)] {
        assert_eq!(past.most_within(period, start + Duration::from_secs(second)), most, "after {second} s");
    }
}

fn any_depth() -> impl Strategy<Value = Depth> {
    (0u64..500, 0u64..500, 0u64..500, any::<bool>()).prop_map(|(pending, active, due_soon, paused)| Depth {
        pending,
        active,
        due_soon,
        paused,
    })
}

proptest! {
    #[test]
    fn auto_stays_between_the_limits_and_never_cuts_what_is_busy(
        depths in prop::collection::vec(any_depth(), 0..5), min in 0u32..5, above in 0u32..20, running in 0u32..40,
        recent in 0u32..40, concurrency in 1u32..64,
    ) {
        let limits = Limits { mode: Auto, min, max: min + above, replicas: 0, concurrency };
        let Decision { desired, .. } = decide(Some(&depths), &limits, running, recent);
        let active: u64 = depths.iter().map(|depth| depth.active).sum();
        let busy = u32::try_from(active.div_ceil(concurrency.into())).unwrap_or(u32::MAX).min(running);
        prop_assert!(desired >= min);
        prop_assert!(desired >= busy);
        prop_assert!(desired <= limits.max.max(busy));
    }
}
