//! One operator acts, whatever happens to the Lease.
//!
//! Who acted is read from the API server's audit log, which names the pod of every write.

use crate::harness::{Namespace, OPERATOR, Operator, Pipeline, Write, assert_all_acknowledged, writes};
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(400);

/// Writes that are not about the Lease.
fn deeds(since: Timestamp) -> Vec<Write> {
    writes(since).into_iter().filter(|write| !write.is_of_a_lease()).collect()
}

/// Pods whose writes those are.
fn who(deeds: &[Write]) -> BTreeSet<&str> {
    deeds.iter().map(|write| write.pod.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_whose_lease_is_taken_writes_nothing_until_it_has_it_again() {
    let namespace = Namespace::create_alone("lease-taken").await;
    let operator = Operator::of(&namespace.cluster);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    let load = clients.steadily(PAUSE);
    let (before, process) = (operator.leads(None).await, operator.process().await);
    let taken = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 15}});
    operator.leases.patch(OPERATOR, &PatchParams::default(), &Patch::Merge(taken)).await.expect("it is there");
    // It looks at its Lease every 2 s, and ends itself when it is another's.
    operator.has_ended(process).await;
    let ended = Timestamp::now();
    pipeline.patch(json!({"task": {"delay": "2s"}})).await;
    operator.leads(Some(&before)).await;
    pipeline.wait_for("ConfigApplied", "True").await;
    let leases = writes(ended).into_iter().filter(Write::is_of_a_lease);
    let again = leases.filter(|write| write.code < 300).map(|write| write.at).min().expect("it took the Lease");
    let too_soon: Vec<Write> = deeds(ended).into_iter().filter(|write| write.at < again).collect();
    assert_eq!(too_soon, [], "written without the Lease");
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_lease_is_made_anew_by_who_held_it() {
    let namespace = Namespace::create_alone("lease-deleted").await;
    let operator = Operator::of(&namespace.cluster);
    let before = operator.leads(None).await;
    operator.leases.delete(OPERATOR, &DeleteParams::default()).await.expect("it is there");
    assert_eq!(operator.leads(None).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_started_at_once_one_acts_and_writes_each_child_once() {
    let namespace = Namespace::create_alone("two-operators").await;
    let operator = Operator::of(&namespace.cluster);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    let load = clients.steadily(PAUSE);
    operator.scale(0).await;
    let began = Timestamp::now();
    operator.scale(2).await;
    operator.leads(None).await;
    pipeline.patch(json!({"task": {"delay": "2s"}})).await;
    pipeline.wait_for("ConfigApplied", "True").await;
    let acted = deeds(began);
    assert_eq!(who(&acted).len(), 1, "{acted:?}");
    let object = format!("{}/demo-config", namespace.name);
    let maps = acted.iter().filter(|write| write.resource == "configmaps" && write.object == object).count();
    assert_eq!(maps, 1, "{acted:?}");
    // The standby takes over when the leader goes.
    let leader = operator.leads(None).await;
    operator.delete_pod_of(&leader).await;
    let deleted = Instant::now();
    let next = operator.leads(Some(&leader)).await;
    println!("the other leads {:.1} s after the pod was deleted", deleted.elapsed().as_secs_f64());
    pipeline.patch(json!({"task": {"delay": "1s"}})).await;
    pipeline.wait_for("ConfigApplied", "True").await;
    operator.scale(1).await;
    load.stop().await;
    assert_ne!(leader, next);
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}
