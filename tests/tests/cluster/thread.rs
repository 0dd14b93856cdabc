//! The thread from the ingress to the mailbox, with nothing broken.

use crate::harness::{Namespace, Pipeline, assert_all_acknowledged};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signup_through_the_ingress_becomes_exactly_one_mail() {
    let namespace = Namespace::create("thread").await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(30, 3).await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    let report = namespace.check(&clients).await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, 30);
}
