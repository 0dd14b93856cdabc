//! 2,000 tasks due at one instant, with no pod before.
//!
//! Takes: the load. Gives: lateness and pod-seconds, beside the best that could be done by who knows the instant: all
//! pods that ours had at once, ready at the instant, gone with the last task. Ours knows how long a pod takes to start,
//! and has no cool-down. Does not: count what KEDA would do
//! without its third trigger, by which it sees tasks that are not due yet: it would never start a pod.

use super::play::{POD_START, Played, columns, of, play, punctuality};
use crate::{
    keda::{Flavour, Wish},
    kubelet::CONCURRENCY,
    load::Load,
    site::{Contender, Site},
    table::Row,
};
use serde_json::json;
use std::time::Duration;

const TASKS: usize = 2000;
/// When they are put in, after the beginning, and when they are due.
const PUT_IN: Duration = Duration::from_secs(1);
const DUE: Duration = Duration::from_secs(120);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let due = site.arguments.length(DUE).max(Duration::from_secs(30));
    let load = Load::silence(due).with(PUT_IN, due, TASKS);
    let autoscaling = json!({"minReplicas": 0, "maxReplicas": 50, "cooldownPeriod": "0s",
        "lookAhead": {"startupTime": format!("{}s", POD_START.as_secs())}});
    let tuned = |flavour| flavour == Flavour::Tuned;
    let wish = |flavour| Wish { flavour, min: 0, counts_scheduled: tuned(flavour), cooldown: None };
    let played = play(site, "batch", &load, (0, &autoscaling), wish).await?;
    Ok(rows(&played))
}

/// p99 of the lateness, and pod-seconds.
fn best(pods: i32) -> (f64, f64) {
    let slots = CONCURRENCY * usize::try_from(pods).unwrap_or(1).max(1);
    let rounds = TASKS.div_ceil(slots);
    let last = (TASKS * 99).div_ceil(100).div_ceil(slots) - 1;
    (last as f64, f64::from(pods) * (POD_START.as_secs_f64() + rounds as f64))
}

fn rows(played: &[Played]) -> Vec<Row> {
    let Some(ours) = of(played, Contender::Ours).map(|played| &played.figures) else { return Vec::new() };
    let (best_p99, best_cost) = best(ours.most_pods);
    let [punctual, tuned, default] = columns(played, punctuality);
    let is_punctual = ours.never == 0 && ours.p99.is_some_and(|p99| p99 <= best_p99 + 1.0);
    let [cost, tuned_cost, default_cost] = columns(played, |figures| format!("{:.0}", figures.pod_seconds));
    vec![
        Row {
            what: format!(
                "2,000 tasks due at one instant, zero pods: within 10 s, p99 (best possible {best_p99:.1} s)"
            ),
            ours: punctual,
            tuned,
            default,
            reach: "best + 1 s",
            is_reached: Some(is_punctual),
        },
        Row {
            what: format!("pod-seconds of it until a minute later (best possible {best_cost:.0})"),
            ours: cost,
            tuned: tuned_cost,
            default: default_cost,
            reach: "<= 1.2 x best",
            is_reached: Some(ours.pod_seconds <= 1.2 * best_cost),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_a_second_a_round() {
        assert_eq!(best(50), (3.0, 50.0 * 9.0));
        assert_eq!(best(20), (9.0, 20.0 * 15.0));
    }
}
