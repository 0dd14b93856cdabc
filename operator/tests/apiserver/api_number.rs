//! The number of api pods is given to others and taken back without a step between.

use super::{
    api_server::{audit, until},
    operator_run::{MINIMAL, Run},
    scaling::replicas,
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
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Every number that the api's Deployment has, one after the other.
type Numbers = Arc<Mutex<Vec<i32>>>;

async fn numbers(run: &Run) -> Numbers {
    let deployments = run.api::<Deployment>();
    let found = run.wait::<Deployment>("demo-api", |_| true).await;
    let params = WatchParams::default().fields("metadata.name=demo-api");
    let watch = deployments.watch(&params, &found.resource_version().expect("it has one")).await;
    let mut watch = watch.expect("a watch").boxed();
    let numbers = Arc::new(Mutex::new(vec![replicas(&found).unwrap_or_default()]));
    let known = Arc::clone(&numbers);
    tokio::spawn(async move {
        while let Some(Ok(WatchEvent::Modified(deployment))) = watch.next().await {
            let (number, mut known) = (replicas(&deployment).unwrap_or_default(), known.lock().expect("it is whole"));
            if known.last() != Some(&number) {
                known.push(number);
            }
        }
    });
    numbers
}

fn so_far(numbers: &Numbers) -> Vec<i32> {
    numbers.lock().expect("it is whole").clone()
}

/// As the controller of an autoscaler does, and KEDA through one.
async fn scale(run: &Run, pods: i32) {
    let patch = Patch::Merge(json!({"spec": {"replicas": pods}}));
    let params = PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
    let _: Scale = run.api::<Deployment>().patch_scale("demo-api", &params, &patch).await.expect("it is accepted");
}

async fn autoscaler(run: &Run) {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-api"});
    // Owned by somebody else's controller, as KEDA's is.
    let owner = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "api", "uid": "1",
        "controller": true});
    let autoscaler = json!({"metadata": {"name": "keda-hpa-api", "ownerReferences": [owner]},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}});
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(autoscaler).expect("an autoscaler");
    run.api().create(&PostParams::default(), &autoscaler).await.expect("it is new");
}

/// Writes to an object so far.
fn writes(run: &Run, resource: &str, name: &str) -> usize {
    let is_one = |(verb, of, named): &(String, String, String)| {
        !matches!(&**verb, "get" | "list" | "watch") && of == resource && named == name
    };
    audit(&run.namespace).iter().filter(|request| is_one(request)).count()
}

/// An edit of something else reaches the Deployment.
async fn edit_something_else(run: &Run, team: &str) {
    run.edit(json!({"api": {"pod": {"labels": {"team": team}}}})).await;
    let label = |api: &Deployment| api.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?.get("team").cloned();
    run.wait::<Deployment>("demo-api", |api| label(api).as_deref() == Some(team)).await;
}

#[tokio::test]
async fn an_autoscaler_that_is_attached_keeps_its_number_and_the_resource_gets_its_own_when_it_goes() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let numbers = numbers(&run).await;
    autoscaler(&run).await;
    let told = run.condition("Degraded", "True", "ForeignAutoscaler").await;
    let words = "HorizontalPodAutoscaler keda-hpa-api sets the replicas of Deployment demo-api";
    assert!(told.message.starts_with(words), "{}", told.message);
    assert!(told.message.contains("spec.api.autoscaling.mode to External"), "{}", told.message);
    scale(&run, 4).await;
    edit_something_else(&run, "a").await;
    scale(&run, 7).await;
    edit_something_else(&run, "b").await;
    assert_eq!(so_far(&numbers), [2, 4, 7]);
    assert_eq!(writes(&run, "horizontalpodautoscalers", "keda-hpa-api"), 1, "the one that made it");
    run.api::<HorizontalPodAutoscaler>().delete("keda-hpa-api", &DeleteParams::default()).await.expect("it was there");
    run.wait::<Deployment>("demo-api", |api| replicas(api) == Some(2)).await;
    until("all numbers are seen", async || (so_far(&numbers) == [2, 4, 7, 2]).then_some(())).await;
}

#[tokio::test]
async fn in_mode_external_the_number_that_runs_is_handed_over_and_in_mode_off_it_comes_back() {
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", "spec:\n  api: {replicas: 3}\n")).await;
    let numbers = numbers(&run).await;
    run.edit(json!({"api": {"replicas": null, "autoscaling": {"mode": "External"}}})).await;
    let applied = |api: &Deployment| {
        let owns = |manager: &str| {
            let replicas = |fields: &Value| fields.pointer("/f:spec/f:replicas").is_some();
            let mut entries = api.managed_fields().iter();
            entries.any(|entry| {
                entry.manager.as_deref() == Some(manager)
                    && entry.fields_v1.as_ref().is_some_and(|fields| replicas(&fields.0))
            })
        };
        !owns("signup-operator") && owns("signup-operator-scaler")
    };
    run.wait::<Deployment>("demo-api", applied).await;
    edit_something_else(&run, "a").await;
    scale(&run, 5).await;
    edit_something_else(&run, "b").await;
    run.edit(json!({"api": {"replicas": 2, "autoscaling": {"mode": "Off"}}})).await;
    run.wait::<Deployment>("demo-api", |api| replicas(api) == Some(2)).await;
    until("all numbers are seen", async || (so_far(&numbers) == [3, 5, 2]).then_some(())).await;
}

#[tokio::test]
async fn in_mode_auto_the_operator_makes_an_autoscaler_which_yields_to_another_and_goes_with_the_mode() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let numbers = numbers(&run).await;
    let auto = json!({"mode": "Auto", "minReplicas": 2, "maxReplicas": 6, "targetCPUUtilizationPercentage": 70});
    run.edit(json!({"api": {"autoscaling": auto}})).await;
    let made = run.wait::<HorizontalPodAutoscaler>("demo-api", |_| true).await;
    let spec = serde_json::to_value(made.spec.as_ref().expect("it has one")).expect("JSON");
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(2), &json!(6)));
    assert_eq!(spec["scaleTargetRef"]["name"], "demo-api");
    assert_eq!(spec["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    assert_eq!(made.owner_references().len(), 1);
    scale(&run, 5).await;
    edit_something_else(&run, "a").await;
    autoscaler(&run).await;
    run.condition("Degraded", "True", "ForeignAutoscaler").await;
    let autoscalers = run.api::<HorizontalPodAutoscaler>();
    let is_gone = async || autoscalers.get_opt("demo-api").await.ok()?.is_none().then_some(());
    until("the operator's own is gone", is_gone).await;
    autoscalers.delete("keda-hpa-api", &DeleteParams::default()).await.expect("it was there");
    run.wait::<HorizontalPodAutoscaler>("demo-api", |_| true).await;
    assert_eq!(so_far(&numbers), [2, 5]);
    run.edit(json!({"api": {"autoscaling": null}})).await;
    until("it goes with the mode", is_gone).await;
    run.wait::<Deployment>("demo-api", |api| replicas(api) == Some(2)).await;
}
