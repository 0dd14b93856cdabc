//! A Secret that comes after the resource that names it.

use crate::harness::{Namespace, Pipeline, assert_all_acknowledged};
use serde_json::{Value, json};
use std::time::Duration;

/// The operator looks for a missing Secret every 2 s; the rest is the start of pods on a busy machine, far from minutes
/// of polling.
const SECONDS: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_secret_is_named_with_its_fix_and_its_creation_is_enough() {
    let namespace = Namespace::create("secret-later").await;
    namespace.kubectl(&["delete", "secret", "app-redis"]);
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    let object = pipeline.wait_for("Reconciling", "True").await;
    let message = message(&object, "Ready");
    assert!(message.starts_with("Secret app-redis, named by spec.redis.secretRef, does not exist"), "{message}");
    assert!(message.contains("Fix: create it with the key uri"), "{message}");
    namespace.secret("app-redis", &[("uri", &namespace.stores.redis_uri)]).await;
    let ready = |object: &Value| condition(object, "Ready").is_some_and(|condition| condition["status"] == "True");
    pipeline.until("Ready within seconds", SECONDS, ready).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(10, 2).await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

fn message(object: &Value, name: &str) -> String {
    condition(object, name).and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
}
