//! An operator that is started again finds everything as it left it.

use super::{
    api_server::{audit, until},
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{apps::v1::Deployment, events::v1::Event};
use kube::api::{Patch, PatchParams};
use operator::crd::SignupPipeline;
use serde_json::json;

/// A pipeline that is Ready, with pods that run its configuration.
async fn ready_pipeline() -> Run {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    run.start();
    let hash = |pipeline: &SignupPipeline| Some(pipeline.status.as_ref()?.config.as_ref()?.hash.clone());
    let hash = hash(&run.wait("demo", |pipeline| hash(pipeline).is_some()).await).expect("it is there");
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        let pod = FakePod::new().await;
        pod.runs(&hash);
        run.pod(name, &pod).await;
        let generation = run.wait::<Deployment>(name, |_| true).await.metadata.generation;
        let status = json!({"status": {"observedGeneration": generation, "replicas": pods,
            "updatedReplicas": pods, "readyReplicas": pods}});
        let (deployments, patch) = (run.api::<Deployment>(), Patch::Merge(status));
        deployments.patch_status(name, &PatchParams::default(), &patch).await.expect("it is there");
    }
    run.condition("Ready", "True", "AsDesired").await;
    run.condition("Reconciling", "False", "AsDesired").await;
    run.condition("ConfigApplied", "True", "AsDesired").await;
    run
}

/// Looks of the operator at the pipeline so far.
fn polls(run: &Run) -> usize {
    audit(&run.namespace).iter().filter(|(verb, _, name)| verb == "get" && name == "app-db").count()
}

fn writes(run: &Run) -> Vec<(String, String, String)> {
    let all = audit(&run.namespace).into_iter();
    all.filter(|(verb, _, _)| !matches!(verb.as_str(), "get" | "list" | "watch")).collect()
}

#[tokio::test]
async fn an_operator_started_again_writes_nothing_when_nothing_has_changed() {
    let mut run = ready_pipeline().await;
    let rest = polls(&run) + 3;
    until("it has come to rest", async || (polls(&run) >= rest).then_some(())).await;
    let before = writes(&run);
    // What it sees first depends on which of its lists is answered first.
    for _ in 0..5 {
        run.kill().await;
        let last = polls(&run) + 3;
        run.start();
        until("it has polled three times", async || (polls(&run) >= last).then_some(())).await;
        let told = run.api::<Event>().list(&Default::default()).await.expect("it answers").items.into_iter();
        let told: Vec<Option<String>> = told.map(|event| event.note).collect();
        assert_eq!(writes(&run)[before.len()..], [], "written after a start; {told:?}");
    }
}
