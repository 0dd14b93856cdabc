//! 200 pipelines at once, on a real API server, by the operator as it is shipped.
//!
//! Takes: etcd and kube-apiserver (feature `release-tests`), a real Redis, the operator's program built for release.
//! Gives: the test below, and the figures on its output. Alone in its process, because the machine is part of what is
//! tested. Does not: run pods; it writes them, as the Deployment controller and the kubelet would.

#[path = "../harness/api_server.rs"]
mod api_server;
mod operator_process;

use api_server::{OPERATOR_TOKEN, audit, client, config, until};
use futures::{StreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::ClusterRoleBinding,
    },
};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use operator::{crd::SignupPipeline, manifest};
use operator_process::OperatorProcess;
use serde_json::json;
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
const NAMESPACE: &str = "many";
const PIPELINES: usize = 200;
/// Pods of one pipeline: two of api, one worker.
const PODS: usize = 3;
/// Long enough for several rounds of anything that is done every 2 seconds.
const WINDOW: Duration = Duration::from_secs(7);
/// Resident memory that the operator may have.
const MAX_MIB: f64 = 40.0;

/// `until` waits a minute, which is the demand.
#[tokio::test]
async fn two_hundred_pipelines_at_once_have_all_their_children_within_a_minute_and_40_mib() {
    let client = client().await;
    grant(&client).await;
    let operator = OperatorProcess::start(&config().await.cluster_url.to_string(), OPERATOR_TOKEN);
    until("the operator leads", async || operator.log().contains("leading").then_some(())).await;
    prepare(&client).await;
    let began = Instant::now();
    apply(&client, 0).await;
    until("the first has a status", async || observed(&client, 0).await.then_some(())).await;
    let (_, longest) = tokio::join!(apply_the_others(&client), edit_the_first(&client));
    println!("longest wait of an edit beside the others: {:.1} s", longest.as_secs_f64());
    until("every pipeline has all its children", async || has_all_children(&client).await.then_some(())).await;
    println!("all children after {:.1} s, {:.1} MiB", began.elapsed().as_secs_f64(), operator.resident_mib());
    println!("{} requests, those of this test included", audit(NAMESPACE).len());
    write_pods(&client).await;
    until("every status counts its pods", async || all_pods_are_counted(&client).await.then_some(())).await;
    println!("with {} pods {:.1} MiB", PODS * PIPELINES, operator.resident_mib());
    let reads = until("nothing is asked for but Secrets", async || reads_at_rest().await).await;
    println!("{reads} reads of Secrets in {} s", WINDOW.as_secs());
    let most = operator.most_resident_mib();
    assert!(most <= MAX_MIB, "{most:.1} MiB");
}

fn api<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Which rights it needs is another test's matter (charts/tests/rights.sh).
async fn grant(client: &Client) {
    let group = "rbac.authorization.k8s.io";
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "operators"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "operators"}],
    }))
    .expect("a binding");
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.expect("it is new");
}

/// As many as the operator made.
async fn count<K>(client: &Client) -> usize
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope> + serde::de::DeserializeOwned + Clone + Debug,
    K::DynamicType: Default,
{
    let own = ListParams::default().labels("app.kubernetes.io/managed-by=signup-operator");
    api::<K>(client).list_metadata(&own).await.map_or(0, |list| list.items.len())
}

async fn has_all_children(client: &Client) -> bool {
    // The Deployments come last.
    count::<Deployment>(client).await == 2 * PIPELINES
        && count::<ConfigMap>(client).await == PIPELINES
        && count::<Service>(client).await == PIPELINES
        && count::<PodDisruptionBudget>(client).await == PIPELINES
        && count::<ServiceAccount>(client).await == 2 * PIPELINES
        && count::<NetworkPolicy>(client).await == 2 * PIPELINES
}

/// Each has a Redis database of its own, as it must.
async fn prepare(client: &Client) {
    let redis = tokio::task::spawn_blocking(servers::redis).await.expect("Redis starts");
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).expect("a namespace");
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.expect("it is new");
    let uri = |name: &str, uri: &str| Secret {
        data: Some([("uri".to_owned(), ByteString(uri.as_bytes().to_vec()))].into()),
        metadata: kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
        ..Secret::default()
    };
    let mut secrets = vec![uri("app-db", "postgres://app:canary@db.test:5432/app")];
    secrets.extend((0..PIPELINES).map(|number| uri(&format!("redis-{number}"), &redis.fresh_database())));
    let create = |secret: Secret| {
        let secrets = api::<Secret>(client);
        async move { secrets.create(&PostParams::default(), &secret).await.expect("it is new") }
    };
    stream::iter(secrets).map(create).buffer_unordered(8).collect::<Vec<_>>().await;
}

async fn apply(client: &Client, number: usize) {
    let mut pipeline = manifest::parse(MINIMAL).expect("it is valid").pipeline;
    pipeline.metadata.name = Some(format!("p{number}"));
    pipeline.metadata.namespace = Some(NAMESPACE.to_owned());
    pipeline.spec.redis.secret_ref.name = format!("redis-{number}");
    api::<SignupPipeline>(client).create(&PostParams::default(), &pipeline).await.expect("it is accepted");
}

async fn apply_the_others(client: &Client) {
    stream::iter(1..PIPELINES).map(|number| apply(client, number)).buffer_unordered(16).collect::<Vec<()>>().await;
}

/// Whether its status is of its newest generation.
async fn observed(client: &Client, number: usize) -> bool {
    let Ok(pipeline) = api::<SignupPipeline>(client).get(&format!("p{number}")).await else { return false };
    pipeline.status.is_some_and(|status| status.observed_generation == pipeline.metadata.generation)
}

/// The longest time until one of some edits was in the status.
async fn edit_the_first(client: &Client) -> Duration {
    let mut longest = Duration::ZERO;
    for seconds in 1..=5 {
        let edit = Patch::Merge(json!({"spec": {"task": {"delay": format!("{seconds}s")}}}));
        let began = Instant::now();
        api::<SignupPipeline>(client).patch("p0", &PatchParams::default(), &edit).await.expect("it is valid");
        until("an edit is in the status", async || observed(client, 0).await.then_some(())).await;
        longest = longest.max(began.elapsed());
    }
    longest
}

/// Reads of Secrets within a window in which nothing else is asked for.
async fn reads_at_rest() -> Option<usize> {
    let before = audit(NAMESPACE).len();
    // This is the time that is measured; nothing is waited for.
    tokio::time::sleep(WINDOW).await;
    let mut requests = audit(NAMESPACE).split_off(before);
    // Kinds that the cluster lacks are asked for every 30 s, whatever the number of pipelines.
    requests.retain(|(verb, kind, _)| verb != "watch" && !["httproutes", "podmonitors"].contains(&&**kind));
    requests.iter().all(|(verb, resource, _)| verb == "get" && resource == "secrets").then_some(requests.len())
}

/// Pods with the status of running ones, whose admin ports refuse connections.
async fn write_pods(client: &Client) {
    let deployments = api::<Deployment>(client).list(&ListParams::default()).await.expect("it answers").items;
    let mut running = Vec::new();
    for deployment in deployments {
        let (name, spec) = (deployment.metadata.name.unwrap_or_default(), deployment.spec.expect("it has a spec"));
        for number in 0..spec.replicas.unwrap_or(1) {
            let mut metadata = spec.template.metadata.clone().unwrap_or_default();
            metadata.name = Some(format!("{name}-{number}"));
            running.push(Pod { metadata, spec: spec.template.spec.clone(), status: None });
        }
    }
    assert_eq!(running.len(), PODS * PIPELINES);
    let write = |pod: Pod| {
        let (pods, name) = (api::<Pod>(client), pod.metadata.name.clone().unwrap_or_default());
        async move {
            pods.create(&PostParams::default(), &pod).await.expect("it is valid");
            pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status())).await.expect("a status")
        }
    };
    stream::iter(running).map(write).buffer_unordered(16).collect::<Vec<_>>().await;
}

fn status() -> serde_json::Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let container = json!({
        "name": "api", "ready": true, "started": true, "restartCount": 0, "image": "localhost/signup:0.1.0",
        "imageID": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "containerID": "containerd://0000000000000000000000000000000000000000000000000000000000000000",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    });
    json!({"status": {
        "phase": "Running", "podIP": "127.0.99.99", "podIPs": [{"ip": "127.0.99.99"}], "qosClass": "Burstable",
        "conditions": conditions.map(condition), "containerStatuses": [container],
    }})
}

async fn all_pods_are_counted(client: &Client) -> bool {
    let Ok(pipelines) = api::<SignupPipeline>(client).list(&ListParams::default()).await else { return false };
    let counted = |pipeline: &SignupPipeline| {
        let config = pipeline.status.as_ref().and_then(|status| status.config.as_ref());
        config.is_some_and(|config| usize::try_from(config.total_pods) == Ok(PODS))
    };
    pipelines.items.iter().all(counted)
}
