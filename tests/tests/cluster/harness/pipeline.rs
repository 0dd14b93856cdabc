//! One `SignupPipeline`, as a person with kubectl sees it.
//!
//! Takes: what differs from a usual one. Gives: apply, edit, and waits for conditions. Does not: know the operator's
//! types: the resource is JSON here, as for any other client of the API.

use super::{
    inbox,
    namespace::Namespace,
    stores::HOST,
    wait::{PATIENCE, until},
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A pipeline that was applied.
pub(crate) struct Pipeline {
    /// Name of the resource.
    pub(crate) name: String,
    /// Name of its namespace.
    pub(crate) namespace: String,
    /// Host name at the ingress.
    pub(crate) host: String,
    /// For what belongs to it.
    pub(crate) client: Client,
    api: Api<DynamicObject>,
}

impl Pipeline {
    /// Applies a pipeline called `demo`: the usual one with `changes` of its spec (RFC 7386).
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub(crate) async fn apply(namespace: &Namespace, changes: Value) -> Self {
        let (client, host) = (namespace.cluster.client.clone(), format!("{}.test", namespace.name));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("signup.dev", "v1alpha1", "SignupPipeline"));
        let api = Api::namespaced_with(client.clone(), &namespace.name, &resource);
        let pipeline = Self { name: "demo".into(), namespace: namespace.name.clone(), host, client, api };
        let mut spec = usual(&pipeline.host);
        merge(&mut spec, changes);
        let object = json!({
            "apiVersion": "signup.dev/v1alpha1", "kind": "SignupPipeline", "metadata": {"name": pipeline.name},
            "spec": spec,
        });
        let (params, object) = (PatchParams::apply("tests").force(), Patch::Apply(object));
        pipeline.api.patch(&pipeline.name, &params, &object).await.expect("the pipeline is taken");
        pipeline
    }

    /// Edits the spec (RFC 7386: lists are replaced whole).
    ///
    /// # Panics
    ///
    /// When the API server refuses it.
    pub(crate) async fn patch(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api.patch(&self.name, &PatchParams::default(), &patch).await.expect("the edit is taken");
    }

    /// The resource as it is.
    ///
    /// # Errors
    ///
    /// The API server's, in words.
    pub(crate) async fn read(&self) -> Result<Value, String> {
        let object = self.api.get(&self.name).await.map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(object).expect("an object of JSON"))
    }

    /// Its status.
    pub(crate) async fn status(&self) -> Value {
        self.read().await.expect("the API server answers")["status"].clone()
    }

    /// Waits until `holds` is true of the resource, and gives it; the panic at the deadline shows the status.
    pub(crate) async fn until(&self, what: &str, deadline: Duration, holds: impl Fn(&Value) -> bool) -> Value {
        until(what, deadline, async || {
            let object = self.read().await?;
            let status = object["status"].to_string();
            if holds(&object) { Ok(object) } else { Err(status) }
        })
        .await
    }

    /// Waits until a condition that speaks of the newest spec has this status.
    pub(crate) async fn wait_for(&self, condition: &str, status: &str) -> Value {
        let what = format!("{}/{}: {condition}={status}", self.namespace, self.name);
        self.until(&what, PATIENCE, |object| holds(object, condition, status)).await
    }

    /// Waits until every pod runs the newest spec and a client of the ingress reaches the api.
    pub(crate) async fn ready(&self) {
        let conditions = ["Ready", "ConfigApplied", "Exposed"];
        let all = |object: &Value| conditions.iter().all(|condition| holds(object, condition, "True"));
        self.until("Ready, ConfigApplied and Exposed", PATIENCE, all).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        until("the ingress leads to the api", PATIENCE, async || {
            let request = client.get(format!("http://{HOST}/v1/verify_email")).header("Host", &self.host);
            // A link without parameters is answered by the api itself, and by the ingress alone with 404 or 503.
            match request.send().await {
                Ok(answer) if answer.status() == 400 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

/// Whether a condition has `status` and speaks of the newest spec.
pub(crate) fn holds(object: &Value, condition: &str, status: &str) -> bool {
    let generation = object["metadata"]["generation"].as_i64();
    let conditions = object["status"]["conditions"].as_array();
    let mut named = conditions.into_iter().flatten().filter(|known| known["type"] == condition);
    named.any(|known| known["status"] == status && known["observedGeneration"].as_i64() >= generation)
}

/// Small requests and few connections, so that the namespaces of many tests fit on one node and one PostgreSQL; no
/// limit on signups, for all come from one address.
fn usual(host: &str) -> Value {
    let resources = json!({"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}});
    json!({
        "task": {"delay": "1s"},
        "database": {"secretRef": {"name": "app-db"}, "maxConnectionsPerPod": 5},
        "redis": {"secretRef": {"name": "app-redis"}},
        "mail": {
            "from": "no-reply@example.com", "smtp": {"host": inbox::NAME, "port": inbox::SMTP_PORT, "tls": "None"}
        },
        "verification": {"publicURL": format!("http://{host}")},
        "signup": {"perMinutePerIP": 0},
        "api": {"replicas": 2, "resources": resources},
        "worker": {"resources": resources, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}},
        "expose": {"host": host, "ingress": {"className": "contour"}},
    })
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, change) in changes {
        if change.is_null() {
            target.as_object_mut().expect("it is one").remove(&key);
        } else {
            merge(&mut target[key.as_str()], change);
        }
    }
}
