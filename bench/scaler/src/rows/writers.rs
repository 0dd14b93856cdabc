//! Others who write: manifests that are applied again and again, and an autoscaler on the same Deployment.
//!
//! Takes: a pipeline under constant load. Gives: changes of the number by re-applied manifests, and the time from an
//! autoscaler's write until the operator says that it stands down. Does not: run pods.

use super::bursts::time;
use crate::{
    load::task,
    objects::{api, apply},
    ours,
    site::Site,
    table::Row,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "writers";
const LENGTH: Duration = Duration::from_secs(300);
const EVERY: Duration = Duration::from_secs(10);

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    ours::namespace(&site.client, NAMESPACE).await?;
    let side = site.side("writers");
    let manifest =
        ours::pipeline(&site.client, NAMESPACE, &side, &json!({"minReplicas": 1, "maxReplicas": 50})).await?;
    let tasks: Vec<_> = (0..100).map(|_| task(Timestamp::now(), Duration::from_secs(1))).collect();
    side.enqueue(&tasks).await?;
    let follows = async || ours::pods(&site.client, NAMESPACE, &side).await.is_some_and(|(pods, _)| pods == 10);
    site.wait("10 pods are asked for", follows).await?;
    let length = site.arguments.length(LENGTH).max(3 * EVERY);
    let (mark, began) = (site.plane.audit.mark()?, Instant::now());
    let mut applied = 0;
    while began.elapsed() < length {
        apply(&site.client, "gitops", manifest.clone()).await?;
        applied += 1;
        tokio::time::sleep(EVERY).await;
    }
    let name = side.deployment();
    let changes = site.plane.audit.since(mark)?.iter().filter_map(|request| request.scales(NAMESPACE, &name)).count();
    let (stood_down, fights) = beside_an_autoscaler(site, &side).await?;
    Ok(vec![
        Row::ours(
            format!("manifest applied again {applied} times: changes of the number"),
            changes.to_string(),
            "0",
            changes == 0,
        ),
        Row::ours(
            "autoscaler attached, from its first write to ForeignWriter; writes of the operator 2 s later and on",
            format!("{}, {fights}", stood_down.map_or("never".to_owned(), time)),
            "<= 2 s, 0",
            stood_down.is_some_and(|seconds| seconds <= 2.0) && fights == 0,
        ),
    ])
}

/// Seconds until it is told, and writes of the operator from 2 s after the autoscaler's first.
async fn beside_an_autoscaler(site: &Site<'_>, side: &crate::load::Side) -> anyhow::Result<(Option<f64>, usize)> {
    let (name, mark) = (side.deployment(), site.plane.audit.mark()?);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "foreign", "namespace": NAMESPACE},
        "spec": {"scaleTargetRef": target, "minReplicas": 20, "maxReplicas": 30}});
    apply(&site.client, "bench", autoscaler).await?;
    let theirs = |request: &crate::audit::Request| {
        request.scales(NAMESPACE, &name).filter(|_| !request.is_ours()).map(|_| request.at)
    };
    let Some(written) = site.plane.audit.first(mark, Duration::from_secs(60), theirs).await? else {
        return Ok((None, 0));
    };
    let pipelines = api(&site.client, ("signup.dev/v1alpha1", "SignupPipeline"), Some(NAMESPACE));
    let mut told = None;
    while told.is_none() && Timestamp::now().duration_since(written).as_secs() < 60 {
        let found = pipelines.get(&side.name).await?;
        let conditions =
            found.data.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        if conditions.iter().any(|condition| condition["reason"] == "ForeignWriter") {
            told = Some(Timestamp::now().duration_since(written).as_secs_f64());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let requests = site.plane.audit.since(mark)?;
    let later = requests.iter().filter(|request| request.is_ours() && request.scales(NAMESPACE, &name).is_some());
    Ok((told, later.filter(|request| request.at.duration_since(written).as_secs_f64() > 2.0).count()))
}
