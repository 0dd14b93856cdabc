//! The number of workers follows a real Redis.

use super::operator_run::{MINIMAL, Run};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v1::Scale};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use queue::{Client, Connection, Task};
use serde_json::json;

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}

async fn with_redis(uri: &str, autoscaling: &str) -> Run {
    let mut run = Run::new().await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.secret("app-redis", &[("uri", uri)]).await;
    let worker = format!("spec:\n  worker: {{concurrency: 10, autoscaling: {autoscaling}}}\n");
    run.pipeline(&MINIMAL.replace("spec:\n", &worker)).await;
    run.start();
    run
}

async fn enqueue(uri: &str, count: usize) {
    let client = Client::new(Connection::open(uri, None).expect("a URI"));
    let task = || Task { queue: "critical".into(), ..Task::new("test", Vec::new()) };
    let tasks: Vec<Task> = std::iter::repeat_with(task).take(count).collect();
    client.enqueue_many(&tasks).await.expect("Redis takes them");
}

async fn redis() -> String {
    tokio::task::spawn_blocking(|| servers::redis().fresh_database()).await.expect("Redis starts")
}

#[tokio::test]
async fn workers_follow_the_queue_from_zero_and_the_decision_is_told_in_words() {
    let uri = redis().await;
    let run = with_redis(&uri, "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 0s}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(0)).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    enqueue(&uri, 25).await;
    let scaled = run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    let owner = |deployment: &Deployment| {
        let mut managers = deployment.managed_fields().iter();
        managers
            .find(|entry| entry.manager.as_deref() == Some("signup-operator-scaler"))
            .and_then(|entry| entry.subresource.clone())
    };
    assert_eq!(owner(&scaled).as_deref(), Some("scale"));
    let desired = |pipeline: &SignupPipeline| Some(pipeline.status.as_ref()?.autoscaling.as_ref()?.desired);
    let pipeline: SignupPipeline = run.wait("demo", |pipeline| desired(pipeline) == Some(3)).await;
    let status = pipeline.status.expect("it is there");
    assert_eq!(
        status.autoscaling.expect("it is there").explanation,
        "25 running or due (0 running), 10 at once per worker: 3"
    );
    assert_eq!(status.tasks.expect("it is there").due, 25);
    enqueue(&uri, 100).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(5)).await;
}

#[tokio::test]
async fn a_manual_scale_is_overridden_in_mode_auto() {
    let run = with_redis(&redis().await, "{minReplicas: 2, maxReplicas: 5}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    let params = PatchParams { field_manager: Some("kubectl".into()), ..PatchParams::default() };
    let _: Scale = run.api::<Deployment>().patch_scale("demo-worker", &params, &patch).await.expect("it is accepted");
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
}

#[tokio::test]
async fn beside_an_autoscaler_the_operator_stands_down_and_says_so() {
    let uri = redis().await;
    let run = with_redis(&uri, "{minReplicas: 2, maxReplicas: 5}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    let params = PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    run.api::<Deployment>().patch_scale("demo-worker", &params, &patch).await.expect("it is accepted");
    let condition = run.condition("ScalingActive", "False", "ForeignWriter").await;
    assert!(condition.message.contains("autoscaling.mode to External"), "{}", condition.message);
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(4));
}

#[tokio::test]
async fn in_mode_external_the_replicas_of_the_resource_are_the_deployments() {
    let run = with_redis(&redis().await, "{mode: External}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(1)).await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    run.api::<SignupPipeline>().patch_scale("demo", &PatchParams::default(), &patch).await.expect("it is accepted");
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(4)).await;
}
