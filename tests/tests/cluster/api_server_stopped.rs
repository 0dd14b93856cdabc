//! The API server is gone, for a minute or so.
//!
//! Signups need it for nothing. The operator gives up when it cannot renew its Lease, is started again by the kubelet,
//! and works again by itself when the API server is back.

use crate::harness::{Namespace, Operator, Outage, PATIENCE, Pipeline, acknowledged, assert_all_acknowledged, until};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time between signups: 150 of them are a minute.
const PAUSE: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_an_api_server_goes_unnoticed_by_those_who_sign_up() {
    goes_unnoticed("no-api-server", Outage::Killed, 150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_never_answers_goes_unnoticed_by_those_who_sign_up() {
    goes_unnoticed("mute-api-server", Outage::Paused, 60).await;
}

/// The outage lasts until so many signups were acknowledged; it is longer than the Lease.
async fn goes_unnoticed(name: &str, outage: Outage, signups: usize) {
    let namespace = Namespace::create_alone(name).await;
    let operator = Operator::of(&namespace.cluster);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let before = (pipeline.containers().await, operator.leads(None).await);
    let clients = pipeline.clients();
    let load = clients.steadily(PAUSE);
    let out = outage.begin();
    until("signups go on", PATIENCE, async || match acknowledged(&clients) {
        enough if enough >= signups => Ok(()),
        fewer => Err(format!("{fewer} signups")),
    })
    .await;
    out.end();
    // Nobody helps the operator.
    let over = Instant::now();
    operator.leads(Some(&before.1)).await;
    let led = over.elapsed().as_secs_f64();
    pipeline.patch(json!({"task": {"delay": "2s"}})).await;
    pipeline.wait_for("ConfigApplied", "True").await;
    println!(
        "{outage:?}: leads {led:.1} s after it, an edit is in force {:.1} s after it",
        over.elapsed().as_secs_f64()
    );
    load.stop().await;
    assert_eq!(pipeline.containers().await, before.0, "no pod was replaced or restarted");
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}
