//! A thousand pipelines, 200 and then 800 at once, on a real API server, by the operator as it is shipped.
//!
//! Takes: etcd and kube-apiserver (feature `release-tests`), a real Redis, the operator's program built for release.
//! MANY_PIPELINES sets another number, and OPERATOR_PROGRAM another program, whose memory is told and not judged.
//! Gives: the test below, and the figures on its output. Alone in its process, because the machine is part of what is
//! tested. Does not: run pods; it writes those of the first 200 pipelines, as the Deployment controller and the kubelet
//! would. The others want none.

#[path = "../harness/api_server.rs"]
mod api_server;
mod fleet;
mod judge;
mod operator_process;

use api_server::{OPERATOR_TOKEN, audit, client, config, until};
use fleet::{Fleet, WITH_PODS};
use judge::{Rest, wait_of_edits};
use kube::Client;
use operator_process::OperatorProcess;
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// From the first of those that come at once to the last child and status.
const MAX_START: Duration = Duration::from_secs(120);
/// Trouble makes Secrets be read more often for two minutes, and pipelines without pods have trouble.
const CALM: Duration = Duration::from_secs(240);
/// Resident memory that the operator may have with those that have pods.
const MAX_MIB: f64 = 40.0;
/// Reads of Secrets in a second at rest, where they are not watched.
const MAX_READS: f64 = 55.0;

#[tokio::test]
async fn a_thousand_pipelines_are_served_and_at_rest_nothing_is_written_nor_by_a_new_operator() {
    let client = client().await;
    fleet::grant(&client).await;
    let (fleet, total) = (Fleet::prepare(&client).await, fleet::pipelines());
    let first = WITH_PODS.min(total);
    let operator = start("get").await;
    fleet.apply(0).await;
    until("the first has a status", async || fleet.is_observed(0).await.then_some(())).await;
    create(&fleet, &client, &operator, 1..first).await;
    fleet.write_pods().await;
    within("every status counts its pods", MAX_START, async || fleet.pods_are_counted().await).await;
    operator.judge_memory(MAX_MIB);
    create(&fleet, &client, &operator, first..total).await;
    let rest = servers::until("little but nothing else than Secrets is read", CALM, async || {
        let rest = Rest::look().await.ok_or("something was written")?;
        let is_calm = rest.is_still() && rest.reads_per_second() <= MAX_READS;
        if is_calm { Ok(rest) } else { Err(format!("{rest:?}")) }
    });
    tell("at rest, Secrets read", &operator, &rest.await);
    drop(operator);
    replace(&client, total).await;
}

/// Some pipelines at once, while the first one is edited.
async fn create(fleet: &Fleet, client: &Client, operator: &OperatorProcess, numbers: Range<usize>) {
    let (began, total) = (Instant::now(), numbers.end);
    let (_, edit) = tokio::join!(fleet.apply_all(numbers), fleet.edit_the_first());
    println!("{total}: longest time from an edit to its status meanwhile: {:.1} s", edit.as_secs_f64());
    within("every pipeline has all its children", MAX_START, async || fleet::is_whole(client, total).await).await;
    println!("{total}: all children after {:.1} s", began.elapsed().as_secs_f64());
    within("every pipeline has a status", MAX_START, async || fleet.has_all_statuses(total).await).await;
    println!("{total}: all statuses after {:.1} s", began.elapsed().as_secs_f64());
    println!("{total}: {:.1} MiB", operator.resident_mib());
    println!("{total}: {} requests so far, those of this test included", audit(fleet::NAMESPACE).len());
    assert!(began.elapsed() <= MAX_START, "{:.1} s", began.elapsed().as_secs_f64());
    let waits = wait_of_edits(&operator.metrics().await);
    println!("{total}: turns of edits by how long they waited, in seconds: {waits:?}");
    assert!(waits.longest_at_most(1.0), "{waits:?}");
}

/// What an upgrade does. The new one watches Secrets.
async fn replace(client: &Client, total: usize) {
    let before = judge::requests().len();
    let operator = start("watch").await;
    let took_up = async || operator.reconciles().await >= total;
    within("the new operator has looked at every pipeline", MAX_START, took_up).await;
    let rest = until("nothing is asked for", async || Rest::look().await.filter(|rest| rest.reads == 0)).await;
    tell("after an upgrade, Secrets watched", &operator, &rest);
    let written = judge::writes(before);
    assert!(written.is_empty(), "the new operator wrote {}: {:?}", written.len(), written.iter().take(5));
    assert!(fleet::is_whole(client, total).await, "a pipeline lost a child");
}

fn tell(when: &str, operator: &OperatorProcess, rest: &Rest) {
    let (reads, mib) = (rest.reads_per_second(), operator.resident_mib());
    println!("{when}: {} writes, {reads:.1} reads/s, {mib:.1} MiB", rest.writes);
}

async fn start(access: &str) -> OperatorProcess {
    let operator = OperatorProcess::start(&config().await.cluster_url.to_string(), OPERATOR_TOKEN, access);
    until("the operator leads", async || operator.log().contains("leading").then_some(())).await;
    operator
}

/// As [`until`], for longer.
async fn within(what: &str, limit: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    servers::until(what, limit, async || is_so().await.then_some(()).ok_or_else(String::new)).await;
}
