//! From a burst into an empty queue to the write that asks for all pods.
//!
//! Takes: residents without pods, one after the other, and a Deployment of each of KEDA's. Gives: the time from the
//! first byte to Redis until the API server received the first write, and the one that asks for 50. Does not: run the
//! pods; each burst is taken back once it is measured.

use super::created::{self, NAMESPACE};
use crate::{
    figures::percentile,
    keda::Wish,
    load::{Side, task},
    ours,
    site::{ALL, Contender, Site},
    table::Row,
};
use jiff::Timestamp;
use std::time::Duration;

/// Asks for 50 of everybody: nobody knows yet how long a task takes, and 800 / 100 tasks a pod are 8 for KEDA, whose
/// bursts are larger.
const TASKS: usize = 800;
const TASKS_OF_KEDA: usize = 5000;
const PODS: u32 = 50;
const LIMIT: Duration = Duration::from_secs(180);

/// One burst: seconds to the first write, to the one that asks for all, and how many writes that took.
struct Answer {
    first: f64,
    all: f64,
    writes: usize,
}

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let (ours, kedas) = site.arguments.bursts();
    let mut answers: Vec<(Contender, Vec<Option<Answer>>)> = Vec::new();
    let mut of_ours = Vec::new();
    for number in 0..ours.min(site.arguments.residents()) {
        of_ours.push(burst(site, NAMESPACE, &created::resident(site, number), TASKS).await?);
    }
    answers.push((Contender::Ours, of_ours));
    let wish = |flavour| Wish { flavour, min: 0, counts_scheduled: false, cooldown: Some(5) };
    let sides = site.compete("bursts", &created::autoscaling(), wish).await?;
    let others = sides.iter().filter(|(contender, _)| *contender != Contender::Ours);
    let bursts = others.map(async |(contender, side)| {
        let mut answers = Vec::new();
        for _ in 0..kedas {
            answers.push(burst(site, "bursts", side, TASKS_OF_KEDA).await?);
        }
        anyhow::Ok((*contender, answers))
    });
    answers.extend(futures::future::try_join_all(bursts).await?);
    site.end("bursts", &sides).await?;
    Ok(rows(&answers))
}

async fn burst(site: &Site<'_>, namespace: &str, side: &Side, tasks: usize) -> anyhow::Result<Option<Answer>> {
    let is_empty = async || ours::pods(&site.client, namespace, side).await == Some((0, 0));
    site.wait("no pods before a burst", is_empty).await?;
    let mark = site.plane.audit.mark()?;
    let began = Timestamp::now();
    let tasks: Vec<_> = (0..tasks).map(|_| task(began, Duration::from_secs(1))).collect();
    let began = Timestamp::now();
    side.enqueue(&tasks).await?;
    let name = side.deployment();
    let scale = |request: &crate::audit::Request| Some((request.scales(namespace, &name)?, request.at));
    let all = |request: &crate::audit::Request| scale(request).filter(|(pods, _)| *pods == PODS);
    let found = site.plane.audit.first(mark, LIMIT, all).await?;
    let writes: Vec<_> = site.plane.audit.since(mark)?.iter().filter_map(scale).collect();
    site.empty(side)?;
    let Some((_, at)) = found else { return Ok(None) };
    let seconds = |at: Timestamp| at.duration_since(began).as_secs_f64();
    let first = writes.first().map_or(at, |(_, at)| *at);
    let writes = writes.iter().filter(|(_, written)| *written <= at).count();
    Ok(Some(Answer { first: seconds(first), all: seconds(at), writes }))
}

fn rows(answers: &[(Contender, Vec<Option<Answer>>)]) -> Vec<Row> {
    let of = |contender| answers.iter().find(|(found, _)| *found == contender).map(|(_, answers)| &answers[..]);
    let [ours, tuned, default] = ALL.map(of);
    let all = |answers: Option<&[Option<Answer>]>| show(answers, |answer| answer.all, true);
    let first = |answers: Option<&[Option<Answer>]>| show(answers, |answer| answer.first, false);
    let is_reached = |p50: f64, p99: f64, value: fn(&Answer) -> f64| {
        let answers: Vec<f64> = ours.into_iter().flatten().flatten().map(value).collect();
        let within = |share, limit| percentile(&answers, share).is_some_and(|value| value <= limit);
        ours.is_some_and(|ours| ours.iter().all(Option::is_some)) && within(0.5, p50) && within(0.99, p99)
    };
    let one_write = ours.is_some_and(|ours| ours.iter().flatten().all(|answer| answer.writes == 1));
    vec![
        Row {
            what: "burst that needs 50 pods, to the write asking for them: p50, p99, writes".into(),
            ours: all(ours),
            tuned: all(tuned),
            default: all(default),
            reach: "<= 50 ms, <= 200 ms, 1",
            is_reached: Some(is_reached(0.05, 0.2, |answer| answer.all) && one_write),
        },
        Row {
            what: "the same, to the first replica asked, from zero: p50, p99".into(),
            ours: first(ours),
            tuned: first(tuned),
            default: first(default),
            reach: "p99 <= 200 ms",
            is_reached: Some(is_reached(0.2, 0.2, |answer| answer.first)),
        },
    ]
}

fn show(answers: Option<&[Option<Answer>]>, value: fn(&Answer) -> f64, with_writes: bool) -> String {
    let Some(answers) = answers else { return "-".to_owned() };
    let values: Vec<f64> = answers.iter().flatten().map(value).collect();
    let (Some(p50), Some(p99)) = (percentile(&values, 0.5), percentile(&values, 0.99)) else {
        return format!("never within {} s ({})", LIMIT.as_secs(), answers.len());
    };
    let writes = answers.iter().flatten().map(|answer| answer.writes);
    let (fewest, most) = (writes.clone().min().unwrap_or(0), writes.max().unwrap_or(0));
    let writes = if with_writes { format!(", {fewest} to {most} writes") } else { String::new() };
    let missed = answers.iter().filter(|answer| answer.is_none()).count();
    let missed = if missed > 0 { format!(", {missed} never") } else { String::new() };
    format!("{}, {}{writes}{missed} ({})", time(p50), time(p99), answers.len())
}

/// Seconds, with as many digits as they deserve.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
