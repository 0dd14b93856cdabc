//! Kinds that not every cluster has: reported while they are missing, made once they are there, repaired and removed
//! like any child.
//!
//! The definitions are cut down to what the API server needs to serve the kinds; their own projects' hold every field.

use super::{
    api_server::{client_of, start, until},
    operator_run::{MINIMAL, Run},
};
use k8s_openapi::{
    api::apps::v1::Deployment, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, CustomResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use operator::{build::child::Kind, crd::SignupPipeline};
use serde_json::{Value, json};

async fn install(client: &Client, kind: Kind) {
    serve(client, &kind.resource()).await;
}

/// Has the server serve a kind.
pub(crate) async fn serve(client: &Client, resource: &ApiResource) {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let name = format!("{}.{}", resource.plural, resource.group);
    let crd = json!({
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {
            "group": resource.group, "scope": "Namespaced",
            "names": {"plural": resource.plural, "kind": resource.kind},
            "versions": [{"name": resource.version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let crd: CustomResourceDefinition = serde_json::from_value(crd).expect("a definition");
    Api::all(client.clone()).create(&PostParams::default(), &crd).await.expect("it is new");
}

fn objects(run: &Run, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(run.client.clone(), &run.namespace, &kind.resource())
}

async fn made(objects: &Api<DynamicObject>, what: &str, holds: impl Fn(&Value) -> bool) {
    until(what, async || {
        let object = objects.get_opt("demo").await.ok()??;
        holds(&object.data["spec"]).then_some(())
    })
    .await;
}

async fn gone(objects: &Api<DynamicObject>, what: &str) {
    until(what, async || objects.get_opt("demo").await.ok()?.is_none().then_some(())).await;
}

const BOTH: &str = "spec:\n  observability: {podMonitor: true}\n  expose: {host: app.example.com, gateway: \
    {parentRefs: [{name: edge}]}}\n";

#[tokio::test]
async fn a_missing_kind_holds_up_nothing_and_is_used_once_it_comes() {
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let client = client_of(server.config(), SignupPipeline::crd()).await;
    let mut run = Run::on(client).await;
    run.secrets_with_redis().await;
    run.pipeline(&MINIMAL.replace("spec:\n", BOTH)).await;
    run.start();
    run.wait::<Deployment>("demo-worker", |_| true).await;
    let degraded = run.condition("Degraded", "True", "GatewayApiMissing").await;
    assert!(degraded.message.contains("expose.ingress"), "{}", degraded.message);
    run.condition("Exposed", "False", "GatewayApiMissing").await;
    run.condition("Stalled", "False", "AsDesired").await;
    run.condition("Reconciling", "True", "RollingOut").await;

    install(&run.client, Kind::HttpRoute).await;
    let routes = objects(&run, Kind::HttpRoute);
    made(&routes, "the route is made", |spec| spec["hostnames"] == json!(["app.example.com"])).await;
    run.condition("Exposed", "False", "AddressPending").await;
    let degraded = run.condition("Degraded", "True", "MonitoringApiMissing").await;
    assert!(
        degraded.message.contains("the cluster has no PodMonitor. Fix: install the Prometheus"),
        "{}",
        degraded.message
    );

    install(&run.client, Kind::PodMonitor).await;
    let monitors = objects(&run, Kind::PodMonitor);
    made(&monitors, "the PodMonitor is made", |spec| spec["podMetricsEndpoints"][0]["port"] == "admin").await;
    run.condition("Degraded", "False", "AsDesired").await;
    are_watched(&run, &routes, &monitors).await;
}

/// The state of a route is seen, a foreign change is repaired, and what is no longer asked for goes.
async fn are_watched(run: &Run, routes: &Api<DynamicObject>, monitors: &Api<DynamicObject>) {
    let accepted = json!({"status": {"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}]}});
    routes.patch_status("demo", &PatchParams::default(), &Patch::Merge(accepted)).await.expect("it is there");
    run.condition("Exposed", "True", "AddressAssigned").await;
    let foreign = Patch::Merge(json!({"spec": {"podMetricsEndpoints": [{"port": "other"}]}}));
    monitors.patch("demo", &PatchParams::default(), &foreign).await.expect("it is there");
    made(monitors, "the PodMonitor is repaired", |spec| spec["podMetricsEndpoints"][0]["port"] == "admin").await;
    run.edit(json!({"observability": {"podMonitor": false}, "expose": null})).await;
    gone(monitors, "the PodMonitor is gone").await;
    gone(routes, "the route is gone").await;
    run.condition("Exposed", "False", "NotAskedFor").await;
}
