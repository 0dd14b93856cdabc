//! Children: made, owned, kept, repaired, removed; and nothing is written at rest.

use super::{
    api_server::{audit, until},
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use operator::crd::SignupPipeline;
use serde_json::json;

#[tokio::test]
async fn the_minimal_resource_gets_its_children_owned_by_it() {
    let run = Run::with_pipeline(MINIMAL).await;
    let pipeline: SignupPipeline = run.wait("demo", |_| true).await;
    let uid = pipeline.uid().expect("it has one");
    let mut owners = vec![
        run.wait::<ConfigMap>("demo-config", |_| true).await.owner_references().to_vec(),
        run.wait::<Secret>("demo-keys", |_| true).await.owner_references().to_vec(),
        run.wait::<Service>("demo-api", |_| true).await.owner_references().to_vec(),
        run.wait::<PodDisruptionBudget>("demo-api", |_| true).await.owner_references().to_vec(),
    ];
    for name in ["demo-api", "demo-worker"] {
        owners.push(run.wait::<Deployment>(name, |_| true).await.owner_references().to_vec());
        owners.push(run.wait::<NetworkPolicy>(name, |_| true).await.owner_references().to_vec());
        let account: ServiceAccount = run.wait(name, |_| true).await;
        assert_eq!(account.automount_service_account_token, Some(false));
        owners.push(account.owner_references().to_vec());
    }
    assert!(
        owners.iter().all(|owners| owners.len() == 1 && owners[0].uid == uid && owners[0].controller == Some(true))
    );
}

#[tokio::test]
async fn pods_of_both_parts_pass_pod_security_restricted() {
    let run = Run::with_pipeline(MINIMAL).await;
    for deployment in ["demo-api", "demo-worker"] {
        run.pod(deployment, &FakePod::new().await).await;
    }
}

#[tokio::test]
async fn the_generated_key_is_never_made_anew() {
    let mut run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let key = run.wait::<Secret>("demo-keys", |_| true).await.data.expect("it has data");
    assert_eq!(key["current"].0.len(), 64);
    run.kill().await;
    run.start();
    run.edit(json!({"task": {"delay": "3s"}})).await;
    run.wait::<ConfigMap>("demo-config", |map| {
        map.data.as_ref().is_some_and(|data| data["pipeline.yaml"].contains("delay: 3s"))
    })
    .await;
    assert_eq!(run.wait::<Secret>("demo-keys", |_| true).await.data.expect("it has data"), key);
}

#[tokio::test]
async fn a_foreign_change_is_repaired_and_a_foreign_key_left_alone() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let template = json!({"spec": {"terminationGracePeriodSeconds": 7}});
    let patch = json!({"metadata": {"labels": {"team": "a"}}, "spec": {"template": template}});
    let deployments = run.api::<Deployment>();
    deployments.patch("demo-api", &PatchParams::default(), &Patch::Merge(patch)).await.expect("it is accepted");
    let grace =
        |deployment: &Deployment| deployment.spec.as_ref()?.template.spec.as_ref()?.termination_grace_period_seconds;
    let repaired = run.wait::<Deployment>("demo-api", |deployment| grace(deployment) == Some(50)).await;
    assert_eq!(repaired.labels()["team"], "a");
}

#[tokio::test]
async fn a_deleted_child_comes_back() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let before = run.wait::<Service>("demo-api", |_| true).await.uid();
    run.api::<Service>().delete("demo-api", &Default::default()).await.expect("it was there");
    run.wait::<Service>("demo-api", |service| service.uid() != before).await;
}

#[tokio::test]
async fn a_child_that_is_no_longer_desired_goes() {
    let expose = "expose: {host: app.example.com, ingress: {className: absent}}";
    let run = Run::with_pipeline(&MINIMAL.replace("spec:\n", &format!("spec:\n  {expose}\n"))).await;
    run.wait::<Ingress>("demo", |_| true).await;
    run.condition("Exposed", "False", "IngressClassMissing").await;
    run.edit(json!({"expose": null, "networkPolicy": {"enabled": false}})).await;
    let (ingresses, policies) = (run.api::<Ingress>(), run.api::<NetworkPolicy>());
    until("the Ingress is gone", async || ingresses.get_opt("demo").await.ok()?.is_none().then_some(())).await;
    until("the policies are gone", async || {
        policies.list(&Default::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;
    run.condition("Exposed", "False", "NotAskedFor").await;
}

#[tokio::test]
async fn a_paused_pipeline_is_left_as_it_is() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.edit(json!({"paused": true, "api": {"replicas": 5}})).await;
    run.condition("Paused", "True", "PausedBySpec").await;
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    assert_eq!(replicas(&run.wait::<Deployment>("demo-api", |_| true).await), Some(2));
    run.edit(json!({"paused": false})).await;
    run.wait::<Deployment>("demo-api", |deployment| replicas(deployment) == Some(5)).await;
}

#[tokio::test]
async fn at_rest_the_operator_writes_nothing() {
    let run = Run::with_pipeline(MINIMAL).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
    let polls = || audit(&run.namespace).iter().filter(|(verb, _, name)| verb == "get" && name == "app-db").count();
    let settled = polls() + 3;
    until("it has polled three times", async || (polls() >= settled).then_some(())).await;
    let writes = || {
        let all = audit(&run.namespace).into_iter();
        all.filter(|(verb, _, _)| !matches!(verb.as_str(), "get" | "list" | "watch")).collect::<Vec<_>>()
    };
    let (before, last) = (writes(), polls() + 5);
    until("it has polled five times more", async || (polls() >= last).then_some(())).await;
    assert_eq!(writes(), before);
}
