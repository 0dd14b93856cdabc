//! The API server says no: by a quota, or because the operator lacks a right.

use super::{
    api_server::config,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, ResourceQuota},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

#[tokio::test]
async fn a_quota_that_leaves_no_room_is_told_as_such() {
    let mut run = Run::new().await;
    run.secrets().await;
    let hard = json!({"count/deployments.apps": "1"});
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": hard}});
    let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
    run.api().create(&PostParams::default(), &quota).await.expect("it is new");
    // No controller counts here.
    let counted = Patch::Merge(json!({"status": {"hard": hard, "used": {"count/deployments.apps": "0"}}}));
    run.api::<ResourceQuota>().patch_status("small", &PatchParams::default(), &counted).await.expect("it is there");
    run.pipeline(MINIMAL).await;
    run.start();
    let waiting = run.condition("Reconciling", "True", "QuotaExceeded").await;
    assert!(waiting.message.contains("Deployment demo-worker could not be applied"), "{}", waiting.message);
    assert!(waiting.message.contains("exceeded quota: small"), "{}", waiting.message);
    assert!(waiting.message.contains("Fix: raise the ResourceQuota"), "{}", waiting.message);
    run.api::<ResourceQuota>().delete("small", &Default::default()).await.expect("it was there");
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
}

/// A client with the rights of the chart, but for what `without` names.
async fn client_without(run: &Run, without: &[&str]) -> Client {
    let everything = [
        "configmaps",
        "secrets",
        "services",
        "serviceaccounts",
        "deployments",
        "deployments/scale",
        "horizontalpodautoscalers",
        "pods",
        "poddisruptionbudgets",
        "networkpolicies",
        "ingresses",
        "events",
        "signuppipelines",
        "signuppipelines/status",
    ];
    let resources: Vec<_> = everything.into_iter().filter(|resource| !without.contains(resource)).collect();
    let groups = ["", "apps", "autoscaling", "policy", "networking.k8s.io", "events.k8s.io", "signup.dev"];
    let role = json!({"metadata": {"name": "operator"},
        "rules": [{"apiGroups": groups, "resources": resources, "verbs": ["*"]}]});
    let role: Role = serde_json::from_value(role).expect("a Role");
    let user = format!("operator-of-{}", run.namespace);
    let binding = json!({"metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    let binding: RoleBinding = serde_json::from_value(binding).expect("a RoleBinding");
    let params = PatchParams::apply("test").force();
    run.api::<Role>().patch("operator", &params, &Patch::Apply(&role)).await.expect("it is accepted");
    run.api::<RoleBinding>().patch("operator", &params, &Patch::Apply(&binding)).await.expect("it is accepted");
    let mut config = config().await;
    config.auth_info.impersonate = Some(user);
    Client::try_from(config).expect("a client")
}

#[tokio::test]
async fn a_right_that_the_operator_lacks_is_named_and_its_grant_is_enough() {
    let mut run = Run::new().await;
    run.secrets().await;
    run.pipeline(MINIMAL).await;
    let client = client_without(&run, &["services"]).await;
    run.start_with(client, "signup:test");
    let waiting = run.condition("Reconciling", "True", "Forbidden").await;
    assert!(waiting.message.contains("Service demo-api could not be applied"), "{}", waiting.message);
    let fix = "Fix: grant the operator's ServiceAccount get, create, patch and delete on services";
    assert!(waiting.message.contains(fix), "{}", waiting.message);
    client_without(&run, &[]).await;
    run.wait::<Deployment>("demo-worker", |_| true).await;
    run.condition("Reconciling", "True", "NoAnswer").await;
}

#[tokio::test]
async fn a_secret_that_the_operator_may_not_read_is_told_as_such() {
    let mut run = Run::new().await;
    run.secrets().await;
    run.pipeline(MINIMAL).await;
    let client = client_without(&run, &["secrets"]).await;
    run.start_with(client, "signup:test");
    let waiting = run.condition("Reconciling", "True", "Forbidden").await;
    assert!(
        waiting.message.contains("may not read Secret app-db, named by spec.database.secretRef"),
        "{}",
        waiting.message
    );
    assert!(waiting.message.contains("`get` on secrets"), "{}", waiting.message);
}

#[tokio::test]
async fn events_that_the_operator_may_not_list_are_told_as_not_looked_at() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    let client = client_without(&run, &["events"]).await;
    run.start_with(client, "signup:test");
    let name = run.pod("demo-api", &FakePod::new().await).await;
    let unready = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let status = Patch::Merge(json!({"status": {"conditions": unready}}));
    run.api::<Pod>().patch_status(&name, &PatchParams::default(), &status).await.expect("it is there");
    run.condition_saying("Reconciling", "True", "was not looked at, it needs the right to list events").await;
}

#[tokio::test]
async fn an_ingress_that_may_not_be_made_holds_up_nothing() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    let expose =
        "spec:\n  expose: {host: app.example.com, ingress: {}}\n  worker: {autoscaling: {mode: 'Off'}, replicas: 3}\n";
    run.pipeline(&MINIMAL.replace("spec:\n", expose)).await;
    let client = client_without(&run, &["ingresses"]).await;
    run.start_with(client, "signup:test");
    run.condition("Exposed", "False", "Forbidden").await;
    run.condition("Degraded", "True", "Forbidden").await;
    run.condition("Stalled", "False", "AsDesired").await;
    let replicas = |worker: &Deployment| worker.spec.as_ref().and_then(|spec| spec.replicas);
    run.edit(json!({"worker": {"replicas": 4}})).await;
    run.wait("demo-worker", |worker| replicas(worker) == Some(4)).await;
}
