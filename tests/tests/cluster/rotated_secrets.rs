//! Secrets that are replaced while people sign up.

use crate::harness::{
    Namespace, PATIENCE, Pipeline, acknowledged, assert_all_acknowledged, holds, request, smtp_with_login, until,
};
use pipeline_tests::Signups;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// About 10 signups a second: most of two cores are for the pods that start and stop.
const PAUSE: Duration = Duration::from_millis(100);

async fn more_signups(clients: &Arc<Signups>) {
    let before = acknowledged(clients);
    until("more signups are acknowledged", PATIENCE, async || {
        let now = acknowledged(clients);
        if now >= before + 15 { Ok(()) } else { Err(format!("{before} -> {now}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotated_under_load_restart_no_pod_and_old_links_go_on_working() {
    let namespace = Namespace::create("keys").await;
    let (old, new) = ("the old key ".repeat(4), "the new key ".repeat(4));
    namespace.secret("signing", &[("current", &old)]).await;
    let pipeline = Pipeline::apply(&namespace, json!({"verification": {"keySecretRef": {"name": "signing"}}})).await;
    pipeline.ready().await;
    let (containers, clients) = (pipeline.containers().await, pipeline.clients());
    let before = clients.one().await;
    let load = clients.steadily(PAUSE);
    more_signups(&clients).await;
    namespace.secret("signing", &[("current", &new), ("before", &old)]).await;
    until("new mails are signed with the new key", PATIENCE, async || {
        let sql = "SELECT count(DISTINCT key_id) FROM verify_emails";
        let keys = namespace.stores.database.number(sql).await.map_err(|error| error.to_string())?;
        if keys == 2 { Ok(()) } else { Err(format!("{keys} keys")) }
    })
    .await;
    more_signups(&clients).await;
    load.stop().await;
    let after = clients.one().await;
    for attempt in [before, after] {
        let link = link_to(&namespace, &attempt.email).await;
        assert_eq!(request(&pipeline.host, &link).await, 200, "{}", attempt.username);
    }
    assert_all_acknowledged(&clients);
    assert_eq!(pipeline.containers().await, containers, "no pod was restarted or replaced");
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

/// Path and query of the link in a mail, as the interface of programs takes it.
async fn link_to(namespace: &Namespace, address: &str) -> String {
    let mail = namespace.inbox.mail_to(address).await;
    let text = mail.text.unwrap_or_default();
    let link = text.split_whitespace().find(|word| word.contains("/verify_email?")).expect("a link");
    let (_, query) = link.split_once('?').expect("parameters");
    format!("/v1/verify_email?{query}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_smtp_password_under_load_costs_no_retry_and_the_right_one_needs_no_restart() {
    let namespace = Namespace::with_smtp_login("smtp-login", "app", "right", "wrong").await;
    // The mails that wait would bring more workers, which are no restart either, and take them away again.
    let worker = json!({"replicas": 2, "autoscaling": {"mode": "Off"}});
    let pipeline = Pipeline::apply(&namespace, json!({"mail": smtp_with_login(), "worker": worker})).await;
    pipeline.ready().await;
    let (containers, clients) = (pipeline.containers().await, pipeline.clients());
    let load = clients.steadily(PAUSE);
    pipeline.wait_for("MailReachable", "False").await;
    more_signups(&clients).await;
    namespace.secret("app-smtp", &[("username", "app"), ("password", "right")]).await;
    namespace.inbox.until_mails(1).await;
    pipeline.wait_for("MailReachable", "True").await;
    more_signups(&clients).await;
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
    assert_eq!(pipeline.containers().await, containers, "no pod was restarted or replaced");
    let failures = "SELECT coalesce(sum(failures), 0)::bigint FROM email_intents";
    assert_eq!(
        namespace.stores.database.number(failures).await.expect("it answers"),
        0,
        "trouble of the server is not the mails'"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_password_replaced_under_load_rolls_the_pods_and_loses_nothing() {
    let namespace = Namespace::create("redis-login").await;
    let [first, second] = namespace.stores.redis_logins("redis-login", ["first-password", "second-password"]);
    namespace.secret("app-redis", &[("uri", &first)]).await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let (old, clients) = (pipeline.containers().await, pipeline.clients());
    let load = clients.steadily(PAUSE);
    more_signups(&clients).await;
    namespace.secret("app-redis", &[("uri", &second)]).await;
    until("every pod is replaced", PATIENCE, async || {
        let now = pipeline.containers().await;
        if !now.is_empty() && now.keys().all(|pod| !old.contains_key(pod)) {
            Ok(())
        } else {
            Err(format!("{:?}", now.keys()))
        }
    })
    .await;
    pipeline.wait_for("Ready", "True").await;
    namespace.stores.redis_login_without("redis-login", "first-password");
    more_signups(&clients).await;
    load.stop().await;
    assert_all_acknowledged(&clients);
    let reachable = |object: &Value| holds(object, "RedisReachable", "True");
    pipeline.until("Redis answers with the new password", PATIENCE, reachable).await;
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}
