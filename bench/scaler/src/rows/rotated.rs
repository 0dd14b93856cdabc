//! A Secret that changes, with Secrets watched.
//!
//! Takes: a pipeline with ten workers, and the Secret of its mail server, changed again and again. Gives: the time from
//! the change to the write upon which the kubelet brings it to each pod. Does not: run that kubelet, whose own share
//! comes on top.

use super::{bursts::time, play::POD_START};
use crate::{
    audit::Request,
    figures::percentile,
    kubelet,
    objects::apply,
    ours,
    site::{Contender, Site},
    table::Row,
};
use jiff::Timestamp;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const NAMESPACE: &str = "rotated";
const SECRET: &str = "mail";
const WORKERS: i32 = 10;
const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let client = &site.client;
    ours::namespace(client, NAMESPACE).await?;
    let side = site.side(NAMESPACE);
    rotate(site, 0).await?;
    // Pods come with the Secret, or they would be replaced for its sake.
    let mut pipeline = ours::pipeline(client, NAMESPACE, &side, &json!({"minReplicas": 0})).await?;
    pipeline["spec"]["mail"]["smtp"]["authSecretRef"] = json!({"name": SECRET});
    pipeline["spec"]["worker"]["autoscaling"] = json!({"minReplicas": WORKERS, "maxReplicas": WORKERS});
    apply(client, "bench", pipeline).await?;
    let sides = std::slice::from_ref(&side);
    let kubelet = kubelet::start(client.clone(), NAMESPACE, sides, POD_START, Arc::clone(&site.record), true);
    site.has_pods(NAMESPACE, sides, WORKERS).await?;
    let (mut took, (rounds, _)) = (Vec::new(), site.arguments.bursts());
    for round in 1..=rounds {
        took.extend(one(site, round).await?);
    }
    site.end(NAMESPACE, &[(Contender::Ours, side)]).await?;
    kubelet.abort();
    let [p50, p95] = [0.5, 0.95].map(|share| percentile(&took, share));
    let show = |seconds: Option<f64>| seconds.map_or("-".to_owned(), time);
    Ok(vec![Row::ours(
        format!("Secret changed {rounds} times, watched, to the write for each of {WORKERS} pods: p50, p95"),
        format!("{}, {}", show(p50), show(p95)),
        "p95 <= 5 s",
        took.len() == rounds * WORKERS.unsigned_abs() as usize && p95.is_some_and(|p95| p95 <= 5.0),
    )])
}

async fn rotate(site: &Site<'_>, round: usize) -> anyhow::Result<()> {
    let metadata = json!({"name": SECRET, "namespace": NAMESPACE});
    let data = json!({"username": "bench", "password": format!("round {round}")});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
    apply(&site.client, "bench", secret).await?;
    Ok(())
}

/// Seconds for each pod, by the audit log.
async fn one(site: &Site<'_>, round: usize) -> anyhow::Result<Vec<f64>> {
    let (mark, began) = (site.plane.audit.mark()?, Timestamp::now());
    rotate(site, round).await?;
    loop {
        let requests = site.plane.audit.since(mark)?;
        let here = || requests.iter().filter(|request| request.namespace == NAMESPACE && request.is_write());
        let changed = here().find(|request| request.resource == "secrets" && request.name == SECRET);
        let is_sync = |request: &&Request| request.resource == "pods" && request.is_ours();
        let mut synced: BTreeMap<&str, Timestamp> = BTreeMap::new();
        here().filter(is_sync).for_each(|sync| _ = synced.entry(&sync.name).or_insert(sync.at));
        let is_over = Timestamp::now().duration_since(began).unsigned_abs() > LIMIT;
        if let Some(changed) = changed
            && (is_over || synced.len() >= WORKERS.unsigned_abs() as usize)
        {
            return Ok(synced.values().map(|at| at.duration_since(changed.at).as_secs_f64()).collect());
        }
        anyhow::ensure!(!is_over, "the API server logs no change of the Secret");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
