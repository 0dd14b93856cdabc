//! Many pipelines in one namespace.
//!
//! Takes: a client with every right. Gives: their Secrets, the pipelines, pods as the Deployment controller and the
//! kubelet would write them, and what of it the operator has done. Does not: start anything but Redis.

use super::api_server::until;
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
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use operator::{crd::SignupPipeline, manifest};
use serde_json::json;
use std::{
    fmt::Debug,
    ops::Range,
    time::{Duration, Instant},
};

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
pub(super) const NAMESPACE: &str = "many";
/// Pipelines that have pods, and pods of each: two of api, one worker.
pub(super) const WITH_PODS: usize = 200;
const PODS: usize = 3;

/// How many there are.
pub(super) fn pipelines() -> usize {
    std::env::var("MANY_PIPELINES").map_or(1000, |number| number.parse().expect("MANY_PIPELINES is a number"))
}

/// All of them.
pub(super) struct Fleet {
    client: Client,
    minimal: SignupPipeline,
}

/// Which rights it needs is another test's matter (charts/tests/rights.sh).
pub(super) async fn grant(client: &Client) {
    let group = "rbac.authorization.k8s.io";
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "operators"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "operators"}],
    }))
    .expect("a binding");
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.expect("it is new");
}

impl Fleet {
    /// Each will have a Redis database of its own, as it must.
    pub(super) async fn prepare(client: &Client) -> Self {
        let (redis, pipelines) =
            (tokio::task::spawn_blocking(servers::redis).await.expect("Redis starts"), pipelines());
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).expect("a namespace");
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.expect("it is new");
        let uri = |name: &str, uri: &str| Secret {
            data: Some([("uri".to_owned(), ByteString(uri.as_bytes().to_vec()))].into()),
            metadata: kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
            ..Secret::default()
        };
        let mut secrets = vec![uri("app-db", "postgres://app:canary@db.test:5432/app")];
        secrets.extend((0..pipelines).map(|number| uri(&format!("redis-{number}"), &redis.fresh_database())));
        let create = |secret: Secret| {
            let secrets = api::<Secret>(client);
            async move { secrets.create(&PostParams::default(), &secret).await.expect("it is new") }
        };
        stream::iter(secrets).map(create).buffer_unordered(8).collect::<Vec<_>>().await;
        let minimal = manifest::parse(MINIMAL).expect("it is valid").pipeline;
        Self { client: client.clone(), minimal }
    }

    pub(super) async fn apply(&self, number: usize) {
        let mut pipeline = self.minimal.clone();
        pipeline.metadata.name = Some(format!("p{number}"));
        pipeline.metadata.namespace = Some(NAMESPACE.to_owned());
        pipeline.spec.redis.secret_ref.name = format!("redis-{number}");
        if number >= WITH_PODS {
            pipeline.spec.api.replicas = Some(0);
            pipeline.spec.worker.autoscaling.min_replicas = 0;
        }
        api::<SignupPipeline>(&self.client).create(&PostParams::default(), &pipeline).await.expect("it is accepted");
    }

    /// Some of them at once.
    pub(super) async fn apply_all(&self, numbers: Range<usize>) {
        stream::iter(numbers).map(|number| self.apply(number)).buffer_unordered(16).collect::<Vec<()>>().await;
    }

    /// Whether its status is of its newest generation.
    pub(super) async fn is_observed(&self, number: usize) -> bool {
        let found = api::<SignupPipeline>(&self.client).get(&format!("p{number}")).await;
        found.is_ok_and(|pipeline| is_current(&pipeline))
    }

    /// Whether the status of each of so many is of its newest generation.
    pub(super) async fn has_all_statuses(&self, pipelines: usize) -> bool {
        let found = api::<SignupPipeline>(&self.client).list(&ListParams::default()).await;
        found.is_ok_and(|found| found.items.len() == pipelines && found.items.iter().all(is_current))
    }

    /// The longest time until one of some edits was in the status.
    pub(super) async fn edit_the_first(&self) -> Duration {
        let mut longest = Duration::ZERO;
        for seconds in 1..=5 {
            let edit = Patch::Merge(json!({"spec": {"task": {"delay": format!("{seconds}s")}}}));
            let began = Instant::now();
            let pipelines = api::<SignupPipeline>(&self.client);
            pipelines.patch("p0", &PatchParams::default(), &edit).await.expect("it is valid");
            until("an edit is in the status", async || self.is_observed(0).await.then_some(())).await;
            longest = longest.max(began.elapsed());
        }
        longest
    }

    /// Pods with the status of running ones, whose admin ports refuse connections.
    pub(super) async fn write_pods(&self) {
        let deployments = api::<Deployment>(&self.client).list(&ListParams::default()).await.expect("it answers").items;
        let running: Vec<Pod> = deployments.iter().flat_map(pods_of).collect();
        assert_eq!(running.len(), PODS * WITH_PODS.min(pipelines()));
        let write = |pod: Pod| {
            let (pods, name) = (api::<Pod>(&self.client), pod.name_any());
            async move {
                pods.create(&PostParams::default(), &pod).await.expect("it is valid");
                pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status())).await.expect("a status")
            }
        };
        stream::iter(running).map(write).buffer_unordered(16).collect::<Vec<_>>().await;
    }

    pub(super) async fn pods_are_counted(&self) -> bool {
        let Ok(found) = api::<SignupPipeline>(&self.client).list(&ListParams::default()).await else {
            return false;
        };
        let counted = |pipeline: &SignupPipeline| {
            let config = pipeline.status.as_ref().and_then(|status| status.config.as_ref());
            config.is_some_and(|config| usize::try_from(config.total_pods) == Ok(PODS))
        };
        found.items.iter().filter(|pipeline| counted(pipeline)).count() == WITH_PODS.min(pipelines())
    }
}

fn api<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client.clone(), NAMESPACE)
}

fn is_current(pipeline: &SignupPipeline) -> bool {
    pipeline.status.as_ref().is_some_and(|status| status.observed_generation == pipeline.metadata.generation)
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

/// Whether each of so many pipelines has all its children.
pub(super) async fn is_whole(client: &Client, pipelines: usize) -> bool {
    // The Deployments come last.
    count::<Deployment>(client).await == 2 * pipelines
        && count::<ConfigMap>(client).await == pipelines
        && count::<Service>(client).await == pipelines
        && count::<PodDisruptionBudget>(client).await == pipelines
        && count::<ServiceAccount>(client).await == 2 * pipelines
        && count::<NetworkPolicy>(client).await == 2 * pipelines
}

fn pods_of(deployment: &Deployment) -> Vec<Pod> {
    let (name, spec) = (deployment.name_any(), deployment.spec.clone().expect("it has a spec"));
    let pod = |number| {
        let mut metadata = spec.template.metadata.clone().unwrap_or_default();
        metadata.name = Some(format!("{name}-{number}"));
        Pod { metadata, spec: spec.template.spec.clone(), status: None }
    };
    (0..spec.replicas.unwrap_or(1)).map(pod).collect()
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
