//! What an exposure needs of the cluster, and ServiceMonitors of others, on a server with the kinds of the Gateway API
//! and of the Prometheus operator.

use super::{
    api_server::{client_of, start},
    late_kinds::serve,
    operator_run::{FakePod, MINIMAL, Run},
};
use kube::{
    Api, CustomResourceExt, ResourceExt,
    api::{ApiResource, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use operator::{build::child::Kind, crd::SignupPipeline};
use serde_json::{Value, json};

async fn create(run: &Run, resource: &ApiResource, name: &str, spec: Value) -> DynamicObject {
    let api: Api<DynamicObject> = Api::namespaced_with(run.client.clone(), &run.namespace, resource);
    let object = DynamicObject::new(name, resource).data(json!({"spec": spec}));
    api.create(&PostParams::default(), &object).await.expect("it is new")
}

/// Edits the exposure and waits for what is told of it at once.
async fn told(run: &Run, expose: Value, reason: &str, words: &str) {
    run.edit(json!({"expose": expose})).await;
    let message = run.condition("Exposed", "False", reason).await.message;
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn what_an_exposure_lacks_is_named_and_a_service_monitor_of_somebody_else_is_kept() {
    let server = tokio::task::spawn_blocking(start).await.expect("it starts");
    let mut run = Run::on(client_of(server.config(), SignupPipeline::crd()).await).await;
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let gateways = ApiResource::from_gvk_with_plural(&kind, "gateways");
    let monitors = Kind::ServiceMonitor.resource();
    for resource in [&Kind::HttpRoute.resource(), &gateways, &monitors] {
        serve(&run.client, resource).await;
    }
    run.secrets_with_redis().await;
    run.pipeline(MINIMAL).await;
    run.start();
    let place = format!("Gateway {}/edge", run.namespace);
    let parent = json!({"parentRefs": [{"name": "edge"}]});
    let expose = json!({"host": "app.example.com", "gateway": parent});
    told(&run, expose, "GatewayMissing", &format!("{place} does not exist. Fix: create it")).await;
    let listeners = json!([{"name": "web", "hostname": "*.other.test", "port": 80, "protocol": "HTTP"}]);
    create(&run, &gateways, "edge", json!({"gatewayClassName": "test", "listeners": listeners})).await;
    let words = format!("no listener of {place} is for app.example.com (they are for *.other.test). Fix: add");
    told(&run, json!({"path": "/signup"}), "HostUnmatched", &words).await;
    let named = json!({"parentRefs": [{"name": "edge", "sectionName": "admin"}]});
    told(&run, json!({"gateway": named}), "ListenerMissing", &format!("{place} has no listener admin (it has web)"))
        .await;
    told(&run, json!({"host": "app.other.test", "gateway": parent}), "AddressPending", "no Gateway has accepted").await;

    run.ingress_class().await;
    let ingress = json!({"gateway": null, "ingress": {"className": "nginx"}});
    told(&run, ingress, "IngressClassMissing", "IngressClass nginx does not exist (the cluster has contour). Fix:")
        .await;
    told(&run, json!({"ingress": {"className": "contour"}}), "AddressPending", "of class contour").await;

    run.edit(json!({"expose": null})).await;
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        run.pod(name, &FakePod::new().await).await;
        run.deployment_is_complete(name, pods).await;
    }
    let labels = json!({"matchLabels": {"app.kubernetes.io/instance": "demo"}});
    let team = create(&run, &monitors, "team", json!({"selector": labels, "endpoints": [{"port": "http"}]})).await;
    let other = json!({"selector": {"matchLabels": {"app": "other"}}, "endpoints": []});
    create(&run, &monitors, "other", other).await;
    let words = "ServiceMonitor team of somebody else is for the api pods, too";
    let message = run.condition_saying("Ready", "True", words).await.message;
    assert!(!message.contains("ServiceMonitor other"), "{message}");
    let api: Api<DynamicObject> = Api::namespaced_with(run.client.clone(), &run.namespace, &monitors);
    assert_eq!(api.get("team").await.expect("it is kept").resource_version(), team.resource_version());
}
