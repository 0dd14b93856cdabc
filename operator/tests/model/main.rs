//! A discrete-event model of the decision: hours in seconds, without Redis or pods, by the code that the operator runs.
//!
//! `cargo test -p operator --test model -- --nocapture` prints the figures. The traces are those that scalers of queues
//! are judged by: steady load, load that moves, a batch at one instant. Does not: replace `make bench-scaler`, where
//! pods, Redis and the API server are real.

mod world;

use world::{Ms, Outcome, Random, World};

const SECOND: Ms = 1_000;
const MINUTE: Ms = 60 * SECOND;
/// `targetLatency`.
const TARGET: Ms = 10 * SECOND;

/// Tasks of a step at a rate per second, at random times.
fn poisson(per_second: f64, step: Ms, random: &mut Random) -> usize {
    let (mut tasks, mut at) = (0, random.exponential(1000.0 / per_second));
    while at < step as f64 {
        tasks += 1;
        at += random.exponential(1000.0 / per_second);
    }
    tasks
}

fn print(name: &str, outcome: &mut Outcome) {
    let (changes, reversals) = outcome.changes_since(0);
    println!(
        "{name}: {} tasks, {:.3} % in target, p99 {} ms, longest {} ms, {:.0} pod-seconds, {changes} changes, \
            {reversals} reversals",
        outcome.late.len(),
        100.0 * outcome.in_target(TARGET),
        outcome.percentile(99),
        outcome.percentile(100),
        outcome.pod_seconds,
    );
}

#[test]
fn steady_load_changes_the_number_once_at_most_after_the_fifth_minute() {
    for seed in 1..=3 {
        let world = World::new("{minReplicas: 1, maxReplicas: 100}", seed);
        let mut outcome = world.run(60 * MINUTE, |_, step, random| poisson(80.0, step, random));
        print(&format!("steady 80 tasks/s, 60 min, seed {seed}"), &mut outcome);
        let (changes, reversals) = outcome.changes_since(5 * MINUTE);
        assert!(changes <= 1 && reversals == 0, "{:?}", outcome.changes);
        assert!(outcome.in_target(TARGET) > 0.999 && outcome.cut == 0);
    }
}

#[test]
fn mixed_load_of_two_hours_is_in_target() {
    for seed in 1..=2 {
        let mut world = World::new("{minReplicas: 1, maxReplicas: 100}", seed);
        for batch in 1..8 {
            (0..1500).for_each(|_| world.schedule(batch * 15 * MINUTE));
        }
        let mut outcome = world.run(120 * MINUTE, |now, step, random| {
            let wave = (now as f64 / (20.0 * MINUTE as f64) * std::f64::consts::TAU).sin();
            let burst = if now > 0 && now.is_multiple_of(13 * MINUTE) { 1000 } else { 0 };
            burst + poisson(40.0 + 30.0 * wave, step, random)
        });
        print(&format!("mixed, 2 h, seed {seed}"), &mut outcome);
        assert!(outcome.in_target(TARGET) >= 0.999, "{}", outcome.in_target(TARGET));
        assert_eq!(outcome.cut, 0);
    }
}

#[test]
fn a_batch_at_one_instant_finds_its_workers_running() {
    let mut world = World::new("{minReplicas: 0, maxReplicas: 100, lookAhead: {startupTime: 6s}}", 1);
    // Some tasks before it, from which the time of a task is known.
    (0..400).for_each(|number| world.schedule(5 * MINUTE + number * 100));
    (0..2000).for_each(|_| world.schedule(20 * MINUTE));
    let mut outcome = world.run(30 * MINUTE, |_, _, _| 0);
    print("2 000 tasks at one instant, from zero", &mut outcome);
    assert_eq!((outcome.late.len(), outcome.cut), (2400, 0));
    assert!(outcome.percentile(99) <= TARGET, "{}", outcome.percentile(99));
    let at_the_batch = outcome.changes.iter().rfind(|(at, ..)| *at <= 20 * MINUTE);
    assert!(at_the_batch.is_some_and(|(at, _, to)| *at >= 20 * MINUTE - 10 * SECOND && *to > 10), "{at_the_batch:?}");
}
