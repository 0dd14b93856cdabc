//! A definition of the resource that is older than the operator, on an API server of its own.

use super::{
    api_server::{client_of, start, until},
    operator_run::MINIMAL,
};
use k8s_openapi::{
    api::events::v1::Event, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, CustomResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use operator::{
    controller::{
        self, Scope,
        definition::Definition,
        observe::named::{INTERVAL, SecretAccess},
    },
    crd::SignupPipeline,
    manifest,
};

/// As an earlier version might have had it.
fn older() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(SignupPipeline::crd()).expect("JSON");
    let spec =
        crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").expect("it is there");
    spec.as_object_mut().expect("properties").remove("observability").expect("it was there");
    let root = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").expect("it is there");
    root.as_object_mut().expect("a schema").remove("x-kubernetes-validations").expect("it was there");
    serde_json::from_value(crd).expect("a definition")
}

async fn degraded(client: &Client, reason: &str) -> Condition {
    let pipelines: Api<SignupPipeline> = Api::default_namespaced(client.clone());
    let found = |pipeline: SignupPipeline| {
        let mut all = pipeline.status?.conditions.into_iter();
        all.find(|condition| condition.type_ == "Degraded" && condition.reason == reason)
    };
    until(&format!("Degraded has the reason {reason}"), async || found(pipelines.get("demo").await.ok()?)).await
}

fn scope() -> Scope {
    Scope {
        namespace: Some("default".into()),
        image: "signup:test".into(),
        identity: "test".into(),
        concurrency: std::num::NonZeroU16::MIN,
        secrets: SecretAccess::Get { every: INTERVAL },
        gauges: None,
        operator: "default/signup-operator".into(),
        take_over_after: operator::controller::operators::TAKE_OVER_AFTER,
    }
}

#[tokio::test]
async fn a_definition_older_than_the_operator_is_told_with_its_fix_until_it_is_replaced() {
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let client = client_of(server.config(), older()).await;
    let pipeline = manifest::parse(MINIMAL).expect("it is valid").pipeline;
    let pipelines: Api<SignupPipeline> = Api::default_namespaced(client.clone());
    pipelines.create(&PostParams::default(), &pipeline).await.expect("it is accepted");
    let operator = tokio::spawn(controller::run(client.clone(), scope(), std::future::pending()));
    let redis = tokio::task::spawn_blocking(|| servers::redis().fresh_database()).await.expect("Redis starts");
    for (name, uri) in [("app-db", "postgres://app@db.test/app"), ("app-redis", &redis)] {
        let secret = serde_json::json!({"metadata": {"name": name}, "stringData": {"uri": uri}});
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret).expect("a Secret");
        Api::default_namespaced(client.clone()).create(&PostParams::default(), &secret).await.expect("it is new");
    }
    let condition = degraded(&client, "CrdOutdated").await;
    assert!(condition.message.contains("lacks spec.observability, and drops"), "{}", condition.message);
    assert!(condition.message.contains("Fix: helm upgrade with crd.install=true"), "{}", condition.message);

    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let patch = Patch::Apply(SignupPipeline::crd());
    let params = PatchParams::apply("test").force();
    crds.patch(SignupPipeline::crd_name(), &params, &patch).await.expect("it is accepted");
    degraded(&client, "AsDesired").await;
    operator.abort();
}

/// Kubernetes 1.35 and newer lets a Service be named so, and an older definition let pipelines.
#[tokio::test]
async fn a_pipeline_with_a_name_that_an_older_definition_took_goes_on_and_another_is_refused() {
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let client = client_of(server.config(), older()).await;
    let named = |name: &str| {
        let mut pipeline = manifest::parse(MINIMAL).expect("it is valid").pipeline;
        pipeline.metadata.name = Some(name.to_owned());
        pipeline
    };
    let pipelines: Api<SignupPipeline> = Api::default_namespaced(client.clone());
    pipelines.create(&PostParams::default(), &named("1shop")).await.expect("it is accepted");
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let (params, patch) = (PatchParams::apply("test").force(), Patch::Apply(SignupPipeline::crd()));
    crds.patch(SignupPipeline::crd_name(), &params, &patch).await.expect("it is accepted");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let refused = async || Some(pipelines.create(&dry_run, &named("2shop")).await.err()?.to_string());
    let refusal = until("the new definition is in force", refused).await;
    assert!(refusal.contains("write shop-eu instead of shop.eu, and shop-1 instead of 1shop"), "{refusal}");
    let (edit, params) = (serde_json::json!({"spec": {"paused": true}}), PatchParams::default());
    pipelines.patch("1shop", &params, &Patch::Merge(edit)).await.expect("it can be edited");
    let status = serde_json::json!({"status": {"observedGeneration": 2}});
    pipelines.patch_status("1shop", &params, &Patch::Merge(status)).await.expect("its status can be written");
}

#[tokio::test]
async fn the_operators_own_definition_is_current_and_needs_no_right_to_be_read() {
    let mut config = super::api_server::config().await;
    super::api_server::client().await;
    // Somebody without any right of their own.
    config.auth_info.impersonate = Some("nobody-in-particular".into());
    let client = Client::try_from(config).expect("a client");
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    assert!(crds.get(SignupPipeline::crd_name()).await.is_err(), "definitions are not theirs to read");
    let definition = Definition::new(client);
    until("it is read", async || definition.is_current().await.then_some(())).await;
    assert_eq!(definition.finding(), None);
}

#[tokio::test]
async fn a_pipeline_that_cannot_be_decoded_is_told_and_holds_up_no_other() {
    let mut crd = serde_json::to_value(SignupPipeline::crd()).expect("JSON");
    let mode = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/worker/properties/autoscaling/\
        properties/mode";
    let mode = crd.pointer_mut(mode).and_then(|mode| mode.as_object_mut()).expect("it is there");
    mode.remove("enum").expect("it has one");
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let client = client_of(server.config(), serde_json::from_value(crd).expect("a definition")).await;
    let pipeline = manifest::parse(MINIMAL).expect("it is valid").pipeline;
    let mut other = serde_json::to_value(&pipeline).expect("JSON");
    other["metadata"]["name"] = "other".into();
    other["spec"]["worker"] = serde_json::json!({"autoscaling": {"mode": "Sometimes"}});
    let other: DynamicObject = serde_json::from_value(other).expect("an object");
    let resource = ApiResource::erase::<SignupPipeline>(&());
    let objects: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    objects.create(&PostParams::default(), &other).await.expect("this definition takes it");
    let pipelines: Api<SignupPipeline> = Api::default_namespaced(client.clone());
    pipelines.create(&PostParams::default(), &pipeline).await.expect("it is accepted");
    let operator = tokio::spawn(controller::run(client.clone(), scope(), std::future::pending()));
    degraded(&client, "SecretMissing").await;
    let events: Api<Event> = Api::default_namespaced(client.clone());
    let told = async || {
        let all = events.list(&Default::default()).await.ok()?.items.into_iter();
        let about = |event: &Event| event.regarding.as_ref().and_then(|about| about.name.clone());
        let mut notes = all.filter(|event| about(event).as_deref() == Some("other")).filter_map(|event| event.note);
        notes.find(|note| note.contains("Unknown variant Sometimes"))
    };
    until("it is told", told).await;
    operator.abort();
}
