//! What every decision keeps to, whatever the queues, the limits and the past are.

use operator::scaling::{Decision, Depth, Learnt, Limits, MailLimits, Past, Tolerances, decide};
use proptest::prelude::*;
use std::time::Duration;

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn any_depth() -> impl Strategy<Value = Depth> {
    let tasks = (0_u64..2000, 0_u64..300, 0_u64..2000, 0_u64..1000, any::<bool>());
    let times = (seconds(0..60), seconds(0..20), prop::option::of(seconds(1..120)), 1_u32..20);
    let learnt = (0.0..200.0_f64, prop::option::of(0.001..60.0_f64));
    (tasks, times, learnt).prop_map(|(tasks, (age, due_in, target, priority), (arrivals_per_s, service_s))| {
        let (pending, active, due_soon, later, paused) = tasks;
        let mut depth = Depth { pending, active, due_soon, paused, age, due_in, target, priority, ..Depth::default() };
        depth.due_later = std::array::from_fn(|at| due_soon + later * at as u64);
        depth.learnt = Learnt { arrivals_per_s, service_s, ..Learnt::default() };
        depth
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let mail = (prop::option::of(1_u32..200), prop::option::of(1_u32..200));
    let numbers = (0_u32..5, 0_u32..60, 1_u32..40, seconds(1..60));
    (numbers, any::<bool>(), mail, 0.0..0.5_f64, 0.0..0.5_f64).prop_map(
        |((min, above, concurrency, target), strict, (connections, per_second), up, down)| Limits {
            min,
            max: min + above,
            concurrency,
            target,
            strict,
            mail: MailLimits { connections, per_second },
            tolerances: Tolerances { up, down },
            ..Limits::DEFAULT
        },
    )
}

fn any_past() -> impl Strategy<Value = Past> {
    let bounds = (0_u32..60, prop::option::of(0_u32..60), 0_u32..80, 0_u32..60);
    let taught = (seconds(0..30), 0.0..1.0_f64, seconds(0..120), 0.0..1.0_f64, any::<(bool, bool)>());
    let mail = prop::option::of(1_u32..300);
    (bounds, taught, mail).prop_map(|((most, fewest, grow_to, shrink_to), taught, mail_connections)| {
        let (startup, left, ahead, failing, (ineffective, not_starting)) = taught;
        let starting = startup.mul_f64(left);
        let bounds = Past { most, fewest, grow_to, shrink_to, ..Past::default() };
        Past { startup, starting, ahead, failing, ineffective, not_starting, mail_connections, ..bounds }
    })
}

fn busy(depths: &[Depth], limits: &Limits, running: u32) -> u32 {
    let active: u64 = depths.iter().map(|depth| depth.active).sum();
    u32::try_from(active.div_ceil(limits.concurrency.into())).unwrap_or(u32::MAX).min(running)
}

fn any_depths() -> impl Strategy<Value = Vec<Depth>> {
    prop::collection::vec(any_depth(), 1..4)
}

proptest! {
    #[test]
    fn never_fewer_than_busy_and_never_more_than_the_maximum(
        depths in any_depths(), limits in any_limits(), running in 0_u32..80, past in any_past(),
    ) {
        let Decision { desired, .. } = decide(Some(&depths), &limits, running, &past);
        let busy = busy(&depths, &limits, running);
        prop_assert!(desired >= busy && desired >= limits.min && desired <= limits.max.max(busy));
    }

    #[test]
    fn more_backlog_never_asks_for_fewer(
        depths in any_depths(), limits in any_limits(), running in 0_u32..80, past in any_past(),
        (which, pending, due_soon) in (any::<prop::sample::Index>(), 0_u64..500, 0_u64..500),
    ) {
        let before = decide(Some(&depths), &limits, running, &past);
        let mut more = depths.clone();
        let depth = &mut more[which.index(depths.len())];
        (depth.pending, depth.due_soon) = (depth.pending + pending, depth.due_soon + due_soon);
        let after = decide(Some(&more), &limits, running, &past);
        prop_assert!(after.recommended >= before.recommended, "{} -> {}", before.explanation, after.explanation);
        prop_assert!(after.desired >= before.desired, "{} -> {}", before.explanation, after.explanation);
    }

    #[test]
    fn what_waits_in_a_paused_queue_counts_nothing(
        depths in any_depths(), limits in any_limits(), running in 0_u32..80, past in any_past(),
        which in any::<prop::sample::Index>(),
    ) {
        let mut paused = depths.clone();
        let index = which.index(depths.len());
        paused[index].paused = true;
        let mut empty = paused.clone();
        let Depth { active, priority, .. } = paused[index];
        empty[index] = Depth { active, paused: true, priority, ..Depth::default() };
        let [with, without] = [paused, empty].map(|depths| decide(Some(&depths), &limits, running, &past));
        prop_assert_eq!((with.recommended, with.desired), (without.recommended, without.desired));
    }

    #[test]
    fn nothing_changes_inside_the_band(
        depths in any_depths(), limits in any_limits(), running in 1_u32..80, ratio in 0.0..1.0_f64,
    ) {
        // Load that arrives, so much that the demand is in the band.
        let Tolerances { up, down } = limits.tolerances;
        let meant = f64::from(running) * f64::from(limits.concurrency) * 0.9;
        let slots = meant * (1.0 - down + ratio * (up + down)).clamp(1.0 - down + 1e-6, 1.0 + up - 1e-6);
        let learnt = Learnt { arrivals_per_s: slots, service_s: Some(1.0), ..Learnt::default() };
        let depth = Depth { active: depths[0].active, learnt, ..Depth::default() };
        let limits = Limits { min: 0, max: 1000, mail: MailLimits::default(), ..limits };
        prop_assume!(up + down > 1e-5);
        let decision = decide(Some(&[depth]), &limits, running, &Past::default());
        prop_assert_eq!((decision.recommended, decision.desired), (running, running), "{}", decision.explanation);
    }

    #[test]
    fn nothing_shrinks_on_missing_data(
        depths in any_depths(), limits in any_limits(), running in 0_u32..80, past in any_past(),
        which in any::<prop::sample::Index>(),
    ) {
        prop_assert!(decide(None, &limits, running, &past).desired >= running);
        let mut partial = depths.clone();
        partial[which.index(depths.len())] = Depth { missing: true, ..Depth::default() };
        let limits = Limits { max: 1000, mail: MailLimits::default(), ..limits };
        prop_assert!(decide(Some(&partial), &limits, running, &past).desired >= running);
    }
}
