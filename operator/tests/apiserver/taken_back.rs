//! Settings that are taken out of the resource: they go from its children, and what works is kept until its successor
//! does.

use super::operator_run::{MINIMAL, Run};
use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodSpec, networking::v1::Ingress};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, WatchEvent, WatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::{Value, json};

/// Settings of every form: a map, a list that others may add to, volumes, a list inside an object.
fn settings() -> Value {
    json!({
        "api": {"pod": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "batch", "operator": "Exists"}],
            "priorityClassName": "high"}},
        "mail": {"smtp": {"authSecretRef": {"name": "app-smtp"}}},
        "expose": {"host": "app.example.com", "ingress": {"className": "contour", "tlsSecretName": "app-tls"}},
    })
}

fn taken_back() -> Value {
    json!({
        "api": null,
        "mail": {"smtp": {"authSecretRef": null}},
        "expose": {"ingress": {"tlsSecretName": null}},
    })
}

fn pod(deployment: &Deployment) -> PodSpec {
    deployment.spec.clone().and_then(|spec| spec.template.spec).expect("a Deployment has a template")
}

fn volumes(deployment: &Deployment) -> usize {
    pod(deployment).volumes.unwrap_or_default().len()
}

async fn with_settings() -> (Run, usize) {
    let run = Run::with_pipeline(MINIMAL).await;
    let before = volumes(&run.wait("demo-worker", |_| true).await);
    run.secret("app-smtp", &[("username", "app"), ("password", "canary-smtp")]).await;
    run.edit(settings()).await;
    run.wait::<Deployment>("demo-api", |api| pod(api).node_selector.is_some()).await;
    run.wait::<Deployment>("demo-worker", |worker| volumes(worker) > before).await;
    run.wait::<Ingress>("demo", |ingress| ingress.spec.as_ref().is_some_and(|spec| spec.tls.is_some())).await;
    (run, before)
}

async fn nothing_is_left_of_the_settings(run: &Run, volumes_before: usize) {
    let is_plain = |pod: &PodSpec| {
        let tolerations = pod.tolerations.as_ref().is_none_or(Vec::is_empty);
        pod.node_selector.is_none() && tolerations && pod.priority_class_name.is_none()
    };
    run.wait::<Deployment>("demo-api", |api| is_plain(&pod(api))).await;
    run.wait::<Deployment>("demo-worker", |worker| volumes(worker) == volumes_before).await;
    run.wait::<Ingress>("demo", |ingress| ingress.spec.as_ref().is_some_and(|spec| spec.tls.is_none())).await;
}

#[tokio::test]
async fn settings_that_are_taken_back_go_from_the_children() {
    let (run, before) = with_settings().await;
    let labels = json!({"metadata": {"labels": {"team": "a"}}});
    let deployments = run.api::<Deployment>();
    deployments.patch("demo-api", &PatchParams::default(), &Patch::Merge(labels)).await.expect("it is accepted");
    run.edit(taken_back()).await;
    nothing_is_left_of_the_settings(&run, before).await;
    let api: Deployment = run.wait("demo-api", |_| true).await;
    assert_eq!(api.labels().get("team").map(String::as_str), Some("a"), "what others added stays");
}

#[tokio::test]
async fn settings_that_are_taken_back_while_no_operator_runs_go_when_one_does() {
    let (mut run, before) = with_settings().await;
    run.kill().await;
    run.edit(taken_back()).await;
    run.start();
    nothing_is_left_of_the_settings(&run, before).await;
}

/// As after an upgrade of an operator that did not mark what it applied.
#[tokio::test]
async fn a_child_without_the_mark_gets_it_and_its_pods_stay() {
    let mut run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.kill().await;
    let unmarked = json!({"metadata": {"annotations": {"signup.dev/desired": null}}});
    let deployments = run.api::<Deployment>();
    let before = deployments.patch("demo-api", &PatchParams::default(), &Patch::Merge(unmarked)).await;
    let before = before.expect("it is accepted").spec;
    run.start();
    let marked = run.wait::<Deployment>("demo-api", |api| api.annotations().contains_key("signup.dev/desired")).await;
    assert_eq!(marked.spec, before, "nothing that pods are made of changed");
}

#[tokio::test]
async fn an_address_that_works_is_kept_until_the_next_one_can_be_made() {
    let expose = "expose: {host: app.example.com, ingress: {className: contour}}";
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", &format!("spec:\n  {expose}\n"))).await;
    let before = run.wait::<Ingress>("demo", |_| true).await;
    run.edit(json!({"expose": {"ingress": null, "gateway": {"parentRefs": [{"name": "edge"}]}}})).await;
    run.condition("Exposed", "False", "GatewayApiMissing").await;
    let after = run.api::<Ingress>().get("demo").await.expect("it is still there");
    assert_eq!((after.uid(), after.metadata.deletion_timestamp), (before.uid(), None));
}

#[tokio::test]
async fn no_status_of_a_new_generation_calls_a_roll_out_done_that_has_not_begun() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.deployment_is_complete("demo-api", 2).await;
    run.deployment_is_complete("demo-worker", 1).await;
    run.condition("Reconciling", "False", "AsDesired").await;
    let pipelines = run.api::<SignupPipeline>();
    let seen = pipelines.get("demo").await.expect("it is there").resource_version().expect("every object has one");
    let mut changes = pipelines.watch(&WatchParams::default(), &seen).await.expect("a watch").boxed();
    run.edit(json!({"api": {"pod": {"labels": {"team": "a"}}}})).await;
    let told = async {
        loop {
            let Some(Ok(WatchEvent::Modified(pipeline))) = changes.next().await else { panic!("the watch ended") };
            let conditions = pipeline.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            let newest = conditions.iter().find(|condition| {
                condition.type_ == "Reconciling" && condition.observed_generation == pipeline.metadata.generation
            });
            // The edit itself comes first, with the status of before.
            let is_edited = pipeline.metadata.generation > Some(1);
            if let (true, Some(progressing)) = (is_edited, newest) {
                return progressing.clone();
            }
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(60), told).await.expect("a status is written");
    assert_eq!((&*told.status, &*told.reason), ("True", "RollingOut"), "{}", told.message);
}
