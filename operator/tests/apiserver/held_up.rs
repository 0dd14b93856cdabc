//! What holds a roll-out up is named, with the pod and what to do; and what comes and goes is told once.

use super::{
    api_server::{audit, until},
    operator_run::{FakePod, MINIMAL, Run},
};
use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Namespace, Pod},
    events::v1::Event as OurEvent,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;

async fn status(run: &Run, pod: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    run.api::<Pod>().patch_status(pod, &PatchParams::default(), &patch).await.expect("it is there");
}

/// An event as the kubelet writes it.
async fn event(run: &Run, pod: &str, reason: &str, message: &str) {
    let uid = run.api::<Pod>().get(pod).await.expect("it is there").uid();
    let about = json!({"kind": "Pod", "namespace": run.namespace, "name": pod, "uid": uid,
        "fieldPath": "spec.containers{api}"});
    let event = json!({"metadata": {"generateName": "pod-"}, "involvedObject": about, "type": "Warning",
        "reason": reason, "message": message, "lastTimestamp": jiff::Timestamp::now().to_string(), "count": 3});
    let event: Event = serde_json::from_value(event).expect("an event");
    run.api().create(&PostParams::default(), &event).await.expect("it is valid");
}

/// Not ready for so long that events are read.
fn unready(container: Value) -> Value {
    let conditions = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let mut all = json!({"name": "api", "image": "signup:test", "imageID": "", "ready": false, "restartCount": 0});
    all.as_object_mut().expect("an object").extend(container.as_object().expect("an object").clone());
    json!({"phase": "Pending", "conditions": conditions, "containerStatuses": [all]})
}

#[tokio::test]
async fn what_only_events_tell_of_a_pod_is_told() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let fake = FakePod::new().await;
    let pod = run.pod("demo-api", &fake).await;
    event(&run, &pod, "FailedMount", "MountVolume.SetUp failed for volume \"x\" : secret \"y\" not found").await;
    status(&run, &pod, unready(json!({"state": {"waiting": {"reason": "ContainerCreating"}}}))).await;
    let told = run.condition("Degraded", "True", "VolumeNotMounted").await;
    assert!(told.message.contains(&format!("volume of pod {pod} cannot be mounted: MountVolume")), "{}", told.message);
    let same = run.condition("Reconciling", "True", "VolumeNotMounted").await;
    assert_eq!(same.message, told.message);
    let started = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    status(&run, &pod, unready(json!({"state": started}))).await;
    event(&run, &pod, "Unhealthy", "Readiness probe failed: connection refused").await;
    let told = run.condition("Reconciling", "True", "ProbeFailing").await;
    let words = format!("container api of pod {pod} runs and is not ready: Readiness probe failed: connection refused");
    assert!(told.message.starts_with(&words), "{}", told.message);
}

#[tokio::test]
async fn a_deployment_that_somebody_paused_goes_on() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let pause = Patch::Merge(json!({"spec": {"paused": true}}));
    run.api::<Deployment>().patch("demo-api", &PatchParams::default(), &pause).await.expect("it is there");
    let is_paused = |api: &Deployment| api.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
    let after = run.wait::<Deployment>("demo-api", |api| !is_paused(api)).await;
    assert_eq!(after.spec.and_then(|spec| spec.replicas), Some(2));
}

/// Changes of each condition's status since the watch began.
type Changes = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn count_changes(run: &Run) -> Changes {
    let pipelines = run.api::<SignupPipeline>();
    let seen = pipelines.get("demo").await.expect("it is there").resource_version().expect("every object has one");
    let mut watch = pipelines.watch(&WatchParams::default(), &seen).await.expect("a watch").boxed();
    let changes = Changes::default();
    let shared = Arc::clone(&changes);
    tokio::spawn(async move {
        while let Some(Ok(WatchEvent::Modified(pipeline))) = watch.next().await {
            let mut changes = shared.lock().await;
            for condition in pipeline.status.into_iter().flat_map(|status| status.conditions) {
                let known = changes.entry(condition.type_).or_default();
                if known.last() != Some(&condition.status) {
                    known.push(condition.status);
                }
            }
        }
    });
    changes
}

async fn our_events(run: &Run) -> Vec<String> {
    let events = run.api::<OurEvent>().list(&Default::default()).await.expect("it answers").items;
    events.into_iter().filter_map(|event| Some(format!("{}: {}", event.reason?, event.note?))).collect()
}

async fn ready_pods(run: &Run, pods: i32) {
    let status = Patch::Merge(json!({"status": {"readyReplicas": pods}}));
    run.api::<Deployment>().patch_status("demo-api", &PatchParams::default(), &status).await.expect("it is there");
    let seen = |pipeline: &SignupPipeline| pipeline.status.as_ref()?.api.as_ref().map(|api| api.ready_replicas);
    run.wait::<SignupPipeline>("demo", |pipeline| seen(pipeline) == Some(pods)).await;
}

#[tokio::test]
async fn a_container_that_ends_again_and_again_is_one_trouble() {
    let text = MINIMAL.replace("spec:\n", "spec:\n  api: {replicas: 1}\n");
    let run = Run::with_pipeline_and_redis(&text).await;
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    let pod = run.pod("demo-api", &api).await;
    run.pod("demo-worker", &worker).await;
    for name in ["demo-api", "demo-worker"] {
        run.deployment_is_complete(name, 1).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    let before = our_events(&run).await;
    let changes = count_changes(&run).await;
    let end = json!({"reason": "OOMKilled", "exitCode": 137});
    for restarts in 1..8 {
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}});
        let looping = json!({"state": waiting, "lastState": {"terminated": end}, "restartCount": restarts});
        status(&run, &pod, unready(looping)).await;
        ready_pods(&run, 0).await;
        let running = json!({"running": {"startedAt": jiff::Timestamp::now().to_string()}});
        let runs = json!({"state": running, "lastState": {"terminated": end}, "restartCount": restarts + 1});
        let mut runs = unready(runs);
        (runs["phase"], runs["conditions"][0]["status"]) = (json!("Running"), json!("True"));
        status(&run, &pod, runs).await;
        ready_pods(&run, 1).await;
    }
    let degraded = run.condition("Degraded", "True", "PodCrashing").await;
    let words = format!("container api of pod {pod} is killed again and again at its limit of");
    assert!(degraded.message.starts_with(&words), "{}", degraded.message);
    for (kind, changes) in changes.lock().await.iter() {
        // The first is the state that the watch saw first.
        assert!(changes.len() <= 4, "{kind} changed: {changes:?}");
    }
    let new: Vec<String> = our_events(&run).await.into_iter().filter(|event| !before.contains(event)).collect();
    assert!(new.len() <= 6, "{new:#?}");
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_no_trouble() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    run.condition("Reconciling", "True", "RollingOut").await;
    let namespaces: Api<Namespace> = Api::all(run.client.clone());
    namespaces.delete(&run.namespace, &DeleteParams::default()).await.expect("it is there");
    run.api::<Deployment>().delete("demo-api", &DeleteParams::default()).await.expect("it was there");
    let tries = || {
        let all = audit(&run.namespace).into_iter();
        all.filter(|(verb, resource, name)| verb == "patch" && resource == "deployments" && name == "demo-api").count()
    };
    let before = tries();
    until("it tried to make it again", async || (tries() > before).then_some(())).await;
    let first = tries();
    run.api::<Deployment>().delete("demo-worker", &DeleteParams::default()).await.expect("it was there");
    until("it tried once more, so the first try is over", async || (tries() > first).then_some(())).await;
    let pipeline = run.wait::<SignupPipeline>("demo", |_| true).await;
    let conditions = pipeline.status.expect("it has one").conditions;
    let bad: Vec<_> = conditions.iter().filter(|condition| condition.message.contains("terminated")).collect();
    assert!(bad.is_empty(), "{bad:?}");
}
