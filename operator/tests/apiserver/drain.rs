//! Workers that are too many leave one by one, amid no task.

use super::{
    api_server::until,
    operator_run::Run,
    scaling::{redis, replicas, with_redis},
    worker_process::{Tasks, Worker},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, events::v1::Event};
use kube::ResourceExt;
use operator::crd::SignupPipeline;
use queue::{Connection, Inspector, ServerInfo};
use serde_json::json;

pub(super) const TWO: &str = "{minReplicas: 2, maxReplicas: 2, cooldownPeriod: 0s}";

/// Two workers, as the operator wants them.
pub(super) async fn wanted(slots: usize) -> (Run, String) {
    let uri = redis().await;
    let run = with_redis(&uri, TWO).await;
    run.edit(json!({"worker": {"concurrency": slots}})).await;
    count(&run, 2).await;
    (run, uri)
}

pub(super) async fn count(run: &Run, workers: i32) -> Deployment {
    run.wait("demo-worker", |deployment| replicas(deployment) == Some(workers)).await
}

pub(super) async fn edit(run: &Run, autoscaling: serde_json::Value) {
    run.edit(json!({"worker": {"autoscaling": autoscaling}})).await;
}

/// Waits until each pod's worker says this in its heartbeat: its status, and how many tasks it runs.
pub(super) async fn heartbeats(uri: &str, expected: &[(&str, &str, u32)]) {
    let inspector = Inspector::new(Connection::open(uri, None).expect("a URI"));
    until(&format!("heartbeats say {expected:?}"), async || {
        let servers = inspector.servers().await.ok()?;
        let says = |(pod, status, running): &(&str, &str, u32)| {
            let found =
                |server: &ServerInfo| (&*server.host, &*server.status, server.running) == (*pod, *status, *running);
            servers.iter().any(found)
        };
        expected.iter().all(says).then_some(())
    })
    .await;
}

/// The pod, once its deletion cost is this.
pub(super) async fn with_cost(run: &Run, pod: &str, cost: Option<&str>) -> Pod {
    let known = |pod: &Pod| pod.annotations().get("controller.kubernetes.io/pod-deletion-cost").cloned();
    run.wait(pod, |found: &Pod| known(found).as_deref() == cost).await
}

fn version(object: &impl ResourceExt) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).expect("etcd's revision")
}

/// Events of a reason: their type and how often each was told.
async fn events(run: &Run, reason: &str) -> Vec<(String, i32)> {
    let all = run.api::<Event>().list(&Default::default()).await.expect("it answers").items.into_iter();
    let ours = all.filter(|event| event.reason.as_deref() == Some(reason));
    let told = |event: Event| (event.type_.unwrap_or_default(), event.series.map_or(1, |series| series.count));
    ours.map(told).collect()
}

pub(super) async fn told_once(run: &Run, reason: &str, type_: &str) {
    until(&format!("{reason} is told"), async || (!events(run, reason).await.is_empty()).then_some(())).await;
    assert_eq!(events(run, reason).await, [(type_.to_owned(), 1)], "{reason}");
}

#[tokio::test]
async fn the_idle_worker_leaves_without_another_task_and_takes_some_again_when_load_returns() {
    let ((run, uri), tasks) = (wanted(1).await, Tasks::new());
    let workers = [Worker::start(&run, &uri, "critical", 1).await, Worker::start(&run, &uri, "critical", 1).await];
    heartbeats(&uri, &[(&workers[0].pod, "active", 0), (&workers[1].pod, "active", 0)]).await;
    tasks.enqueue(&uri, "first").await;
    let busy = tasks.runs("first").await;
    let idle = workers.iter().map(|worker| worker.pod.clone()).find(|pod| *pod != busy).expect("there are two");
    heartbeats(&uri, &[(&busy, "active", 1), (&idle, "active", 0)]).await;
    edit(&run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    let scaled = count(&run, 1).await;
    heartbeats(&uri, &[(&busy, "active", 1), (&idle, "stopped", 0)]).await;
    let leaving = with_cost(&run, &idle, Some("-1000")).await;
    assert!(version(&leaving) < version(&scaled), "a ReplicaSet could have chosen the busy one");
    with_cost(&run, &busy, None).await;
    told_once(&run, "DrainStarted", "Normal").await;
    // Nothing holds this one, but that nobody takes it before the first has ended.
    tasks.release("second");
    tasks.enqueue(&uri, "second").await;
    tasks.release("first");
    assert_eq!(tasks.runs("second").await, busy);
    edit(&run, json!({"maxReplicas": 2})).await;
    tasks.enqueue(&uri, "third").await;
    tasks.enqueue(&uri, "fourth").await;
    count(&run, 2).await;
    with_cost(&run, &idle, None).await;
    let mut by = [tasks.runs("third").await, tasks.runs("fourth").await];
    by.sort();
    let mut both = [busy.clone(), idle.clone()];
    both.sort();
    assert_eq!(by, both);
    heartbeats(&uri, &[(&busy, "active", 1), (&idle, "active", 1)]).await;
    told_once(&run, "DrainCancelled", "Normal").await;
    told_once(&run, "DrainStarted", "Normal").await;
    assert!(events(&run, "DrainTimedOut").await.is_empty());
}

#[tokio::test]
async fn a_task_that_runs_is_waited_for_and_no_longer_than_drain_timeout() {
    let ((run, uri), tasks) = (wanted(2).await, Tasks::new());
    let mut workers = Vec::new();
    // The second worker is alone with free slots when its tasks come.
    for names in [["a", "b"], ["c", "d"]] {
        let worker = Worker::start(&run, &uri, "critical", 2).await;
        for name in names {
            tasks.enqueue(&uri, name).await;
            assert_eq!(tasks.runs(name).await, worker.pod);
        }
        workers.push(worker);
    }
    tasks.release("b");
    tasks.release("d");
    let [first, second] = [&*workers[0].pod, &*workers[1].pod];
    heartbeats(&uri, &[(first, "active", 1), (second, "active", 1)]).await;
    edit(&run, json!({"minReplicas": 1, "maxReplicas": 1})).await;
    // Of two that are as busy the younger one leaves.
    heartbeats(&uri, &[(first, "active", 1), (second, "stopped", 1)]).await;
    let waits = |pipeline: &SignupPipeline| {
        let told = pipeline.status.as_ref().and_then(|status| status.autoscaling.as_ref());
        told.is_some_and(|told| told.desired == 1 && told.explanation.contains("finish their mails first"))
    };
    run.wait("demo", waits).await;
    told_once(&run, "DrainStarted", "Normal").await;
    count(&run, 2).await;
    with_cost(&run, second, None).await;
    assert!(events(&run, "DrainTimedOut").await.is_empty());
    edit(&run, json!({"drain": {"timeout": "0s"}})).await;
    count(&run, 1).await;
    with_cost(&run, second, Some("-1000")).await;
    with_cost(&run, first, None).await;
    told_once(&run, "DrainTimedOut", "Warning").await;
    assert!(events(&run, "DrainCancelled").await.is_empty());
}
