//! `behavior` and `tolerance` give the HorizontalPodAutoscaler's own answers.
//!
//! Takes: `operator/tests/hpa/vectors.tsv`, which the code of `k8s.io/kubernetes` wrote. Does not: know how it does it.

use super::Autoscaler;
use crate::{
    crd::autoscaling::{Autoscaling, Behavior, ScalingRules},
    scaling::{Limits, Terms, Tolerances, band, bounds},
};
use serde_json::{Value, json};
use std::{
    str::FromStr,
    time::{Duration, Instant},
};

const VECTORS: &str = include_str!("../../../tests/hpa/vectors.tsv");

fn number<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

/// The rules as somebody writes them in the resource.
fn rules(text: &str) -> ScalingRules {
    let mut words = text.split(' ');
    let mut word = || words.next().expect("a window and a selection");
    let mut rules = json!({"stabilizationWindowSeconds": number::<i32>(word())});
    let selection = word();
    if selection != "-" {
        rules["selectPolicy"] = selection.into();
    }
    let policy = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        json!({"type": parts[0], "value": number::<i32>(parts[1]), "periodSeconds": number::<i32>(parts[2])})
    };
    rules["policies"] = words.map(policy).collect::<Vec<Value>>().into();
    serde_json::from_value(rules).expect("rules of the resource")
}

/// Steps of one series whose answer is another.
fn differences(fields: &[&str]) -> Vec<String> {
    let limits = Limits { min: number(fields[1]), max: number(fields[2]), ..Limits::DEFAULT };
    let behavior = Behavior { scale_up: Some(rules(fields[3])), scale_down: Some(rules(fields[4])) };
    let settings = Autoscaling { behavior: Some(behavior), ..Autoscaling::default() };
    let (mut autoscaler, mut now, mut running) = (Autoscaler::default(), Instant::now(), number(fields[5]));
    autoscaler.recommendations.add(running, now);
    let mut different = Vec::new();
    for (at, step) in fields[6..].iter().enumerate() {
        let [waited, recommended, answer] = *step.split(':').collect::<Vec<_>>() else { panic!("{step}") };
        let (recommended, answer) = (number(recommended), number(answer));
        now += Duration::from_millis(number(waited));
        // Whoever was asked for is there: a series has no starts.
        autoscaler.ready(running, now);
        let past = autoscaler.past(&settings, &limits, None, running, now);
        let terms = Terms { recommended, ..Terms::default() };
        let desired = bounds::follow(&terms, &limits, running, &past).desired;
        autoscaler.recommendations.add(recommended, now);
        if desired != answer {
            different.push(format!("step {at}: {running} run, {recommended} recommended: {desired}, not {answer}"));
        }
        if answer != running {
            autoscaler.changed(running, answer, now);
        }
        running = answer;
    }
    different
}

#[test]
fn behavior_gives_the_answers_of_the_horizontal_pod_autoscaler() {
    let all: Vec<Vec<&str>> = VECTORS.lines().map(|line| line.split('\t').collect()).collect();
    let (mut series, mut steps) = (0, 0);
    for fields in all.iter().filter(|fields| fields[0] == "behavior") {
        let different = differences(fields);
        assert!(different.is_empty(), "{}: {}", fields[..6].join(" "), different.join("; "));
        (series, steps) = (series + 1, steps + fields.len() - 6);
    }
    assert!(series >= 500 && steps >= 10_000, "{series} series, {steps} answers");
}

#[test]
fn tolerance_gives_the_answers_of_the_horizontal_pod_autoscaler() {
    let mut answers = 0;
    for line in VECTORS.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[0] != "tolerance" {
            continue;
        }
        let tolerances = Tolerances { up: number(fields[1]), down: number(fields[2]) };
        let (running, per_worker, demand): (u32, f64, f64) = (number(fields[3]), number(fields[4]), number(fields[5]));
        let is_within = band::is_within(demand, running, per_worker, tolerances);
        let given = if is_within { running } else { band::workers(demand, per_worker) };
        assert_eq!(given, number::<u32>(fields[6]), "{line}");
        answers += 1;
    }
    assert!(answers >= 400, "{answers}");
}
