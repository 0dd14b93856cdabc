//! 80 tasks a second, for ten minutes.
//!
//! Takes: the load. Gives: changes of the number of pods after half of the time, reversals, and the writes of the
//! operator meanwhile for all pipelines. Does not: count the Lease.

use super::{
    play::{Played, columns, of, play, punctuality},
    rest::operators_writes,
};
use crate::{
    keda::Wish,
    load::Load,
    site::{ALL, Site},
    table::Row,
};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

const RATE: f64 = 80.0;
const LENGTH: Duration = Duration::from_secs(600);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let length = site.arguments.length(LENGTH);
    let mark = site.plane.audit.mark()?;
    let load = Load::of_rate(length, |_| RATE);
    let wish = |flavour| Wish { flavour, min: 1, counts_scheduled: false, cooldown: None };
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 50});
    let played = play(site, "steady", &load, (1, &autoscaling), wish).await?;
    let half = length.as_secs_f64() / 2.0;
    let late = ALL.map(|contender| of(&played, contender).map(|played| changes(played, half, length.as_secs_f64())));
    let [punctual, tuned, default] = columns(&played, punctuality);
    let [ours_late, tuned_late, default_late] =
        late.map(|late| late.map_or("-".to_owned(), |(changes, back)| format!("{changes}, {back}")));
    let mut requests = site.plane.audit.since(mark)?;
    requests.retain(|request| played.first().is_some_and(|played| is_late(request.at, played.began, length)));
    let (figures, others): (Vec<_>, Vec<_>) =
        operators_writes(&requests).into_iter().partition(|request| request.resource == "signuppipelines/status");
    let minutes = length.as_secs() / 60;
    Ok(vec![
        Row {
            what: format!("80 tasks/s for {minutes} min: changes after half of it, reversals among them"),
            ours: ours_late,
            tuned: tuned_late,
            default: default_late,
            reach: "<= 1, 0",
            is_reached: late[0].map(|(changes, back)| changes <= 1 && back == 0),
        },
        Row {
            what: "of its tasks within 10 s, p99".into(),
            ours: punctual,
            tuned,
            default,
            reach: "-",
            is_reached: None,
        },
        Row::ours(
            "writes of the operator in the second half: status (figures that left their step), others",
            format!("{}, {}", figures.len(), others.len()),
            "<= 2 a minute, 0",
            others.is_empty() && figures.len() as f64 <= (length.as_secs_f64() / 60.0).max(1.0),
        ),
    ])
}

/// Whether a time is in the second half of the load.
fn is_late(at: Timestamp, began: Timestamp, length: Duration) -> bool {
    let after = at.duration_since(began).as_secs_f64();
    (length.as_secs_f64() / 2.0..length.as_secs_f64()).contains(&after)
}

/// Changes between two times, and how many went back.
fn changes(played: &Played, from: f64, to: f64) -> (usize, usize) {
    let (mut last, mut grew, mut changes, mut back) = (None, None, 0, 0);
    for (at, number) in &played.numbers {
        let is_change = last.is_some_and(|last| last != *number);
        if is_change && (from..to).contains(at) {
            let grows = last.is_some_and(|last| *number > last);
            changes += 1;
            back += usize::from(grew.is_some_and(|grew| grew != grows));
            grew = Some(grows);
        }
        last = Some(*number);
    }
    (changes, back)
}
