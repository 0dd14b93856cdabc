//! Secrets of databases in the shapes in which their operators write them: mounted as they are, and what is missing or
//! wrong in one is named at once.

use super::operator_run::{MINIMAL, Run};
use k8s_openapi::api::{apps::v1::Deployment, networking::v1::NetworkPolicy};

/// Keys and files of a volume of a Deployment's pods.
fn mounted(deployment: &Deployment, volume: &str) -> Vec<(String, String)> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod");
    let volume = pod.volumes.iter().flatten().find(|known| known.name == volume).expect("the volume");
    let items = volume.secret.as_ref().and_then(|secret| secret.items.clone()).expect("items");
    items.into_iter().map(|item| (item.key, item.path)).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(key, file)| ((*key).to_owned(), (*file).to_owned())).collect()
}

#[tokio::test]
async fn the_parts_of_a_connection_are_mounted_under_libpqs_names_and_the_ports_are_let_through() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    let crunchy = [
        ("dbname", "app"),
        ("host", "canary.db.test"),
        ("port", "6432"),
        ("user", "canary"),
        ("password", "canary"),
        ("verifier", "canary"),
        ("tls.crt", "canary"),
        ("tls.key", "canary"),
    ];
    run.secret("app-db", &crunchy).await;
    run.pipeline(MINIMAL).await;
    run.start();
    let api: Deployment = run.wait("demo-api", |_| true).await;
    let files = [
        ("host", "host"),
        ("port", "port"),
        ("dbname", "dbname"),
        ("user", "user"),
        ("password", "password"),
        ("tls.crt", "sslcert"),
        ("tls.key", "sslkey"),
    ];
    assert_eq!(mounted(&api, "database"), pairs(&files));
    assert_eq!(mounted(&api, "redis"), pairs(&[("uri", "uri")]));
    assert!(!serde_json::to_string(&api).expect("JSON").contains("canary"), "no value is in a pod's template");
    let policy: NetworkPolicy = run.wait("demo-worker", |_| true).await;
    assert!(serde_json::to_string(&policy).expect("JSON").contains("6432"));
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test:6433/app"), ("host", "db.test")]).await;
    let is_by_uri = |worker: &Deployment| mounted(worker, "database") == pairs(&[("uri", "uri")]);
    run.wait::<Deployment>("demo-worker", is_by_uri).await;
}

#[tokio::test]
async fn what_a_secret_lacks_and_a_uri_that_cannot_be_used_are_named_and_nothing_is_applied() {
    let mut run = Run::new().await;
    run.secrets_with_redis().await;
    run.secret("app-db", &[("username", "canary"), ("password", "canary")]).await;
    run.pipeline(MINIMAL).await;
    run.start();
    for (keys, reason, words) in [
        (vec![("username", "canary"), ("password", "canary")], "SecretKeyMissing", "host is missing"),
        (vec![("uri", "jdbc:postgresql://canary/app")], "UriInvalid", "begins with jdbc:"),
        (vec![("uri", "postgresql+asyncpg://app:canary@db/app")], "UriInvalid", "remove the +"),
        (vec![("uri", "postgres://app:canary@db/app?service=x")], "UriInvalid", "parameter service is not supported"),
        (vec![("uri", "postgres://app:canary/x@db/app")], "UriInvalid", "percent-encode"),
        (vec![("host", "db"), ("user", "app"), ("port", "canary")], "UriInvalid", "a port in it is no number"),
    ] {
        run.secret("app-db", &keys).await;
        let ready = run.condition_saying("Ready", "False", words).await;
        assert_eq!(ready.reason, reason);
        assert!(ready.message.contains("Fix: ") && !ready.message.contains("canary"), "{}", ready.message);
    }
    assert!(run.api::<Deployment>().get_opt("demo-api").await.expect("it answers").is_none());
}

#[tokio::test]
async fn redis_is_reached_by_the_parts_of_bitnamis_secret() {
    let mut run = Run::new().await;
    let uri = run.secrets_with_redis().await;
    let (login, place) = uri.trim_start_matches("redis://").split_once('@').expect("a login");
    let (host, rest) = place.split_once(':').expect("a port");
    let (port, index) = rest.split_once('/').expect("an index");
    let (_, password) = login.split_once(':').expect("our servers have passwords");
    run.secret("app-redis", &[("redis-password", password)]).await;
    run.pipeline(MINIMAL).await;
    run.start();
    let ready = run.condition("Ready", "False", "SecretKeyMissing").await;
    assert!(ready.message.contains("host is missing"), "{}", ready.message);
    let parts = [("redis-password", password), ("host", host), ("port", port), ("database", index)];
    run.secret("app-redis", &parts).await;
    run.condition("RedisReachable", "True", "Answers").await;
    let worker: Deployment = run.wait("demo-worker", |_| true).await;
    let files = [("host", "host"), ("port", "port"), ("database", "database"), ("redis-password", "password")];
    assert_eq!(mounted(&worker, "redis"), pairs(&files));
}
