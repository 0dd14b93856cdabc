//! A thousand pipelines at once, on a real API server, by the operator as it is shipped.
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
use fleet::Fleet;
use judge::{Rest, wait_of_edits};
use kube::Client;
use operator_process::OperatorProcess;
use std::time::{Duration, Instant};

/// From the first pipeline to the last child and status.
const MAX_START: Duration = Duration::from_secs(120);
/// Resident memory that the operator may have.
const MAX_MIB: f64 = 40.0;
/// Reads of Secrets in a second at rest, where they are not watched.
const MAX_READS: f64 = 55.0;

#[tokio::test]
async fn a_thousand_pipelines_at_once_are_served_and_at_rest_nothing_is_written_nor_by_a_new_operator() {
    let client = client().await;
    fleet::grant(&client).await;
    let fleet = Fleet::prepare(&client).await;
    let operator = start("get").await;
    create(&fleet, &operator).await;
    fleet.write_pods().await;
    within("every status counts its pods", MAX_START, async || fleet.pods_are_counted().await).await;
    let rest = until("nothing but Secrets is asked for", async || Rest::look().await.filter(Rest::is_still)).await;
    tell("at rest, Secrets read", &operator, &rest);
    assert!(rest.reads_per_second() <= MAX_READS, "{rest:?}");
    operator.judge_memory(MAX_MIB);
    drop(operator);
    replace(&client).await;
}

/// All pipelines while one is edited.
async fn create(fleet: &Fleet, operator: &OperatorProcess) {
    let began = Instant::now();
    fleet.apply(0).await;
    until("the first has a status", async || fleet.is_observed(0).await.then_some(())).await;
    let (_, edit) = tokio::join!(fleet.apply_the_others(), fleet.edit_the_first());
    println!("longest time from an edit to its status beside the others: {:.1} s", edit.as_secs_f64());
    within("every pipeline has all its children", MAX_START, async || fleet.has_all_children().await).await;
    println!("all children after {:.1} s, {:.1} MiB", began.elapsed().as_secs_f64(), operator.resident_mib());
    within("every pipeline has a status", MAX_START, async || fleet.has_all_statuses().await).await;
    println!("all statuses after {:.1} s", began.elapsed().as_secs_f64());
    println!("{} requests, those of this test included", audit(fleet::NAMESPACE).len());
    assert!(began.elapsed() <= MAX_START, "{:.1} s", began.elapsed().as_secs_f64());
    let waits = wait_of_edits(&operator.metrics().await);
    println!("turns of edits by how long they waited, in seconds: {waits:?}");
    assert!(waits.longest_at_most(1.0), "{waits:?}");
}

/// What an upgrade does. The new one watches Secrets.
async fn replace(client: &Client) {
    let before = judge::requests().len();
    let operator = start("watch").await;
    let took_up = async || (operator.reconciles().await >= fleet::pipelines()).then_some(());
    within("the new operator has looked at every pipeline", MAX_START, async || took_up().await.is_some()).await;
    let rest = until("nothing is asked for", async || Rest::look().await.filter(|rest| rest.reads == 0)).await;
    tell("after an upgrade, Secrets watched", &operator, &rest);
    let written = judge::writes(before);
    assert!(written.is_empty(), "the new operator wrote {}: {:?}", written.len(), written.iter().take(5));
    assert!(fleet::is_whole(client).await, "a pipeline lost a child");
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
