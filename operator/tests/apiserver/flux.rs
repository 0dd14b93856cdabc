//! Flux's own code (fluxcd/pkg/ssa, of which kustomize-controller and helm-controller are made) applies pipelines,
//! waits for them and deletes them, on a real API server.

use super::{
    api_server::{TOKEN, config, until},
    gitops::{STATES, samples, states, tell},
    operator_run::{MINIMAL, Run},
};
use kube::api::{DeleteParams, Patch, PatchParams};
use operator::crd::SignupPipeline;
use serde_json::{Value, json};

/// What Flux says of each object, by the object's name: what it did, or how its wait ended.
async fn flux(verb: &'static str, objects: &[Value]) -> Vec<(String, String)> {
    let (server, objects) = (config().await.cluster_url.to_string(), objects.to_vec());
    let telling = move || tell([verb.as_ref(), server.as_ref(), TOKEN.as_ref()], &objects);
    let told = tokio::task::spawn_blocking(telling).await.expect("it does not panic");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    told.iter().map(|line| (text(&line["name"]), text(&line["said"]))).collect()
}

/// That it says the same of all.
fn all(objects: &[Value], said: &str) -> Vec<(String, String)> {
    let name = |object: &Value| object["metadata"]["name"].as_str().expect("a name").to_owned();
    objects.iter().map(|object| (name(object), said.to_owned())).collect()
}

#[tokio::test]
async fn flux_applies_every_sample_once_finds_nothing_to_change_later_and_sees_its_end() {
    let mut run = Run::new().await;
    run.start();
    let mut objects: Vec<Value> = samples().into_iter().map(|(_, sample)| sample).collect();
    for (number, object) in objects.iter_mut().enumerate() {
        object["metadata"]["name"] = json!(format!("sample-{number:02}"));
        object["metadata"]["namespace"] = json!(run.namespace);
    }
    assert_eq!(flux("apply", &objects).await, all(&objects, "created"));
    for (name, _) in all(&objects, "") {
        let looked = |pipeline: &SignupPipeline| {
            pipeline.status.as_ref().and_then(|status| status.observed_generation) == Some(1)
        };
        run.wait::<SignupPipeline>(&name, looked).await;
    }
    assert_eq!(flux("apply", &objects).await, all(&objects, "unchanged"));
    let mut deleted = flux("delete", &objects).await;
    deleted.sort();
    assert_eq!(deleted, all(&objects, "deleted"));
}

/// An object of its own in the cluster for a state; gives it as it was applied.
async fn put(run: &Run, name: &str, state: &Value) -> Value {
    run.pipeline_named(name, MINIMAL).await;
    let pipelines = run.api::<SignupPipeline>();
    let (generation, seen) = (&state["metadata"]["generation"], &state["status"]["observedGeneration"]);
    let mut status = state["status"].clone();
    if let (Some(generation), Some(seen @ 0..)) = (generation.as_i64(), seen.as_i64()) {
        // That of a new object is 1.
        status["observedGeneration"] = json!(1 - (generation - seen));
    }
    if !status.is_null() {
        let patch = Patch::Merge(json!({"status": status}));
        pipelines.patch_status(name, &PatchParams::default(), &patch).await.expect("it is valid");
    }
    if !state["metadata"]["deletionTimestamp"].is_null() {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": ["example.com/keeps-it"]}}));
        pipelines.patch(name, &PatchParams::default(), &patch).await.expect("it is there");
        pipelines.delete(name, &DeleteParams::default()).await.expect("it is there");
        let is_being_deleted = |pipeline: SignupPipeline| pipeline.metadata.deletion_timestamp.map(|_| ());
        until("it is being deleted", async || is_being_deleted(pipelines.get(name).await.ok()?)).await;
    }
    json!({"apiVersion": "signup.dev/v1alpha1", "kind": "SignupPipeline",
        "metadata": {"name": name, "namespace": run.namespace}})
}

#[tokio::test]
async fn flux_waits_for_each_state_as_the_page_says() {
    let run = Run::new().await;
    let (mut objects, mut expected) = (Vec::new(), Vec::new());
    for (number, (state, (_, [kstatus, ..]))) in states().iter().zip(STATES).enumerate() {
        let name = format!("state-{number}");
        let it = format!("[SignupPipeline/{}/{name} status: '{kstatus}']", run.namespace);
        let said = match kstatus {
            "Current" => String::new(),
            "Failed" => format!("failed early due to stalled resources: {it}"),
            _ => format!("timeout waiting for: {it}"),
        };
        objects.push(put(&run, &name, state).await);
        expected.push((name, said));
    }
    assert_eq!(flux("wait", &objects).await, expected);
}
