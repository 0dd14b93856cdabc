//! Worker containers that are killed amid their tasks, as for want of memory.
//!
//! Takes: 12 workers with 100 tasks of a minute, ten of which kill the process that runs them, once. Gives: the time
//! from the end of a process, as the kubelet sees it, to each of its tasks running again; and the same on a node that
//! falls silent, whose workers' leases have to run out. Does not: have a task wait for a free slot: 20 are left.

use super::{bursts::time, play::POD_START};
use crate::{
    figures::percentile,
    kubelet,
    load::{deadly_task, task},
    ours,
    record::Known,
    site::{Contender, Site},
    table::Row,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const WORKERS: i32 = 12;
const TASKS: usize = 100;
const TAKES: Duration = Duration::from_secs(60);
const KILLS: usize = 10;
/// One task of so many is deadly.
const EACH: usize = TASKS / KILLS;
/// All tasks run by the first; between two of them all that it cut runs again.
const FIRST: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(4);
/// Leases of 30 s, 2 s of grace, and a second look.
const LEASE: Duration = Duration::from_secs(40);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let (told, untold) = tokio::try_join!(killed(site, "killed", KILLS, true), killed(site, "silenced", 1, false))?;
    let (kills, all, alone) = (told.killed.len(), away(&told), away(&untold));
    let [p50, p95, leases] = [percentile(&all, 0.5), percentile(&all, 0.95), percentile(&alone, 0.95)];
    let show = |seconds: Option<f64>| seconds.map_or("-".to_owned(), time);
    Ok(vec![Row::ours(
        format!(
            "{kills} worker containers killed amid {} tasks, from the end to a task running again: p50, p95 (leases \
                alone, on a node that fell silent: {})",
            all.len(),
            show(leases)
        ),
        format!("{}, {}", show(p50), show(p95)),
        "p95 <= 2 s",
        p95.is_some_and(|p95| p95 <= 2.0),
    )])
}

/// What became of the tasks of one pipeline.
async fn killed(site: &Site<'_>, name: &str, kills: usize, reports: bool) -> anyhow::Result<Known> {
    ours::namespace(&site.client, name).await?;
    let side = site.side(name);
    let autoscaling = json!({"minReplicas": WORKERS, "maxReplicas": WORKERS});
    ours::pipeline(&site.client, name, &side, &autoscaling).await?;
    let sides = std::slice::from_ref(&side);
    let kubelet = kubelet::start(site.client.clone(), name, sides, POD_START, Arc::clone(&site.record), reports);
    site.has_pods(name, sides, WORKERS).await?;
    let began = Timestamp::now();
    // What a task is due tells it from others.
    let due = |number: usize| began + SignedDuration::from_millis(i64::try_from(number).unwrap_or(i64::MAX));
    let after = |number: usize| FIRST + BETWEEN * u32::try_from(number).unwrap_or(u32::MAX);
    // Workers take them in turns, so that not all of the deadly ones meet in one.
    let one = |number: usize| match (number / EACH, number % EACH) {
        (kill, 0) if kill < kills => deadly_task(due(number), after(kill)),
        _ => task(due(number), TAKES),
    };
    side.enqueue(&(0..TASKS).map(one).collect::<Vec<_>>()).await?;
    tokio::time::sleep(after(kills) + LEASE).await;
    site.end(name, &[(Contender::Ours, side)]).await?;
    kubelet.abort();
    Ok(site.record.of(name))
}

/// Seconds from the end of a process to the next run of each task that it cut.
fn away(known: &Known) -> Vec<f64> {
    let mut runs: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    known.begun.iter().for_each(|begun| runs.entry(begun.due).or_default().push(begun.at));
    let again = runs.values().flat_map(|at| at.iter().skip(1));
    let since = again.filter_map(|at| Some(at - known.killed.iter().filter(|killed| *killed <= at).max()?));
    since.map(|ms| ms as f64 / 1000.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Begun;

    #[test]
    fn a_task_that_runs_again_was_away_since_the_last_end_of_a_process() {
        let begun = [(1, 0), (2, 0), (3, 10), (1, 6000), (2, 11_500)].map(|(due, at)| Begun { due, at });
        let known = Known { begun: begun.to_vec(), killed: vec![5000, 11_000], ..Known::default() };
        assert_eq!(away(&known), [1.0, 0.5]);
    }
}
