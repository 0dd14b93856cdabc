//! Many pipelines created at once, which stay as residents of the parts that follow.
//!
//! Takes: the number. Gives: the time to the last child and status, how long edits waited meanwhile, and the memory.
//! Does not: give them pods.

use crate::{load::Side, objects::api, ours, site::Site, table::Row};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(super) const NAMESPACE: &str = "residents";
const PIPELINE: (&str, &str) = ("signup.dev/v1alpha1", "SignupPipeline");
const REACH: Duration = Duration::from_secs(120);

/// They shrink at once, so that a burst leaves nothing for the next measurement.
pub(super) fn autoscaling() -> Value {
    json!({"minReplicas": 0, "maxReplicas": 50, "cooldownPeriod": "0s"})
}

/// The first of the residents, of which bursts are measured.
pub(super) fn resident(site: &Site<'_>, number: usize) -> Side {
    // Residents have the first databases: they are made before any other side.
    let database = u32::try_from(number + 1).unwrap_or(u32::MAX);
    Side { name: format!("p{number}"), uri: site.redis.uri(database) }
}

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let count = site.arguments.residents();
    ours::namespace(&site.client, NAMESPACE).await?;
    let idle_mib = site.operator.resident_mib()?;
    let sides: Vec<Side> = (0..count).map(|number| site.side(&format!("p{number}"))).collect();
    let began = Instant::now();
    let create = async |side: &Side| ours::pipeline(&site.client, NAMESPACE, side, &autoscaling()).await.map(drop);
    create(&sides[0]).await?;
    let others = stream::iter(&sides[1..]).map(create).buffer_unordered(16).try_collect::<Vec<()>>();
    let (others, edits) = tokio::join!(others, edit(&site.client));
    others?;
    edits?;
    site.wait("all children and statuses", async || is_whole(&site.client, count).await).await?;
    let took = began.elapsed();
    let (in_a_second, turns) = site.operator.turns_of_edits().await?;
    let mib = site.operator.resident_mib()?;
    Ok(vec![
        Row::ours(
            format!("{count} pipelines created at once, to the last child and status"),
            format!("{:.0} s", took.as_secs_f64()),
            "<= 120 s",
            took <= REACH,
        ),
        Row::ours(
            "turns of an edit meanwhile that waited more than 1 s",
            format!("{} of {turns}", turns - in_a_second),
            "<= 2 s each",
            turns > 0 && turns == in_a_second,
        ),
        Row::ours(
            format!("memory of the operator before, and with {count} pipelines"),
            format!("{idle_mib:.1} MiB, {mib:.1} MiB"),
            "<= 40 MiB with 1,000",
            mib <= 40.0,
        ),
    ])
}

/// Edits the first one while the others come.
async fn edit(client: &Client) -> anyhow::Result<()> {
    let pipelines = api(client, PIPELINE, Some(NAMESPACE));
    for seconds in 1..=20 {
        let edit = Patch::Merge(json!({"spec": {"task": {"delay": format!("{seconds}s")}}}));
        pipelines.patch("p0", &PatchParams::default(), &edit).await?;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

async fn is_whole(client: &Client, count: usize) -> bool {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    // The Deployments come last of the children.
    let made = deployments.list_metadata(&ListParams::default()).await.map_or(0, |list| list.items.len());
    if made < 2 * count {
        return false;
    }
    let Ok(found) = api(client, PIPELINE, Some(NAMESPACE)).list(&ListParams::default()).await else { return false };
    found.items.iter().all(|pipeline| {
        let seen = pipeline.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
        seen.is_some() && seen == pipeline.metadata.generation
    })
}
