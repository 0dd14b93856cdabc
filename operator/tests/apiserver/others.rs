//! Budgets and policies of others on the pipeline's pods: found and kept.

use super::{
    api_server::until,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{networking::v1::NetworkPolicy, policy::v1::PodDisruptionBudget};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

fn labels(component: &str) -> serde_json::Value {
    json!({"matchLabels": {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/component": component}})
}

#[tokio::test]
async fn a_budget_of_somebody_else_takes_the_place_of_ours_until_it_goes_and_a_policy_is_kept() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let ours = run.wait::<PodDisruptionBudget>("demo-api", |_| true).await;
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.pod(name, &FakePod::new().await).await;
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    let team = json!({"metadata": {"name": "team"}, "spec": {"minAvailable": 1, "selector": labels("api")}});
    let team: PodDisruptionBudget = serde_json::from_value(team).expect("a budget");
    let team = run.api().create(&PostParams::default(), &team).await.expect("it is new");
    let deny = json!({"metadata": {"name": "deny"}, "spec": {"podSelector": labels("worker"), "policyTypes": []}});
    let deny: NetworkPolicy = serde_json::from_value(deny).expect("a policy");
    let deny = run.api().create(&PostParams::default(), &deny).await.expect("it is new");
    // Of no pods of ours.
    let other = json!({"metadata": {"name": "other"}, "spec": {"selector": {"matchLabels": {"app": "other"}}}});
    let other: PodDisruptionBudget = serde_json::from_value(other).expect("a budget");
    run.api().create(&PostParams::default(), &other).await.expect("it is new");
    let budgets = run.api::<PodDisruptionBudget>();
    until("ours has gone", async || budgets.get_opt("demo-api").await.ok()?.is_none().then_some(())).await;
    let told = run.condition_saying("Ready", "True", "NetworkPolicy deny").await.message;
    let words = "PodDisruptionBudget team of somebody else is for the api pods, too, so the operator makes none";
    assert!(told.contains(words) && !told.contains("other;"), "{told}");
    assert_eq!(budgets.get("team").await.expect("it is kept").resource_version(), team.resource_version());
    let kept = run.api::<NetworkPolicy>().get("deny").await.expect("it is kept");
    assert_eq!(kept.resource_version(), deny.resource_version());
    budgets.delete("team", &DeleteParams::default()).await.expect("it was there");
    let again = run.wait::<PodDisruptionBudget>("demo-api", |_| true).await;
    assert_ne!(again.uid(), ours.uid());
}
