//! A second namespace with a pipeline, which a test may lose.
//!
//! Takes: the first one, whose turn it is. Gives: a pipeline like the usual one, without clients and without a mail
//! server. Does not: remove itself; losing it is what it is for.

use super::{
    cluster::kubectl,
    namespace::Namespace,
    stores::Stores,
    wait::{PATIENCE, until},
};
use k8s_openapi::api::core::v1::{Namespace as Object, Pod};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use std::{io::Write as _, process::Stdio};

/// The second namespace.
pub(crate) struct Sibling {
    name: String,
    client: Client,
}

impl Sibling {
    /// Makes the namespace, its Secrets and its pipeline.
    pub(crate) async fn create(namespace: &Namespace, name: &str) -> Self {
        let (stores, name) = (Stores::create(&format!("test_{name}")).await, format!("test-{name}"));
        let secret = |name: &str, uri: &str| {
            let metadata = json!({"name": name});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"uri": uri}})
        };
        let pipeline = json!({
            "apiVersion": "signup.dev/v1alpha1", "kind": "SignupPipeline", "metadata": {"name": "demo"},
            "spec": {
                "database": {"secretRef": {"name": "app-db"}},
                "redis": {"secretRef": {"name": "app-redis"}},
                "mail": {"from": "no-reply@example.com", "smtp": {"host": "inbox", "tls": "None"}},
                "verification": {"publicURL": "http://doomed.test"},
                "api": {"replicas": 1},
            },
        });
        apply(None, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string());
        for object in [secret("app-db", &stores.database_uri), secret("app-redis", &stores.redis_uri), pipeline] {
            apply(Some(&name), &object.to_string());
        }
        Self { name, client: namespace.cluster.client.clone() }
    }

    /// Waits until the operator has made pods.
    pub(crate) async fn has_pods(&self) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name);
        until("the sibling has pods", PATIENCE, async || {
            let pods = pods.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items.len();
            if pods >= 2 { Ok(()) } else { Err(format!("{pods} pods")) }
        })
        .await;
    }

    /// Deletes the namespace and waits until it is gone.
    pub(crate) async fn delete(self) {
        let namespaces: Api<Object> = Api::all(self.client);
        namespaces.delete(&self.name, &DeleteParams::default()).await.expect("it is there");
        until("the namespace is gone", PATIENCE, async || match namespaces.get_opt(&self.name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

/// Secrets come on standard input, so that no password is an argument.
fn apply(namespace: Option<&str>, object: &str) {
    let mut command = kubectl();
    command.args(namespace.map(|name| format!("--namespace={name}"))).args(["apply", "--server-side", "-f", "-"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = child.expect("kubectl runs");
    child.stdin.take().expect("piped").write_all(object.as_bytes()).expect("kubectl reads it");
    assert!(child.wait().expect("kubectl ends").success(), "kubectl refuses the object");
}
