//! The number of workers for hand-made queue depths.

use operator::{
    crd::autoscaling::AutoscalingMode::{self, DryRun, External, Off},
    scaling::{Decision, Depth, Learnt, LimitedBy, Limits, MailLimits, Past, decide},
};
use proptest::prelude::*;
use std::time::Duration;

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

/// A queue of which is known what arrives in a second, and how long a task takes.
fn known(pending: u64, arrivals_per_s: f64, service_s: f64) -> Depth {
    Depth { learnt: Learnt { arrivals_per_s, service_s: Some(service_s), ..Learnt::default() }, ..depth(pending, 0, 0) }
}

#[test]
fn what_arrives_and_what_waits_is_worked_off_within_the_target() {
    let limits = Limits { min: 0, max: 100, concurrency: 10, ..LIMITS };
    let own_target = Depth { target: Some(Duration::from_secs(100)), ..known(900, 0.0, 1.0) };
    let late = Depth { age: Duration::from_secs(6), ..known(900, 0.0, 1.0) };
    let cases: [(&str, Vec<Depth>, u32); 7] = [
        ("a rate of 45 busy slots, 9 of 10 of each worker", vec![known(0, 45.0, 1.0)], 5),
        ("a backlog of 900 s in 10 s", vec![known(900, 0.0, 1.0)], 10),
        ("both", vec![known(900, 45.0, 1.0)], 15),
        ("a backlog that has 4 s left", vec![late], 25),
        ("a queue with a target of its own", vec![own_target], 1),
        ("never more slots than tasks", vec![known(12, 0.0, 60.0)], 2),
        ("the sum of the queues", vec![known(0, 45.0, 1.0), known(0, 18.0, 1.0)], 7),
    ];
    for (name, depths, recommended) in cases {
        assert_eq!(decide(Some(&depths), &limits, 0, &Past::default()).recommended, recommended, "{name}");
    }
}

#[test]
fn the_time_until_the_backlog_is_done_is_that_of_the_workers_that_run() {
    let limits = Limits { concurrency: 10, ..LIMITS };
    let of = |depths: &[Depth], running| {
        decide(Some(depths), &limits, running, &Past::default()).terms.expect("Redis answers").drain_s()
    };
    assert_eq!(of(&[known(40, 0.0, 2.0), known(20, 9.0, 1.0)], 5), Some(2.0));
    assert_eq!(of(&[known(0, 9.0, 2.0)], 0), Some(0.0));
    assert_eq!(of(&[known(40, 0.0, 2.0)], 0), None, "nothing runs");
    assert_eq!(of(&[depth(1, 0, 0)], 5), None, "nobody knows");
}

#[test]
fn time_that_workers_need_to_start_is_missing_from_the_target() {
    let limits = Limits { min: 0, max: 100, concurrency: 10, ..LIMITS };
    let past = Past { startup: Duration::from_secs(5), ..Past::default() };
    assert_eq!(decide(Some(&[known(900, 0.0, 1.0)]), &limits, 0, &past).recommended, 20);
    let scheduled = Depth { due_in: Duration::from_secs(5), due_soon: 900, ..known(0, 0.0, 1.0) };
    assert_eq!(decide(Some(&[scheduled]), &limits, 0, &past).recommended, 10, "they start meanwhile");
    let starting = Past { starting: Duration::from_secs(5), ..past };
    assert_eq!(decide(Some(&[known(900, 0.0, 1.0)]), &limits, 20, &starting).recommended, 20, "they are under way");
}

#[test]
fn priorities_weigh_what_a_queue_is_sure_of() {
    let limits = Limits { min: 0, max: 100, concurrency: 10, ..LIMITS };
    let queue = |priority, target, depth| Depth { priority, target: Some(Duration::from_secs(target)), ..depth };
    let urgent = || queue(1, 10, known(80, 90.0, 1.0));
    let bulk = || queue(9, 3600, known(900, 0.0, 1.0));
    let of = |strict, depths: Vec<Depth>| {
        decide(Some(&depths), &Limits { strict, ..limits }, 0, &Past::default()).recommended
    };
    assert_eq!(of(false, vec![urgent()]), 11);
    assert_eq!(of(false, vec![urgent(), bulk()]), 19, "a tenth of the slots is its share");
    assert_eq!(of(true, vec![urgent(), bulk()]), 21, "the bulk goes first");
    assert_eq!(of(true, vec![queue(10, 10, urgent()), bulk()]), 11, "it waits behind");
}

#[test]
fn what_limits_is_named_and_told() {
    let full = || known(5000, 0.0, 1.0);
    let limits = Limits { max: 100, ..LIMITS };
    let mail = |connections, per_second| Limits { mail: MailLimits { connections, per_second }, ..limits };
    let later = || Depth { due_later: [0, 0, 0, 400, 400, 400, 400, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..known(0, 0.0, 1.0) };
    let missing = || Depth { missing: true, ..Depth::default() };
    let storm = Past { failing: 0.9, ..Past::default() };
    let ineffective = Past { ineffective: true, ..Past::default() };
    let not_starting = Past { not_starting: true, ..Past::default() };
    let learnt = Past { mail_connections: Some(20), ..Past::default() };
    let ahead = Past { ahead: Duration::from_secs(30), ..Past::default() };
    let cases = [
        (full(), mail(Some(40), None), Past::default(), 3, LimitedBy::Mail, "mail.smtp.maxConnections is 40"),
        (full(), mail(None, Some(60)), Past::default(), 4, LimitedBy::Mail, "mail.smtp.maxPerSecond is 60"),
        (full(), limits, learnt, 2, LimitedBy::Mail, "it lets the workers have 20 connections at once"),
        (full(), limits, storm, 4, LimitedBy::RetryStorm, "90 % of the attempts fail"),
        (full(), limits, ineffective, 2, LimitedBy::Ineffective, "the last growths brought nothing"),
        (full(), limits, not_starting, 2, LimitedBy::NotStarting, "workers that were asked for have not started"),
        (later(), limits, ahead, 2, LimitedBy::LookAhead, "3 are needed for what comes due within 30 s"),
        (missing(), limits, Past::default(), 2, LimitedBy::MissingQueue, "not all queues could be read"),
    ];
    for (depth, limits, past, desired, limit, words) in cases {
        let decision = decide(Some(&[depth]), &limits, 2, &past);
        assert_eq!((decision.desired, decision.limited_by), (desired, Some(limit)), "{}", decision.explanation);
        assert!(decision.explanation.contains(words), "{}", decision.explanation);
    }
}
