//! Somebody else decides the number of workers: a person with kubectl, or a HorizontalPodAutoscaler.
//!
//! An autoscaler enforces its minimum, whatever it measures, and that is all these tests need.

use crate::harness::{Namespace, PATIENCE, Pipeline, holds, until};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

const WORKERS: &str = "demo-worker";

fn mode(name: &str) -> Value {
    json!({"worker": {"autoscaling": {"mode": name, "minReplicas": 1, "maxReplicas": 5}}})
}

async fn deployment(namespace: &Namespace) -> Result<Deployment, String> {
    let api: Api<Deployment> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    api.get(WORKERS).await.map_err(|error| error.to_string())
}

async fn until_wanted(namespace: &Namespace, workers: i32) {
    until(&format!("the Deployment wants {workers} workers"), PATIENCE, async || {
        let wanted = deployment(namespace).await?.spec.and_then(|spec| spec.replicas);
        if wanted == Some(workers) { Ok(()) } else { Err(format!("{wanted:?}")) }
    })
    .await;
}

/// The operator works through an edit of something else, and neither it nor the other writer touches the Deployment
/// meanwhile.
async fn assert_nobody_fights(namespace: &Namespace, pipeline: &Pipeline) {
    let before = deployment(namespace).await.expect("it is there").metadata.generation;
    for retries in [3, 4, 5] {
        pipeline.patch(json!({"task": {"maxRetries": retries}})).await;
        pipeline.wait_for("ConfigApplied", "True").await;
    }
    assert_eq!(deployment(namespace).await.expect("it is there").metadata.generation, before, "somebody wrote to it");
}

async fn autoscaler(namespace: &Namespace, minimum: i32, target: Value) {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let autoscaler = json!({
        "metadata": {"name": "workers"},
        "spec": {"scaleTargetRef": target, "minReplicas": minimum, "maxReplicas": 5},
    });
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(autoscaler).expect("an autoscaler");
    api.create(&PostParams::default(), &autoscaler).await.expect("it is taken");
}

fn the_pipeline() -> Value {
    json!({"apiVersion": "signup.dev/v1alpha1", "kind": "SignupPipeline", "name": "demo"})
}

fn the_deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKERS})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_scale_of_the_pipeline_holds_in_the_modes_off_and_external() {
    let namespace = Namespace::create("kubectl-scale").await;
    let pipeline = Pipeline::apply(&namespace, mode("Off")).await;
    pipeline.ready().await;
    for (name, workers) in [("Off", 3), ("External", 2), ("External", 0), ("External", 1)] {
        pipeline.patch(mode(name)).await;
        namespace.kubectl(&["scale", "signuppipeline/demo", &format!("--replicas={workers}")]);
        until_wanted(&namespace, workers).await;
        let count = |object: &Value| object["status"]["worker"]["replicas"] == json!(workers);
        pipeline.until("the status counts the workers", PATIENCE, count).await;
        assert_nobody_fights(&namespace, &pipeline).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_of_the_pipeline_decides_in_mode_external() {
    let namespace = Namespace::create("autoscaled-pipeline").await;
    let pipeline = Pipeline::apply(&namespace, mode("External")).await;
    pipeline.ready().await;
    // An autoscaler takes a number that is not there for 0, which switches it off.
    namespace.kubectl(&["scale", "signuppipeline/demo", "--replicas=1"]);
    until_wanted(&namespace, 1).await;
    autoscaler(&namespace, 3, the_pipeline()).await;
    until_wanted(&namespace, 3).await;
    assert_eq!(pipeline.read().await.expect("it is there")["spec"]["worker"]["replicas"], json!(3));
    assert_nobody_fights(&namespace, &pipeline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_of_the_deployment_decides_in_mode_external() {
    let namespace = Namespace::create("autoscaled-workers").await;
    let pipeline = Pipeline::apply(&namespace, mode("External")).await;
    pipeline.ready().await;
    autoscaler(&namespace, 2, the_deployment()).await;
    until_wanted(&namespace, 2).await;
    assert_nobody_fights(&namespace, &pipeline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_mode_auto_the_operator_stands_down_before_an_autoscaler_until_that_is_gone() {
    let namespace = Namespace::create("autoscaler-in-the-way").await;
    let pipeline = Pipeline::apply(&namespace, mode("Auto")).await;
    pipeline.ready().await;
    autoscaler(&namespace, 3, the_deployment()).await;
    until_wanted(&namespace, 3).await;
    let object = pipeline.until("it says so", PATIENCE, |object| holds(object, "AbleToScale", "False")).await;
    let told = object["status"]["conditions"].to_string();
    assert!(told.contains("HorizontalPodAutoscaler") && told.contains("ForeignWriter"), "{told}");
    assert_nobody_fights(&namespace, &pipeline).await;
    namespace.kubectl(&["delete", "horizontalpodautoscaler", "workers"]);
    until_wanted(&namespace, 1).await;
    pipeline.wait_for("AbleToScale", "True").await;
}
