//! The number of workers follows a real Redis.

use super::{
    api_server::audit,
    operator_run::{MINIMAL, Run},
};
use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::{v1::Scale, v2::HorizontalPodAutoscaler},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use operator::crd::{SignupPipeline, status::SignupPipelineStatus};
use queue::{Client, Connection, Task};
use serde_json::{Value, json};

pub(super) fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}

pub(super) async fn with_redis(uri: &str, autoscaling: &str) -> Run {
    let mut run = Run::new().await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    run.secret("app-redis", &[("uri", uri)]).await;
    let worker = format!("spec:\n  worker: {{concurrency: 10, autoscaling: {autoscaling}}}\n");
    run.pipeline(&MINIMAL.replace("spec:\n", &worker)).await;
    run.start();
    run
}

pub(super) async fn enqueue(uri: &str, count: usize) {
    let client = Client::new(Connection::open(uri, None).expect("a URI"));
    let task = || Task { queue: "critical".into(), ..Task::new("test", Vec::new()) };
    let tasks: Vec<Task> = std::iter::repeat_with(task).take(count).collect();
    client.enqueue_many(&tasks).await.expect("Redis takes them");
}

/// One task, in the same queue.
pub(super) async fn enqueue_with(uri: &str, payload: &str) {
    let client = Client::new(Connection::open(uri, None).expect("a URI"));
    let task = Task { queue: "critical".into(), ..Task::new("test", payload) };
    client.enqueue(&task).await.expect("Redis takes it");
}

pub(super) async fn redis() -> String {
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
    run.condition("ScalingLimited", "False", "DesiredWithinRange").await;
    enqueue(&uri, 100).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(5)).await;
    run.condition("ScalingLimited", "True", "TooManyReplicas").await;
    let (namespace, told) = (&run.namespace, run.gauges.render());
    let labels = format!(r#"namespace="{namespace}",name="demo""#);
    for line in [
        format!("signup_operator_workers_desired{{{labels}}} 5"),
        format!("signup_operator_workers_recommended{{{labels}}} 13"),
        format!(r#"signup_operator_workers_limited{{{labels},by="maxReplicas"}} 1"#),
        format!(r#"signup_operator_queue_tasks{{{labels},queue="critical",state="pending"}} 125"#),
        format!("signup_operator_workers_leaving{{{labels}}} 0"),
        format!("signup_operator_redis_polled{{{labels}}} 0"),
    ] {
        assert!(told.lines().any(|found| found == line), "{line} in\n{told}");
    }
    run.condition("AbleToScale", "True", "ReadyForNewScale").await;
}

#[tokio::test]
async fn a_manual_scale_is_overridden_in_mode_auto() {
    let run = with_redis(&redis().await, "{minReplicas: 2, maxReplicas: 5}").await;
    // What runs at the operator's first poll counts as needed for the cool-down.
    let decided = |worker: &Deployment| {
        worker.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some("signup-operator-scaler"))
    };
    let begun = run.wait::<Deployment>("demo-worker", decided).await;
    assert_eq!(replicas(&begun), Some(2));
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    let params = PatchParams { field_manager: Some("kubectl".into()), ..PatchParams::default() };
    let _: Scale = run.api::<Deployment>().patch_scale("demo-worker", &params, &patch).await.expect("it is accepted");
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
}

/// Writes, refused ones too, to the workers' Deployment so far.
fn writes(run: &Run) -> usize {
    let to_workers = |(verb, resource, name): &(String, String, String)| {
        verb == "patch" && resource == "deployments" && name == "demo-worker"
    };
    audit(&run.namespace).iter().filter(|request| to_workers(request)).count()
}

pub(super) async fn autoscaler(run: &Run, workers: i32) {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-worker"});
    let autoscaler = json!({"metadata": {"name": "workers"},
        "spec": {"scaleTargetRef": target, "minReplicas": workers, "maxReplicas": 5}});
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(autoscaler).expect("an autoscaler");
    run.api().create(&PostParams::default(), &autoscaler).await.expect("it is new");
    // What the controller does that works for it.
    let patch = Patch::Merge(json!({"spec": {"replicas": workers}}));
    let params = PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    run.api::<Deployment>().patch_scale("demo-worker", &params, &patch).await.expect("it is accepted");
}

#[tokio::test]
async fn beside_an_autoscaler_the_operator_stands_down_and_says_so_until_it_is_gone() {
    let uri = redis().await;
    let run = with_redis(&uri, "{minReplicas: 2, maxReplicas: 5, cooldownPeriod: 0s}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
    autoscaler(&run, 4).await;
    let condition = run.condition("AbleToScale", "False", "ForeignWriter").await;
    assert!(condition.message.contains("autoscaling.mode to External"), "{}", condition.message);
    let before = writes(&run);
    // Numbers that agree change nothing, and neither do those that differ again.
    for min in [4, 3] {
        run.edit(json!({"worker": {"autoscaling": {"minReplicas": min}}})).await;
        run.condition("AbleToScale", "False", "ForeignWriter").await;
    }
    let pipeline: SignupPipeline = run.wait("demo", |_| true).await;
    let told = pipeline.status.and_then(|status| status.autoscaling).expect("it is there");
    assert_eq!((told.desired, told.explanation.as_str()), (4, "an autoscaler sets the number, so it stays as it is"));
    assert_eq!(writes(&run), before, "it tried again");
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(4));
    run.api::<HorizontalPodAutoscaler>().delete("workers", &DeleteParams::default()).await.expect("it was there");
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
}

#[tokio::test]
async fn workers_follow_the_queue_also_while_something_else_waits_for_a_person() {
    let uri = redis().await;
    let run = with_redis(&uri, "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 0s}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(0)).await;
    run.edit(json!({"mail": {"templatesRef": {"name": "absent"}}})).await;
    run.condition("Reconciling", "True", "ConfigMapMissing").await;
    enqueue(&uri, 25).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
}

#[tokio::test]
async fn a_paused_pipeline_keeps_its_workers_and_says_so() {
    let uri = redis().await;
    let run = with_redis(&uri, "{minReplicas: 1, maxReplicas: 5, cooldownPeriod: 0s}").await;
    let told = |pipeline: &SignupPipeline| pipeline.status.as_ref().and_then(|status| status.autoscaling.clone());
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    let before = told(&run.wait("demo", |pipeline| told(pipeline).is_some()).await).expect("it is there");
    run.edit(json!({"paused": true})).await;
    run.condition("ScalingActive", "False", "PausedBySpec").await;
    enqueue(&uri, 25).await;
    let recommended = |pipeline: &SignupPipeline| told(pipeline).is_some_and(|told| told.recommended == 3);
    let held = told(&run.wait("demo", recommended).await).expect("it is there");
    assert_eq!((held.desired, held.last_scale_time), (1, before.last_scale_time));
    assert_eq!(held.explanation, "the pipeline is paused, so the number stays as it is");
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(1));
    run.edit(json!({"paused": false})).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
}

#[tokio::test]
async fn an_operator_that_starts_anew_stops_no_worker_before_the_cool_down_is_over() {
    let busy = redis().await;
    let mut run = with_redis(&busy, "{minReplicas: 1, maxReplicas: 5, cooldownPeriod: 1h}").await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    enqueue(&busy, 25).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    // Published, too: what is published later is the new operator's.
    run.wait::<SignupPipeline>("demo", |pipeline| decision(pipeline) == Some((3, 3, None))).await;
    run.kill().await;
    // A queue in which nothing is due.
    run.secret("app-redis", &[("uri", &redis().await)]).await;
    run.start();
    let idle = |pipeline: &SignupPipeline| decision(pipeline).is_some_and(|(_, recommended, _)| recommended == 0);
    let pipeline: SignupPipeline = run.wait("demo", idle).await;
    assert_eq!(decision(&pipeline), Some((3, 0, Some("cooldownPeriod"))));
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(3));
}

#[tokio::test]
async fn in_mode_external_the_replicas_of_the_resource_are_the_deployments() {
    let run = with_redis(&redis().await, "{mode: External}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(1)).await;
    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    run.api::<SignupPipeline>().patch_scale("demo", &PatchParams::default(), &patch).await.expect("it is accepted");
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(4)).await;
}

/// Desired, recommended, and what limits.
fn decision(pipeline: &SignupPipeline) -> Option<(i32, i32, Option<&str>)> {
    let decision = pipeline.status.as_ref()?.autoscaling.as_ref()?;
    Some((decision.desired, decision.recommended, decision.limited_by.as_deref()))
}

#[tokio::test]
async fn growth_goes_as_far_as_its_policies_allow_and_no_further() {
    let uri = redis().await;
    let one_at_a_time = "scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1800}]}";
    let run = with_redis(&uri, &format!("{{minReplicas: 1, maxReplicas: 5, behavior: {{{one_at_a_time}}}}}")).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    enqueue(&uri, 25).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(2)).await;
    enqueue(&uri, 25).await;
    let held = (2, 5, Some("behavior.scaleUp"));
    run.wait::<SignupPipeline>("demo", |pipeline| decision(pipeline) == Some(held)).await;
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(2));
}

#[tokio::test]
async fn a_fallback_adds_workers_while_redis_is_silent() {
    let nobody = "redis://127.0.0.1:1/0";
    let run = with_redis(nobody, "{minReplicas: 1, maxReplicas: 5, fallback: {replicas: 3, after: 10s}}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(1)).await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(3)).await;
    let told = |pipeline: &SignupPipeline| pipeline.status.as_ref()?.autoscaling.as_ref().map(|told| told.desired);
    let pipeline: SignupPipeline = run.wait("demo", |pipeline| told(pipeline) == Some(3)).await;
    let explanation = pipeline.status.and_then(|status| status.autoscaling).expect("it is there").explanation;
    assert!(explanation.contains("fallback.replicas is 3"), "{explanation}");
}

/// The first status that speaks of an edit.
async fn first_status(run: &Run, edit: Value) -> SignupPipelineStatus {
    let before: SignupPipeline = run.wait("demo", |_| true).await;
    run.edit(edit).await;
    let params = WatchParams::default().fields("metadata.name=demo");
    let versions = run.api::<SignupPipeline>().watch(&params, &before.resource_version().expect("it has one")).await;
    let statuses = versions.expect("it can be watched").filter_map(async |version| match version.expect("a version") {
        WatchEvent::Modified(pipeline) => pipeline.status,
        _ => None,
    });
    let is_new = |status: &SignupPipelineStatus| status.observed_generation > before.metadata.generation;
    let found = statuses.filter(|status| std::future::ready(is_new(status)));
    std::pin::pin!(found).next().await.expect("a status of the edit")
}

/// Status and reason of a condition.
fn told<'a>(status: &'a SignupPipelineStatus, kind: &str) -> (&'a str, &'a str) {
    let condition = status.conditions.iter().find(|condition| condition.type_ == kind).expect("it is told");
    (&condition.status, &condition.reason)
}

#[tokio::test]
async fn the_first_status_of_an_edit_of_a_number_of_pods_knows_the_new_number() {
    let run = with_redis(&redis().await, "{mode: 'Off'}").await;
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(1)).await;
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Reconciling", "False", "AsDesired").await;
    let status = first_status(&run, json!({"worker": {"replicas": 3}})).await;
    assert_eq!(told(&status, "Reconciling"), ("True", "RollingOut"));
    run.edit(json!({"api": {"replicas": 0}})).await;
    run.wait::<Deployment>("demo-api", |deployment| replicas(deployment) == Some(0)).await;
    run.deployment_is_complete("demo-api", 0).await;
    run.condition("Ready", "False", "NoPodsWanted").await;
    let status = first_status(&run, json!({"api": {"replicas": 2}})).await;
    assert_eq!(told(&status, "Ready"), ("Unknown", "RollingOut"));
}
