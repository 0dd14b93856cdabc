//! Scale-downs amid tasks of a minute, where a pod has 30 s to end.
//!
//! Takes: 4 such tasks a second, later 0.4, so that most pods are too many while all of them may be busy. Gives: tasks
//! that were cut. Does not: end before the last task can have ended.

use super::play::{columns, of, play};
use crate::{
    keda::Wish,
    load::Load,
    site::{Contender, Site},
    table::Row,
};
use serde_json::json;
use std::time::Duration;

const TAKES: Duration = Duration::from_secs(60);
/// HorizontalPodAutoscalers shrink five minutes after the load.
const LENGTH: Duration = Duration::from_secs(780);
const BUSY: Duration = Duration::from_secs(120);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let length = site.arguments.length(LENGTH).max(4 * TAKES);
    let quiet = length.saturating_sub(TAKES * 3 / 2);
    let rate = |at: Duration| match at {
        at if at < BUSY.min(length / 4) => 4.0,
        at if at < quiet => 0.4,
        _ => 0.0,
    };
    let load = Load::of_rate(length, rate).taking(TAKES);
    let wish = |flavour| Wish { flavour, min: 1, counts_scheduled: false, cooldown: None };
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 50, "cooldownPeriod": "30s"});
    let played = play(site, "drain", &load, (1, &autoscaling), wish).await?;
    let [ours, tuned, default] = columns(&played, |figures| {
        let cost = figures.pod_seconds;
        format!("{}, {} (at most {} pods, {cost:.0} pod-seconds)", figures.cut, figures.never, figures.most_pods)
    });
    let cut = |contender| of(&played, contender).map(|played| played.figures.cut);
    Ok(vec![Row {
        what: format!("scale-downs amid {} tasks of 60 s, 30 s to end: tasks cut, never begun", load.tasks()),
        ours,
        tuned,
        default,
        reach: "0 cut",
        is_reached: cut(Contender::Ours).map(|cut| cut == 0),
    }])
}
