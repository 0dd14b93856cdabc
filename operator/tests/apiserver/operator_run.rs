//! An operator at work in a namespace of its own, on a real API server.
//!
//! Gives: the namespace, with Pod Security `restricted` enforced, and short words for what tests do in it.
//! Does not: run pods; [`FakePod`] answers in the place of one.

pub(crate) use super::fake_pod::FakePod;

use super::api_server::{client, until};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::Deployment,
        core::v1::{Namespace, Pod, Secret},
        networking::v1::IngressClass,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use operator::{
    build,
    controller::{self, Scope, gauges::Gauges, observe::named::SecretAccess},
    crd::SignupPipeline,
    manifest,
};
use serde_json::{Value, json};
use std::{
    fmt::Debug,
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

pub(crate) const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");

static NAMESPACES: AtomicU32 = AtomicU32::new(1);

/// A namespace with an operator.
pub(crate) struct Run {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    operator: Option<JoinHandle<()>>,
    /// Secrets are read far more often than by an operator that is shipped, so that no test waits for a minute.
    pub(crate) access: SecretAccess,
    pub(crate) gauges: Arc<Gauges>,
}

impl Run {
    /// A namespace without an operator yet.
    pub(crate) async fn new() -> Self {
        Self::on(client().await).await
    }

    /// The same on another server.
    pub(crate) async fn on(client: Client) -> Self {
        let namespace = format!("test-{}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let object = json!({"metadata": {"name": namespace, "labels": labels}});
        let object: Namespace = serde_json::from_value(object).expect("a namespace");
        Api::all(client.clone()).create(&PostParams::default(), &object).await.expect("it is new");
        let access = SecretAccess::Get { every: Duration::from_secs(2) };
        Self { client, namespace, operator: None, access, gauges: Arc::default() }
    }

    /// A namespace with the Secrets of the minimal pipeline, the pipeline, and an operator.
    pub(crate) async fn with_pipeline(text: &str) -> Self {
        let mut run = Self::new().await;
        run.secrets().await;
        run.pipeline(text).await;
        run.start();
        run
    }

    /// The Secrets that the minimal pipeline names; nothing answers at their addresses.
    pub(crate) async fn secrets(&self) {
        self.secret("app-db", &[("uri", "postgres://app:canary-db@db.test:5432/app")]).await;
        self.secret("app-redis", &[("uri", "redis://:canary-redis@127.0.0.1:1/0")]).await;
    }

    /// The same, with a Redis that answers; gives its URI.
    pub(crate) async fn secrets_with_redis(&self) -> String {
        let uri = tokio::task::spawn_blocking(|| servers::redis().fresh_database()).await.expect("Redis starts");
        self.secrets().await;
        self.secret("app-redis", &[("uri", &uri)]).await;
        uri
    }

    /// As [`Run::with_pipeline`], with a Redis that answers.
    pub(crate) async fn with_pipeline_and_redis(text: &str) -> Self {
        let mut run = Self::new().await;
        run.secrets_with_redis().await;
        run.pipeline(text).await;
        run.start();
        run
    }

    pub(crate) fn start(&mut self) {
        self.start_with(self.client.clone(), "signup:test");
    }

    /// With the rights of a client, and an image of its own.
    pub(crate) fn start_with(&mut self, client: Client, image: &str) {
        let (namespace, concurrency) = (Some(self.namespace.clone()), NonZeroU16::new(16).expect("it is not 0"));
        let (image, identity, secrets) = (image.into(), "test".into(), self.access);
        let (gauges, operator) = (Some(Arc::clone(&self.gauges)), format!("{}/signup-operator", self.namespace));
        let take_over_after = controller::operators::TAKE_OVER_AFTER;
        let scope = Scope { namespace, image, identity, concurrency, secrets, gauges, operator, take_over_after };
        let run = controller::run(client, scope, std::future::pending());
        self.operator = Some(tokio::spawn(async { run.await.expect("it runs") }));
    }

    /// Ends the operator at once, as a kill does.
    pub(crate) async fn kill(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.abort();
            let _ = operator.await;
        }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes or replaces a Secret.
    pub(crate) async fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        let params = PatchParams::apply("test").force();
        self.api::<Secret>().patch(name, &params, &Patch::Apply(&secret)).await.expect("the Secret is valid");
    }

    /// Applies the pipeline of a file's text.
    pub(crate) async fn pipeline(&self, text: &str) {
        self.pipeline_named("demo", text).await;
    }

    /// Applies it under another name.
    pub(crate) async fn pipeline_named(&self, name: &str, text: &str) {
        let mut pipeline = manifest::parse(text).expect("the pipeline is valid").pipeline;
        pipeline.metadata.namespace = Some(self.namespace.clone());
        pipeline.metadata.name = Some(name.to_owned());
        let params = PatchParams::apply("test").force();
        let applied = self.api::<SignupPipeline>().patch(name, &params, &Patch::Apply(&pipeline)).await;
        applied.expect("the pipeline is accepted");
    }

    /// Makes the IngressClass `contour`, the only one of the cluster, which all tests share.
    pub(crate) async fn ingress_class(&self) {
        let class = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "contour"}, "spec": {"controller": "example.com/test"},
        });
        let classes: Api<IngressClass> = Api::all(self.client.clone());
        let made = classes.patch("contour", &PatchParams::apply("tests"), &Patch::Apply(&class)).await;
        made.expect("it is there");
    }

    /// Merges a patch into the pipeline.
    pub(crate) async fn edit(&self, patch: Value) {
        let patch = Patch::Merge(json!({"spec": patch}));
        self.api::<SignupPipeline>().patch("demo", &PatchParams::default(), &patch).await.expect("the edit is valid");
    }

    /// Waits until the object is there and `holds`.
    pub(crate) async fn wait<K>(&self, name: &str, holds: impl Fn(&K) -> bool) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope> + Clone + Debug + serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let api = self.api::<K>();
        let what = format!("{} {name} is as expected", std::any::type_name::<K>());
        until(&what, async || api.get_opt(name).await.ok().flatten().filter(&holds)).await
    }

    /// Waits for a condition with that status and reason, of the pipeline's newest generation.
    pub(crate) async fn condition(&self, kind: &str, status: &str, reason: &str) -> Condition {
        let api = self.api::<SignupPipeline>();
        let found = |pipeline: SignupPipeline| {
            let all = pipeline.status?.conditions.into_iter();
            let mut all = all.filter(|condition| condition.observed_generation == pipeline.metadata.generation);
            all.find(|condition| condition.type_ == kind && condition.status == status && condition.reason == reason)
        };
        until(&format!("{kind} is {status} ({reason})"), async || found(api.get("demo").await.ok()?)).await
    }

    /// Waits for a condition with that status whose message holds these words.
    pub(crate) async fn condition_saying(&self, kind: &str, status: &str, words: &str) -> Condition {
        let api = self.api::<SignupPipeline>();
        let found = |pipeline: SignupPipeline| {
            let mut all = pipeline.status?.conditions.into_iter();
            all.find(|condition| {
                condition.type_ == kind && condition.status == status && condition.message.contains(words)
            })
        };
        until(&format!("{kind} is {status}, saying {words}"), async || found(api.get("demo").await.ok()?)).await
    }

    /// Writes what the Deployment controller would when all pods are ready.
    pub(crate) async fn deployment_is_complete(&self, name: &str, pods: i32) {
        let generation = self.wait::<Deployment>(name, |_| true).await.metadata.generation;
        let status = json!({"status": {"observedGeneration": generation, "replicas": pods, "updatedReplicas": pods,
            "readyReplicas": pods}});
        let deployments = self.api::<Deployment>();
        deployments.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.expect("it is there");
    }

    /// Makes a pod from a Deployment's template, as the Deployment controller would, that answers by `fake`; it runs
    /// the newest configuration of `demo`, unless `fake` was told another.
    pub(crate) async fn pod(&self, deployment: &str, fake: &FakePod) -> String {
        if let Some(pipeline) = self.api::<SignupPipeline>().get_opt("demo").await.expect("it answers") {
            fake.begins_with(&build::configuration(&pipeline).expect("it is valid").1);
        }
        let deployment: Deployment = self.wait(deployment, |_| true).await;
        let template = deployment.spec.expect("it has a spec").template;
        let pods = self.api::<Pod>();
        let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, ..Pod::default() };
        let name =
            format!("{}-{}", deployment.metadata.name.unwrap_or_default(), fake.address.to_string().replace('.', "-"));
        pod.metadata.name = Some(name.clone());
        pods.create(&PostParams::default(), &pod).await.expect("Pod Security lets it in");
        let status = json!({"status": {"phase": "Running", "podIP": fake.address, "podIPs": [{"ip": fake.address}]}});
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
        name
    }
}
