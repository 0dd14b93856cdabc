//! Two pipelines meet: on a host, by a name that is used again, and in what tells them apart in a database.

use super::{
    api_server::until,
    operator_run::{MINIMAL, Run},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Secret, Service},
    events::v1::Event,
    networking::v1::Ingress,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PropagationPolicy},
};
use operator::crd::SignupPipeline;
use pipeline::Identity;
use serde_json::json;

fn exposed(path: &str) -> String {
    let expose = format!("spec:\n  expose: {{host: app.example.com, path: {path}, ingress: {{className: contour}}}}\n");
    MINIMAL.replace("spec:\n", &expose)
}

/// Waits for a condition of a pipeline of that name; gives its message.
async fn told(run: &Run, name: &str, kind: &str, reason: &str) -> String {
    let api = run.api::<SignupPipeline>();
    until(&format!("{kind} of {name} says {reason}"), async || {
        let conditions = api.get(name).await.ok()?.status?.conditions;
        let found = conditions.into_iter().find(|found| found.type_ == kind && found.reason == reason)?;
        Some(found.message)
    })
    .await
}

#[tokio::test]
async fn the_older_pipeline_keeps_a_host_and_path_and_the_younger_gets_it_when_that_one_goes() {
    let run = Run::with_pipeline(&exposed("/")).await;
    run.wait::<Ingress>("demo", |_| true).await;
    // The API server writes whole seconds, and by name the other would come first.
    let demo = run.api::<SignupPipeline>().get("demo").await.expect("it is there");
    let made = demo.metadata.creation_timestamp.expect("it was made").0;
    until("the next second", async || (Timestamp::now().as_second() > made.as_second()).then_some(())).await;
    run.pipeline_named("copy", &exposed("/")).await;
    let message = told(&run, "copy", "Exposed", "HostShared").await;
    let other =
        format!("pipeline {}/demo is older and answers to app.example.com/. Fix: give this pipeline", run.namespace);
    assert!(message.starts_with(&other), "{message}");
    run.wait::<Deployment>("copy-worker", |_| true).await;
    assert!(run.api::<Ingress>().get_opt("copy").await.expect("it answers").is_none());
    run.ingress_class().await;
    told(&run, "demo", "Exposed", "AddressPending").await;
    run.api::<SignupPipeline>().delete("demo", &DeleteParams::default()).await.expect("it is there");
    run.wait::<Ingress>("copy", |_| true).await;
    told(&run, "copy", "Exposed", "AddressPending").await;
}

#[tokio::test]
async fn an_ingress_that_a_younger_pipeline_has_is_taken_away_and_paths_within_a_path_are_told() {
    let run = Run::with_pipeline(&exposed("/signup")).await;
    run.wait::<Ingress>("demo", |_| true).await;
    run.pipeline_named("other", &exposed("/signup/shop")).await;
    let address = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}));
    run.wait::<Ingress>("other", |_| true).await;
    run.api::<Ingress>().patch_status("other", &PatchParams::default(), &address).await.expect("it is there");
    let message = told(&run, "other", "Exposed", "AddressAssigned").await;
    let note = format!("Ingress answers to app.example.com; /signup of this host is pipeline {}/demo's", run.namespace);
    assert_eq!(message, note);
    let moved = Patch::Merge(json!({"spec": {"expose": {"path": "/signup/"}}}));
    run.api::<SignupPipeline>().patch("other", &PatchParams::default(), &moved).await.expect("it is valid");
    told(&run, "other", "Exposed", "HostShared").await;
    let ingresses = run.api::<Ingress>();
    until("its Ingress is gone", async || ingresses.get_opt("other").await.ok()?.is_none().then_some(())).await;
    run.wait::<Ingress>("demo", |_| true).await;
}

#[tokio::test]
async fn children_that_were_left_are_taken_over_and_an_event_says_why_their_pods_are_replaced() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let deployment = run.wait::<Deployment>("demo-worker", |_| true).await;
    let (service, key) =
        (run.wait::<Service>("demo-api", |_| true).await, run.wait::<Secret>("demo-keys", |_| true).await);
    // As the garbage collector does, which does not run here.
    let pipelines = run.api::<SignupPipeline>();
    let first = pipelines.get("demo").await.expect("it is there").uid();
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    pipelines.delete("demo", &orphan).await.expect("it is there");
    let free = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    let params = PatchParams::default();
    for name in ["demo-api", "demo-worker"] {
        run.api::<Deployment>().patch(name, &params, &free).await.expect("it is there");
    }
    run.api::<Service>().patch("demo-api", &params, &free).await.expect("it is there");
    run.api::<ConfigMap>().patch("demo-config", &params, &free).await.expect("it is there");
    let done = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pipelines.patch("demo", &params, &done).await.expect("it is there");
    until("it is gone", async || pipelines.get_opt("demo").await.ok()?.is_none().then_some(())).await;
    run.pipeline(MINIMAL).await;
    let second = pipelines.get("demo").await.expect("it is there").uid();
    assert_ne!(first, second);
    let owner = |found: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
        found.iter().map(|owner| Some(owner.uid.clone())).collect::<Vec<_>>() == [second.clone()]
    };
    let taken = run.wait::<Deployment>("demo-worker", |found| owner(found.owner_references())).await;
    assert_eq!(taken.uid(), deployment.uid());
    assert_eq!(run.wait::<Service>("demo-api", |found| owner(found.owner_references())).await.uid(), service.uid());
    assert_eq!(run.wait::<Secret>("demo-keys", |_| true).await.data, key.data);
    let words = "pods of demo-worker are replaced, because the pipeline was deleted without its children";
    until(words, async || {
        let events = run.api::<Event>().list(&Default::default()).await.ok()?.items;
        events.iter().any(|event| event.note.as_deref().is_some_and(|note| note.starts_with(words))).then_some(())
    })
    .await;
    let wrong = run.api::<Event>().list(&Default::default()).await.expect("it answers").items;
    assert!(!wrong.iter().any(|event| event.note.as_deref().is_some_and(|note| note.contains("its Secrets changed"))));
}

#[tokio::test]
async fn what_tells_a_pipeline_from_its_namesakes_is_beside_its_configuration() {
    let run = Run::with_pipeline(MINIMAL).await;
    let map: ConfigMap = run.wait("demo-config", |_| true).await;
    let text = map.data.expect("it has data").remove("identity.yaml").expect("it is there");
    let folder = std::env::temp_dir().join(format!("identity-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("identity.yaml"), text).expect("a file");
    let identity = Identity::beside(&folder.join("pipeline.yaml"));
    std::fs::remove_dir_all(folder).expect("it is ours");
    let namespace = Api::<Namespace>::all(run.client.clone()).get(&run.namespace).await.expect("it is there");
    let pipeline = run.api::<SignupPipeline>().get("demo").await.expect("it is there");
    let created_at = pipeline.metadata.creation_timestamp.map(|time| time.0.to_string());
    assert_eq!(identity, Identity { namespace_uid: namespace.metadata.uid, created_at });
}
