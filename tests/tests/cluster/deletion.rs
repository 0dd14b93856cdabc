//! What is deleted, and what is not: PostgreSQL keeps every mail that is owed.

use crate::harness::{Namespace, Operator, PATIENCE, Pipeline, Sibling, acknowledged, assert_all_acknowledged, until};
use serde_json::json;
use std::time::Duration;

/// Kinds of all children.
const CHILDREN: &str = "deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,\
                        ingresses,networkpolicies,poddisruptionbudgets";
const SIGNUPS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_deleted_with_mails_owed_leaves_them_to_the_next_one() {
    let namespace = Namespace::create("deleted-owing").await;
    let pipeline = Pipeline::apply(&namespace, json!({"task": {"delay": "45s"}})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(SIGNUPS, 3).await;
    assert_all_acknowledged(&clients);
    namespace.kubectl(&["delete", "signuppipeline", "demo", "--timeout=60s"]);
    until("nothing of the pipeline is left", PATIENCE, async || {
        let own = "app.kubernetes.io/instance=demo";
        match namespace.kubectl(&["get", CHILDREN, "--selector", own, "--output", "name"]) {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        }
    })
    .await;
    let owed = namespace.stores.database.owed().await.expect("PostgreSQL answers");
    assert_eq!((owed, namespace.inbox.mails().await.len()), (SIGNUPS as i64, 0));
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    namespace.settle().await;
    let report = namespace.check(&clients).await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, SIGNUPS);
    assert!(!pipeline.status().await.to_string().contains("RedisShared"), "its predecessor is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_deleted_while_no_operator_runs_goes_and_its_neighbours_stay() {
    let namespace = Namespace::create_alone("neighbour").await;
    let operator = Operator::of(&namespace.cluster);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    let doomed = Sibling::create(&namespace, "doomed").await;
    pipeline.ready().await;
    doomed.has_pods().await;
    let clients = pipeline.clients();
    let load = clients.steadily(Duration::from_millis(400));
    operator.scale(0).await;
    doomed.delete().await;
    let before = acknowledged(&clients);
    operator.scale(1).await;
    operator.leads(None).await;
    pipeline.patch(json!({"task": {"delay": "2s"}})).await;
    pipeline.wait_for("ConfigApplied", "True").await;
    until("signups went on", PATIENCE, async || {
        if acknowledged(&clients) > before { Ok(()) } else { Err(format!("{before} signups")) }
    })
    .await;
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}
