//! One test's namespace: Pod Security `restricted` enforced, its own database, Redis index and mail server.
//!
//! Takes: a name. Gives: an empty namespace of that name, whatever an earlier run left, with the Secrets `app-db` and
//! `app-redis`. Does not: wait for its end; dropped after a failure it first prints what is in it.

use super::{
    cluster::{Cluster, OPERATOR, OPERATOR_NAMESPACE, Turn, kubectl},
    inbox::{self, Inbox},
    stores::Stores,
    wait::{PATIENCE, until},
};
use k8s_openapi::api::core::v1::{Namespace as Object, Secret, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A namespace that goes when it is dropped.
pub(crate) struct Namespace {
    /// Its name, which starts with `test-`.
    pub(crate) name: String,
    /// The cluster it is in.
    pub(crate) cluster: Cluster,
    /// Its database and Redis index.
    pub(crate) stores: Stores,
    /// Its mail server.
    pub(crate) inbox: Inbox,
}

impl Namespace {
    /// A namespace for a test that keeps to it.
    pub(crate) async fn create(name: &str) -> Self {
        Self::create_in(Turn::Shared, name, |image| inbox::pod(image, &[], &[]), &[]).await
    }

    /// A namespace for a test that disturbs everybody, and so runs alone.
    pub(crate) async fn create_alone(name: &str) -> Self {
        Self::create_in(Turn::Alone, name, |image| inbox::pod(image, &[], &[]), &[]).await
    }

    /// A namespace with Secrets and a mail server that uses them; `inbox` makes its pod for an image.
    pub(crate) async fn create_in(
        turn: Turn,
        name: &str,
        inbox: impl FnOnce(&str) -> Value,
        secrets: &[(&str, &[(&str, &str)])],
    ) -> Self {
        let cluster = Cluster::take(turn).await;
        let stores = Stores::create(&format!("test_{}", name.replace('-', "_"))).await;
        let name = format!("test-{name}");
        create_empty(&cluster, &name).await;
        let image = cluster.image().await;
        write_secret(&cluster, &name, "app-db", &[("uri", &stores.database_uri)]).await;
        write_secret(&cluster, &name, "app-redis", &[("uri", &stores.redis_uri)]).await;
        for (secret, content) in secrets {
            write_secret(&cluster, &name, secret, content).await;
        }
        let inbox = Inbox::start(&cluster.client, &name, &inbox(&image)).await;
        Self { name, cluster, stores, inbox }
    }

    /// Creates a Secret or replaces its content.
    pub(crate) async fn secret(&self, name: &str, content: &[(&str, &str)]) {
        write_secret(&self.cluster, &self.name, name, content).await;
    }

    /// Runs kubectl in this namespace and gives what it printed; the test blocks meanwhile.
    ///
    /// # Panics
    ///
    /// When kubectl fails, with what it said.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = kubectl().args(["--namespace", &self.name]).args(arguments).output().expect("kubectl runs");
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a person would look at first.
    fn describe(&self) {
        let selector = "app.kubernetes.io/name=signup-pipeline";
        let in_namespace: [&[&str]; 4] = [
            &["get", "signuppipelines,deployments,pods", "--output", "wide"],
            &[
                "get",
                "signuppipelines",
                "--output",
                "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}\
                 {range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}{end}",
            ],
            &["get", "events", "--sort-by", "lastTimestamp"],
            &["logs", "--selector", selector, "--tail", "15", "--prefix", "--max-log-requests", "20"],
        ];
        for arguments in in_namespace {
            print_last(80, kubectl().args(["--namespace", &self.name]).args(arguments));
        }
        let operator = format!("deployment/{OPERATOR}");
        print_last(30, kubectl().args(["--namespace", OPERATOR_NAMESPACE, "logs", &operator, "--tail", "30"]));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.describe();
        }
        let deleted = kubectl().args(["delete", "namespace", &self.name, "--wait=false"]).output();
        if !deleted.is_ok_and(|output| output.status.success()) {
            eprintln!("namespace {} is left behind", self.name);
        }
    }
}

fn print_last(lines: usize, command: &mut std::process::Command) {
    let output = command.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    let skipped = text.lines().count().saturating_sub(lines);
    for line in text.lines().skip(skipped) {
        eprintln!("{}", line.chars().take(600).collect::<String>());
    }
}

/// What an earlier run left is removed first.
async fn create_empty(cluster: &Cluster, name: &str) {
    let namespaces: Api<Object> = Api::all(cluster.client.clone());
    let gone = until("an earlier namespace is gone", PATIENCE, async || {
        match namespaces.get_opt(name).await {
            Ok(None) => return Ok(()),
            Ok(Some(left)) if left.metadata.deletion_timestamp.is_none() => {
                let _ = namespaces.delete(name, &DeleteParams::background()).await;
            }
            Ok(Some(_)) | Err(_) => {}
        }
        Err("it is there".to_owned())
    });
    gone.await;
    let labels = BTreeMap::from([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())]);
    let mut object = Object::default();
    (object.metadata.name, object.metadata.labels) = (Some(name.to_owned()), Some(labels));
    namespaces.create(&PostParams::default(), &object).await.expect("the namespace is taken");
    // The controller manager makes it, which takes half a minute after the API server was gone; before, pods are
    // refused.
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), name);
    until("the namespace has its ServiceAccount", PATIENCE, async || match accounts.get_opt("default").await {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn write_secret(cluster: &Cluster, namespace: &str, name: &str, content: &[(&str, &str)]) {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let content: BTreeMap<&str, &str> = content.iter().copied().collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content});
    secrets
        .patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(secret))
        .await
        .expect("the Secret is taken");
}
