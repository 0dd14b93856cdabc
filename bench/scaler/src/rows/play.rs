//! One load, given to all contenders at once.
//!
//! Takes: a load, the number of pods to begin with, and how each is set up. Gives: figures of each and what happened in
//! the course of time. Does not: judge.

use crate::{
    figures::{Figures, late},
    keda::{Flavour, Wish},
    kubelet,
    load::{Load, Side},
    site::{ALL, Contender, Site},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// From the creation of a pod to its first task.
pub(super) const POD_START: Duration = Duration::from_secs(5);

/// After the last task was put in; what has not begun then never will count as begun.
const TAIL: Duration = Duration::from_secs(60);

/// What one of them did.
pub(super) struct Played {
    pub(super) contender: Contender,
    pub(super) figures: Figures,
    /// When the load began.
    pub(super) began: Timestamp,
    /// Seconds after the beginning, and the number of pods that was written then; the first is what there was.
    pub(super) numbers: Vec<(f64, f64)>,
    /// Seconds after the beginning at which a task was due, and how late it began.
    pub(super) lateness: Vec<(f64, f64)>,
}

pub(super) async fn play(
    site: &Site<'_>,
    namespace: &str,
    load: &Load,
    (min, autoscaling): (u32, &Value),
    wish: impl Fn(Flavour) -> Wish,
) -> anyhow::Result<Vec<Played>> {
    let competition = site.compete(namespace, autoscaling, wish).await?;
    let sides: Vec<Side> = competition.iter().map(|(_, side)| side.clone()).collect();
    let kubelet = kubelet::start(site.client.clone(), namespace, &sides, POD_START, Arc::clone(&site.record), true);
    site.has_pods(namespace, &sides, min.cast_signed()).await?;
    let mark = site.plane.audit.mark()?;
    let began = Timestamp::now();
    load.play(&sides, began).await?;
    tokio::time::sleep(TAIL).await;
    let ended = Timestamp::now();
    let requests = site.plane.audit.since(mark)?;
    let played = competition.iter().map(|(contender, side)| {
        let writes =
            requests.iter().filter_map(|request| Some((request.at, request.scales(namespace, &side.deployment())?)));
        let numbers: Vec<u32> = writes.clone().map(|(_, number)| number).collect();
        let known = site.record.of(&side.name);
        let times = (began.as_millisecond(), ended.as_millisecond());
        let after = |at: i64| (at - began.as_millisecond()) as f64 / 1000.0;
        let written = writes.map(|(at, number)| (after(at.as_millisecond()), f64::from(number)));
        Played {
            contender: *contender,
            began,
            figures: Figures::of(&known, times, load.tasks(), &numbers, min),
            numbers: std::iter::once((0.0, f64::from(min))).chain(written).collect(),
            lateness: known.begun.iter().map(|begun| (after(begun.due), late(begun))).collect(),
        }
    });
    let played = played.collect();
    site.end(namespace, &competition).await?;
    // Pods go by their Deployments, a while after them.
    tokio::spawn(async move {
        tokio::time::sleep(TAIL).await;
        kubelet.abort();
    });
    Ok(played)
}

/// A figure of each in the order of the table's columns; `-` for who did not take part.
pub(super) fn columns(played: &[Played], show: impl Fn(&Figures) -> String) -> [String; 3] {
    ALL.map(|contender| of(played, contender).map_or("-".to_owned(), |played| show(&played.figures)))
}

pub(super) fn of(played: &[Played], contender: Contender) -> Option<&Played> {
    played.iter().find(|played| played.contender == contender)
}

/// In target, p99, tasks that never began.
pub(super) fn punctuality(figures: &Figures) -> String {
    let p99 = figures.p99.map_or("-".to_owned(), |p99| format!("{p99:.1} s"));
    let never = if figures.never > 0 { format!(", {} never", figures.never) } else { String::new() };
    format!("{:.2} %, {p99}{never}", figures.in_target)
}
