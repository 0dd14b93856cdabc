//! Redis is away for ten minutes, amid load.
//!
//! Takes: a Redis of its own, a pipeline without a fallback and one with, from zero. Gives: writes meanwhile, the
//! second of the fallback, and the time to the right decision after the return. Does not: lose what Redis holds: it is
//! killed and started again, and writes to its disk.

use super::bursts::time;
use crate::{
    load::{Side, task},
    ours,
    site::Site,
    table::Row,
};
use jiff::Timestamp;
use serde_json::json;
use servers::Redis;
use std::time::Duration;

const NAMESPACE: &str = "away";
const LENGTH: Duration = Duration::from_secs(600);
const FALLBACK_AFTER: f64 = 30.0;
const FALLBACK_REPLICAS: u32 = 3;

pub(super) async fn measure(site: &Site<'_>) -> anyhow::Result<Vec<Row>> {
    let mut redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"])?;
    let [plain, fallback] =
        ["plain", "fallback"].map(|name| Side { name: name.to_owned(), uri: redis.fresh_database() });
    ours::namespace(&site.client, NAMESPACE).await?;
    ours::pipeline(&site.client, NAMESPACE, &plain, &json!({"minReplicas": 0, "maxReplicas": 50})).await?;
    let with_fallback = json!({"minReplicas": 0, "maxReplicas": 50, "cooldownPeriod": "0s",
        "fallback": {"replicas": FALLBACK_REPLICAS, "after": format!("{FALLBACK_AFTER}s")}});
    ours::pipeline(&site.client, NAMESPACE, &fallback, &with_fallback).await?;
    let tasks: Vec<_> = (0..200).map(|_| task(Timestamp::now(), Duration::from_secs(1))).collect();
    plain.enqueue(&tasks).await?;
    let follows = async || ours::pods(&site.client, NAMESPACE, &plain).await.is_some_and(|(pods, _)| pods == 20);
    site.wait("20 pods are asked for", follows).await?;
    let made = async || ours::pods(&site.client, NAMESPACE, &fallback).await.is_some();
    site.wait("the other is made", made).await?;
    let mark = site.plane.audit.mark()?;
    let began = Timestamp::now();
    redis.kill();
    let length = site.arguments.length(LENGTH).max(Duration::from_secs(45));
    tokio::time::sleep(length).await;
    let requests = site.plane.audit.since(mark)?;
    let numbers = |side: &Side| {
        let name = side.deployment();
        let writes = requests.iter().filter_map(move |request| Some((request.at, request.scales(NAMESPACE, &name)?)));
        writes.collect::<Vec<_>>()
    };
    let (kept, fell) = (numbers(&plain).len(), numbers(&fallback));
    let mark = site.plane.audit.mark()?;
    redis.start_again()?;
    let returned = Timestamp::now();
    let more: Vec<_> = (0..800).map(|_| task(returned, Duration::from_secs(1))).collect();
    plain.enqueue(&more).await?;
    let name = plain.deployment();
    let is_right = |request: &crate::audit::Request| (request.scales(NAMESPACE, &name)? == 50).then_some(request.at);
    let right = site.plane.audit.first(mark, Duration::from_secs(60), is_right).await?;
    let after = right.map(|at| at.duration_since(returned).as_secs_f64());
    let second =
        fell.iter().find(|(_, pods)| *pods == FALLBACK_REPLICAS).map(|(at, _)| at.duration_since(began).as_secs_f64());
    Ok(vec![
        Row::ours(
            format!("Redis away for {} s under load, no fallback: writes of the number", length.as_secs()),
            kept.to_string(),
            "0",
            kept == 0,
        ),
        Row::ours(
            format!("fallback after {FALLBACK_AFTER:.0} s, from zero: second of the write"),
            second.map_or("never".to_owned(), |second| format!("{second:.1} s")),
            "+- 1 s",
            second.is_some_and(|second| (second - FALLBACK_AFTER).abs() <= 1.0),
        ),
        Row::ours(
            "from its return, with 800 tasks, to the right decision",
            after.map_or("not within 60 s".to_owned(), time),
            "<= 1 s",
            after.is_some_and(|after| after <= 1.0),
        ),
    ])
}
