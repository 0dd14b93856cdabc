//! The number of workers for hand-made queue depths.

use operator::{
    crd::autoscaling::AutoscalingMode::{self, DryRun, External, Off},
    scaling::{Decision, Depth, LimitedBy, Limits, Past, decide},
};
use proptest::prelude::*;

const LIMITS: Limits = Limits { replicas: 3, ..Limits::DEFAULT };

fn depth(pending: u64, active: u64, due_soon: u64) -> Depth {
    Depth { pending, active, due_soon, ..Depth::default() }
}

/// So many were recommended within the cool-down.
fn recent(most: u32) -> Past {
    Past { most, ..Past::default() }
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
        let decision = decide(Some(&depths), &LIMITS, 1, &recent(0));
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
    assert_eq!(decide(Some(&[depth(0, 0, 0)]), &limits, 1, &recent(0)).desired, 0);
    assert_eq!(decide(Some(&[depth(0, 0, 1)]), &limits, 0, &recent(0)).desired, 1);
}

#[test]
fn nothing_shrinks_before_the_cool_down_is_over() {
    let held = decide(Some(&[depth(0, 0, 0)]), &LIMITS, 5, &recent(4));
    assert_eq!((held.desired, held.limited_by), (4, Some(LimitedBy::Cooldown)));
    let grown_meanwhile = decide(Some(&[depth(0, 0, 0)]), &LIMITS, 2, &recent(4));
    assert_eq!(grown_meanwhile.desired, 2, "an old recommendation starts nobody");
}

#[test]
fn growth_and_shrinking_go_as_far_as_the_past_allows_and_the_limits_come_first() {
    let (full, empty) = ([depth(1000, 0, 0)], [depth(0, 0, 0)]);
    let past = Past { grow_to: 6, shrink_to: 4, ..Past::default() };
    let cases = [
        ("growth", &full, 5, LIMITS, past, 6, Some(LimitedBy::ScaleUp)),
        ("growth in its window", &full, 5, LIMITS, Past { fewest: Some(5), ..past }, 5, Some(LimitedBy::ScaleUp)),
        (
            "an old low recommendation stops nobody",
            &full,
            5,
            LIMITS,
            Past { fewest: Some(2), ..past },
            5,
            Some(LimitedBy::ScaleUp),
        ),
        ("shrinking", &empty, 5, LIMITS, past, 4, Some(LimitedBy::ScaleDown)),
        ("a raised minimum", &empty, 1, Limits { min: 8, ..LIMITS }, past, 8, Some(LimitedBy::MinReplicas)),
        ("a lowered maximum", &full, 9, Limits { max: 3, ..LIMITS }, past, 3, Some(LimitedBy::MaxReplicas)),
    ];
    for (name, depths, running, limits, past, desired, limited_by) in cases {
        let decision = decide(Some(depths), &limits, running, &past);
        assert_eq!((decision.desired, decision.limited_by), (desired, limited_by), "{name}");
    }
}

#[test]
fn busy_workers_stay_when_the_maximum_is_lowered() {
    let limits = Limits { max: 2, ..LIMITS };
    let decision = decide(Some(&[depth(0, 64, 0)]), &limits, 4, &recent(0));
    assert_eq!((decision.desired, decision.limited_by), (4, Some(LimitedBy::Busy)));
}

#[test]
fn without_an_answer_of_redis_the_number_stays() {
    let decision = decide(None, &LIMITS, 7, &recent(0));
    assert_eq!(
        (decision.desired, decision.explanation.as_str()),
        (7, "Redis does not answer, so the number stays as it is")
    );
    assert_eq!(decide(None, &LIMITS, 0, &recent(0)).desired, 1, "but never below the minimum");
    assert_eq!(decide(None, &LIMITS, 12, &recent(0)).desired, 12, "nobody knows which of them are busy");
}

#[test]
fn the_other_modes_follow_worker_replicas() {
    for mode in [DryRun, External, Off] {
        let decision = decide(Some(&[depth(1000, 0, 0)]), &Limits { mode, ..LIMITS }, 1, &recent(0));
        assert_eq!(decision.desired, 3, "{mode:?}");
        assert!(decision.explanation.contains("worker.replicas is 3"), "{}", decision.explanation);
    }
}

#[test]
fn each_decision_explains_itself() {
    let explain = |depths: &[Depth], limits: &Limits, most| decide(Some(depths), limits, 5, &recent(most)).explanation;
    let dry = Limits { mode: AutoscalingMode::DryRun, ..LIMITS };
    let cases = [
        (explain(&[depth(0, 0, 0)], &LIMITS, 0), "nothing is due; minReplicas is 1"),
        (explain(&[depth(20, 4, 0)], &LIMITS, 0), "24 running or due (4 running), 16 at once per worker: 2"),
        (
            explain(&[depth(500, 0, 0)], &LIMITS, 0),
            "500 running or due (0 running), 16 at once per worker: 32; maxReplicas is 10",
        ),
        (explain(&[depth(0, 0, 0)], &LIMITS, 9), "nothing is due; more were needed within cooldownPeriod"),
        (explain(&[depth(1, 0, 0)], &dry, 0), "worker.replicas is 3; Auto would have 1: 1 running or due"),
    ];
    for (explanation, expected) in cases {
        assert!(explanation.starts_with(expected), "{explanation}");
    }
}

fn any_depth() -> impl Strategy<Value = Depth> {
    (0u64..500, 0u64..500, 0u64..500, any::<bool>()).prop_map(|(pending, active, due_soon, paused)| Depth {
        pending,
        active,
        due_soon,
        paused,
        ..Depth::default()
    })
}

fn any_past() -> impl Strategy<Value = Past> {
    (0u32..40, prop::option::of(0u32..40), 0u32..60, 0u32..40).prop_map(|(most, fewest, grow_to, shrink_to)| Past {
        most,
        fewest,
        grow_to,
        shrink_to,
        ..Past::default()
    })
}

proptest! {
    #[test]
    fn auto_stays_between_the_limits_and_never_cuts_what_is_busy(
        depths in prop::collection::vec(any_depth(), 0..5), min in 0u32..5, above in 0u32..20, running in 0u32..40,
        past in any_past(), concurrency in 1u32..64,
    ) {
        let limits = Limits { min, max: min + above, concurrency, ..LIMITS };
        let Decision { desired, .. } = decide(Some(&depths), &limits, running, &past);
        let active: u64 = depths.iter().map(|depth| depth.active).sum();
        let busy = u32::try_from(active.div_ceil(concurrency.into())).unwrap_or(u32::MAX).min(running);
        prop_assert!(desired >= min);
        prop_assert!(desired >= busy);
        prop_assert!(desired <= limits.max.max(busy));
        prop_assert!(desired <= past.grow_to.min(past.fewest.unwrap_or(u32::MAX)).max(running).max(min));
        prop_assert!(desired >= past.most.max(past.shrink_to).min(running).min(limits.max));
    }
}
