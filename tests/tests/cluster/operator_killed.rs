//! The operator is killed in the middle of a roll-out.
//!
//! Under signups all the time: an edit that changes the configuration and replaces all pods, and at one of its steps
//! the operator is gone. The next one has to wait for the Lease (15 s), finds the roll-out as it was left, and finishes
//! it.

use crate::harness::{Namespace, Operator, PATIENCE, Pipeline, assert_all_acknowledged, holds, kill};
use futures::TryStreamExt as _;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api, ResourceExt as _,
    api::{WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// What the operator has done last when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    ConfigMap,
    FirstDeployment,
    SecondDeployment,
    PodsRoll,
}

/// Killed processes are started again in their pod; deleted pods are replaced. In turns, because the kubelet waits
/// longer with each end of a container.
const STEPS: [(Step, Fault); 6] = [
    (Step::Nothing, Fault::ProcessKilled),
    (Step::ConfigMap, Fault::PodDeleted),
    (Step::FirstDeployment, Fault::ProcessKilled),
    (Step::SecondDeployment, Fault::PodDeleted),
    (Step::PodsRoll, Fault::ProcessKilled),
    (Step::ConfigMap, Fault::PodDeleted),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    ProcessKilled,
    PodDeleted,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_at_any_step_of_a_roll_out_leaves_it_to_the_next_one() {
    let namespace = Namespace::create_alone("operator-killed").await;
    let operator = Operator::of(&namespace.cluster);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    let load = clients.steadily(Duration::from_millis(400));
    for (number, (step, fault)) in STEPS.into_iter().enumerate() {
        let (holder, process) = (operator.leads(None).await, operator.process().await);
        let reached = watch(&pipeline, step).await;
        pipeline.patch(edit(number)).await;
        reached.await;
        match fault {
            Fault::ProcessKilled => kill(process),
            Fault::PodDeleted => operator.delete_pods().await,
        }
        let killed = Instant::now();
        operator.leads(Some(&holder)).await;
        let led = killed.elapsed().as_secs_f64();
        is_rolled_out(&pipeline, number).await;
        let rolled_out = killed.elapsed().as_secs_f64();
        println!("{step:?}, {fault:?}: leads after {led:.1} s, rolled out after {rolled_out:.1} s");
    }
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

/// Changes the configuration and the pods of both parts.
fn edit(number: usize) -> Value {
    let pod = json!({"pod": {"annotations": {"test/edit": number.to_string()}}});
    json!({"task": {"delay": format!("{}s", number + 2)}, "api": pod, "worker": pod})
}

/// A future that ends when the step is done. It watches from now on, so that the edit comes later than it.
async fn watch(pipeline: &Pipeline, step: Step) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    let (client, namespace) = (pipeline.client.clone(), &pipeline.namespace);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let is_edited = |deployment: &Deployment| deployment.metadata.generation;
    match step {
        Step::Nothing => Box::pin(std::future::ready(())),
        Step::ConfigMap => {
            changed(Api::<ConfigMap>::namespaced(client, namespace), "demo-config", |map| map.data.clone()).await
        }
        Step::FirstDeployment => changed(deployments, "demo-api", is_edited).await,
        Step::SecondDeployment => changed(deployments, "demo-worker", is_edited).await,
        Step::PodsRoll => {
            let updated =
                |deployment: &Deployment| deployment.status.as_ref()?.updated_replicas.filter(|pods| *pods < 2);
            changed(deployments, "demo-worker", updated).await
        }
    }
}

async fn changed<K, V>(
    api: Api<K>,
    name: &'static str,
    of_interest: impl Fn(&K) -> V + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = ()>>>
where
    K: kube::Resource + Clone + Debug + serde::de::DeserializeOwned + 'static,
    V: PartialEq + 'static,
{
    let now = api.get(name).await.expect("it is there");
    let before = of_interest(&now);
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = api.watch(&params, &now.resource_version().unwrap_or_default()).await.expect("a watch");
    Box::pin(async move {
        let mut events = std::pin::pin!(events);
        let seen = async {
            while let Some(event) = events.try_next().await.expect("the watch goes on") {
                if let WatchEvent::Modified(object) = event
                    && of_interest(&object) != before
                {
                    return;
                }
            }
            panic!("the watch ended");
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{name} does not change"));
    })
}

/// Every pod is of the newest edit, and the status says so.
async fn is_rolled_out(pipeline: &Pipeline, number: usize) {
    let conditions = [("Reconciling", "False"), ("Ready", "True"), ("ConfigApplied", "True")];
    let all = |object: &Value| conditions.iter().all(|(condition, status)| holds(object, condition, status));
    pipeline.until("the roll-out is finished", PATIENCE, all).await;
    let of_edit = number.to_string();
    for pod in pipeline.pods(None).await {
        assert_eq!(pod.annotations().get("test/edit"), Some(&of_edit), "{}", pod.name_any());
    }
}
