//! An upgrade of the operator by itself restarts no pod.

use super::operator_run::{MINIMAL, Run};
use k8s_openapi::api::{apps::v1::Deployment, events::v1::Event};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::json;

const ANNOTATION: &str = "signup.dev/image";

fn image(deployment: &Deployment) -> Option<&str> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.as_deref()
}

#[tokio::test]
async fn an_operator_with_another_image_leaves_the_pods_of_a_pipeline_without_one_alone() {
    let mut run = Run::with_pipeline(MINIMAL).await;
    let mut generations = Vec::new();
    for name in ["demo-api", "demo-worker"] {
        generations
            .push(run.wait(name, |deployment| image(deployment) == Some("signup:test")).await.metadata.generation);
    }
    run.kill().await;
    run.start_with(run.client.clone(), "signup:newer");
    // The new operator is at work: it applies an edit.
    run.edit(json!({"api": {"replicas": 3}})).await;
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let api: Deployment = run.wait("demo-api", |deployment| replicas(deployment) == Some(3)).await;
    assert_eq!(image(&api), Some("signup:test"));
    let worker: Deployment = run.wait("demo-worker", |_| true).await;
    assert_eq!((image(&worker), worker.metadata.generation), (Some("signup:test"), generations[1]));
    for (name, pods) in [("demo-api", 3), ("demo-worker", 1)] {
        run.deployment_is_complete(name, pods).await;
    }
    run.condition_saying("Ready", "True", "newer than their image is the operator's own, signup:newer").await;
}

#[tokio::test]
async fn the_kept_image_is_given_up_by_the_resource_or_by_removing_its_annotation() {
    let mut run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.kill().await;
    run.start_with(run.client.clone(), "signup:newer");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: null}}}));
    run.api::<Deployment>().patch("demo-api", &PatchParams::default(), &patch).await.expect("it is there");
    for name in ["demo-api", "demo-worker"] {
        run.wait::<Deployment>(name, |deployment| image(deployment) == Some("signup:newer")).await;
    }
    run.edit(json!({"image": "signup:mine"})).await;
    for name in ["demo-api", "demo-worker"] {
        run.wait::<Deployment>(name, |deployment| image(deployment) == Some("signup:mine")).await;
    }
    let api: Deployment = run.wait("demo-api", |api: &Deployment| !api.annotations().contains_key(ANNOTATION)).await;
    assert_eq!(image(&api), Some("signup:mine"));
    let events = run.api::<Event>().list(&Default::default()).await.expect("it answers").items;
    let note = "pods of demo-worker are replaced, because spec.image changed";
    assert!(events.iter().any(|event| event.note.as_deref() == Some(note)), "an event names the field");
}

#[tokio::test]
async fn a_foreign_image_is_repaired() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let containers = json!([{"name": "api", "image": "foreign:1"}]);
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": containers}}}}));
    let deployments = run.api::<Deployment>();
    deployments.patch("demo-api", &PatchParams::default(), &patch).await.expect("it is accepted");
    run.wait::<Deployment>("demo-api", |deployment| image(deployment) == Some("signup:test")).await;
    run.wait::<SignupPipeline>("demo", |_| true).await;
}
