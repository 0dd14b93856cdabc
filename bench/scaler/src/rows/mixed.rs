//! The mixed load: 10 to 70 tasks a second in waves, with bursts and batches due at one instant.
//!
//! Takes: the load, and where pictures go. Gives: punctuality, pod-seconds and changes of all three, and two pictures.
//! Does not: last as long as in the model, which covers two hours.

use super::play::{Played, columns, of, play, punctuality};
use crate::{
    keda::{Flavour, Wish},
    load::Load,
    picture,
    site::{Contender, Site},
    table::Row,
};
use serde_json::json;
use std::{f64::consts::TAU, time::Duration};

const LENGTH: Duration = Duration::from_secs(1200);
const WAVE: f64 = 600.0;

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let length = site.arguments.length(LENGTH);
    let wish = |flavour| Wish { flavour, min: 1, counts_scheduled: false, cooldown: None };
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 50});
    let played = play(site, "mixed", &load(length), (1, &autoscaling), wish).await?;
    if let Some(folder) = &site.arguments.pictures {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("scaling-replicas.svg"), replicas(&played, length))?;
        std::fs::write(folder.join("scaling-lateness.svg"), lateness(&played, length))?;
    }
    Ok(rows(&played, length))
}

/// A burst of 1,000 at a quarter and at three quarters, 1,500 due at one instant at half of the time.
fn load(length: Duration) -> Load {
    let rate = |at: Duration| 40.0 - 30.0 * (TAU * at.as_secs_f64() / WAVE).cos();
    let at = |share: u32| length * share / 20;
    Load::of_rate(length, rate).with(at(5), at(5), 1000).with(at(6), at(10), 1500).with(at(15), at(15), 1000)
}

fn replicas(played: &[Played], length: Duration) -> String {
    let lines = played.iter().map(|played| (played.contender.word(), played.numbers.clone())).collect::<Vec<_>>();
    picture::steps("Pods asked for", length.as_secs_f64(), &lines)
}

/// The latest of each ten seconds.
fn lateness(played: &[Played], length: Duration) -> String {
    let lines = played.iter().map(|played| {
        let mut latest = vec![0.0_f64; length.as_secs() as usize / 10 + 1];
        for (due, late) in &played.lateness {
            if let Some(most) = latest.get_mut((due / 10.0).max(0.0) as usize) {
                *most = most.max(*late);
            }
        }
        let points = latest.iter().enumerate().map(|(ten, late)| (ten as f64 * 10.0, *late));
        (played.contender.word(), points.collect::<Vec<_>>())
    });
    picture::steps(
        "Seconds from due to begun, the latest of each 10 s",
        length.as_secs_f64(),
        &lines.collect::<Vec<_>>(),
    )
}

fn rows(played: &[Played], length: Duration) -> Vec<Row> {
    let figures = |contender| of(played, contender).map(|played| &played.figures);
    let Some(ours) = figures(Contender::Ours) else { return Vec::new() };
    let [punctual, tuned, default] = columns(played, punctuality);
    let [cost, tuned_cost, default_cost] = columns(played, |figures| format!("{:.0}", figures.pod_seconds));
    let [changes, tuned_changes, default_changes] =
        columns(played, |figures| format!("{} ({})", figures.changes, figures.reversals));
    let costs = |flavour, most: f64| {
        let theirs = figures(Contender::Keda(flavour));
        theirs.map(|theirs| ours.pod_seconds <= most * theirs.pod_seconds)
    };
    let is_cheap = [costs(Flavour::Default, 1.05), costs(Flavour::Tuned, 0.95)];
    vec![
        Row {
            what: format!("mixed load, {} min: within 10 s, p99", length.as_secs() / 60),
            ours: punctual,
            tuned,
            default,
            reach: ">= 99.9 %",
            is_reached: Some(ours.in_target >= 99.9),
        },
        Row {
            what: "pod-seconds of it".into(),
            ours: cost,
            tuned: tuned_cost,
            default: default_cost,
            reach: "<= 1.05 x default, <= 0.95 x tuned",
            is_reached: is_cheap.into_iter().flatten().reduce(|one, other| one && other),
        },
        Row {
            what: "changes of the number of pods (reversals); tasks that were cut".into(),
            ours: format!("{changes}; {}", ours.cut),
            tuned: tuned_changes,
            default: default_changes,
            reach: "-",
            is_reached: None,
        },
    ]
}
