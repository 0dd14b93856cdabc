//! The first minutes of a pipeline: nothing is called trouble that is none, and workers begin with their number.

use super::operator_run::{FakePod, MINIMAL, Run};
use k8s_openapi::api::{apps::v1::Deployment, events::v1::Event};
use kube::ResourceExt;
use operator::{build, crd::SignupPipeline};
use serde_json::json;

async fn warnings(run: &Run) -> Vec<String> {
    let events = run.api::<Event>().list(&Default::default()).await.expect("it answers").items;
    let warnings = events.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    warnings.filter_map(|event| event.note).collect()
}

#[tokio::test]
async fn a_start_without_trouble_emits_no_warning() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    let expose = "spec:\n  expose: {host: app.example.com, ingress: {}}\n";
    run.pipeline(&MINIMAL.replace("spec:\n", expose)).await;
    run.start();
    run.condition("Reconciling", "True", "RollingOut").await;
    // An api that has no schema yet, with an older configuration.
    let (api, worker) = (FakePod::new().await, FakePod::new().await);
    api.is_not_ready("the database lacks the schema");
    api.runs("older");
    run.pod("demo-api", &api).await;
    run.pod("demo-worker", &worker).await;
    run.condition("MigrationsApplied", "False", "SchemaMissing").await;
    run.condition("ConfigApplied", "False", "Spreading").await;
    run.condition("Exposed", "False", "AddressPending").await;
    api.is_ready();
    let newest = run.wait::<SignupPipeline>("demo", |_| true).await;
    api.runs(&build::configuration(&newest).expect("it is valid").1);
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    run.condition("MigrationsApplied", "True", "SchemaPresent").await;
    assert_eq!(warnings(&run).await, Vec::<String>::new());
    // It is published: a mistake is a Warning at once.
    run.edit(json!({"database": {"secretRef": {"name": "absent"}}})).await;
    run.condition("Reconciling", "True", "SecretMissing").await;
    super::api_server::until("a Warning tells it", async || {
        warnings(&run).await.iter().any(|note| note.contains("Secret absent")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn workers_begin_with_their_number_and_an_edit_of_the_template_keeps_it() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.pipeline(&MINIMAL.replace("spec:\n", "spec:\n  worker: {autoscaling: {minReplicas: 3}}\n")).await;
    run.start();
    let replicas = |worker: &Deployment| worker.spec.as_ref().and_then(|spec| spec.replicas);
    let first: Deployment = run.wait("demo-worker", |_| true).await;
    assert_eq!((replicas(&first), first.metadata.generation), (Some(3), Some(1)), "it was made with that number");
    let by_scaler = |worker: &Deployment| {
        worker.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some("signup-operator-scaler"))
    };
    run.wait("demo-worker", by_scaler).await;
    run.edit(json!({"observability": {"logFormat": "Text"}})).await;
    let edited: Deployment = run.wait("demo-worker", |worker: &Deployment| worker.metadata.generation > Some(1)).await;
    assert_eq!(
        (replicas(&edited), edited.metadata.generation),
        (Some(3), Some(2)),
        "the number did not change in between"
    );
}
