//! The canary test: what is in the Secrets of a namespace is shown nowhere else, also not in trouble.

use crate::harness::{Namespace, PATIENCE, Pipeline, Shown, smtp_with_login};
use serde_json::{Value, json};

/// Every password of this test is found by one search.
const MARK: &str = "do-not-show";

/// Waits until the operator cannot use Redis for this reason.
async fn redis_is(pipeline: &Pipeline, reason: &str) {
    let says_so = |object: &Value| {
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .any(|known| known["type"] == "RedisReachable" && known["status"] == "False" && known["reason"] == reason)
    };
    pipeline.until(&format!("RedisReachable: {reason}"), PATIENCE, says_so).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_event_object_or_metric_shows_what_a_secret_holds() {
    let password = |of: &str| format!("{MARK}-{of}-password");
    let user = format!("{MARK}-user");
    let namespace =
        Namespace::with_smtp_login("nothing-shown", &user, &password("smtp"), &password("wrong-smtp")).await;
    let database = namespace.stores.another_login("hidden", &password("database")).await;
    let [redis, _] = namespace.stores.redis_logins("hidden", [&password("redis"), &password("other")]);
    let broken = |uri: &str, of: &str| uri.replace(&password(of), &password(&format!("wrong-{of}")));
    namespace.secret("app-db", &[("uri", &broken(&database, "database"))]).await;
    namespace.secret("app-redis", &[("uri", &broken(&redis, "redis"))]).await;
    namespace.secret("signing", &[("current", &password("signing").repeat(3))]).await;
    let pipeline = Pipeline::apply(
        &namespace,
        json!({"mail": smtp_with_login(), "verification": {"keySecretRef": {"name": "signing"}}}),
    )
    .await;
    let mut shown = Shown::default();
    pipeline.wait_for("DatabaseReachable", "False").await;
    redis_is(&pipeline, "CredentialsRefused").await;
    shown.collect(&namespace, &pipeline).await;

    for unreadable in ["redis://:PASSWORD@redis.test:port/0", "PASSWORD"] {
        namespace.secret("app-redis", &[("uri", &unreadable.replace("PASSWORD", &password("unreadable")))]).await;
        redis_is(&pipeline, "UriInvalid").await;
        shown.collect(&namespace, &pipeline).await;
        // So that the next UriInvalid is of the next URI.
        namespace.secret("app-redis", &[("uri", &broken(&redis, "redis"))]).await;
        redis_is(&pipeline, "CredentialsRefused").await;
    }
    namespace.secret("app-db", &[("uri", &database)]).await;
    namespace.secret("app-redis", &[("uri", &redis)]).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(10, 2).await;
    pipeline.wait_for("MailReachable", "False").await;
    shown.collect(&namespace, &pipeline).await;

    namespace.secret("app-smtp", &[("username", &user), ("password", &password("smtp"))]).await;
    namespace.settle().await;
    let leaks = shown.collect(&namespace, &pipeline).await.leaks();
    for source in
        ["log of demo-api", "log of demo-worker", "log of signup-operator", "signuppipelines", "events", "/metrics"]
    {
        assert!(shown.sources().any(|known| known.contains(source)), "{source} was read");
    }
    assert!(leaks.is_empty(), "{} lines show a secret: {leaks:#?}", leaks.len());
    namespace.check(&clients).await.assert_exactly_one_mail_each();
    // The search does find what is shown.
    let careless = format!("--from-literal=copy={}", password("smtp"));
    namespace.kubectl(&["create", "configmap", "careless", &careless]);
    let leaks = shown.collect(&namespace, &pipeline).await.leaks();
    assert!(leaks.iter().any(|leak| leak.contains("configmaps")), "{leaks:#?}");
}
