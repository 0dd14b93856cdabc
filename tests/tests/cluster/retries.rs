//! A mail that its recipient's server always refuses for now.

use crate::harness::{Namespace, Pipeline, assert_all_acknowledged};
use inbox::{Phase, Recipient, Rule};
use serde_json::{Value, json};
use std::time::Duration;

/// Two waits of at least 60 s each, which a refusal "try later" asks for, and room for a busy machine.
const RETRIES: Duration = Duration::from_secs(420);
/// Uses that the rule has; every attempt takes one.
const USES: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_retries_a_recipient_that_always_gets_4xx_is_archived_after_three_attempts() {
    let namespace = Namespace::create("retries").await;
    let later = Rule::reply(Phase::Rcpt, 451, "4.7.1 try later").to(Recipient::Prefix("later".into()));
    namespace.inbox.rules(&[later.times(USES)]).await;
    let backoff = json!({"initial": "1s", "max": "1s"});
    let pipeline = Pipeline::apply(&namespace, json!({"task": {"maxRetries": 2, "backoff": backoff}})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.with_email("later@example.com").await;
    clients.many(5, 1).await;
    assert_all_acknowledged(&clients);

    let archived = |object: &Value| queue(object, "critical")["archived"].as_i64();
    pipeline.until("the task is archived", RETRIES, |object| archived(object) == Some(1)).await;
    namespace.settle().await;
    assert_eq!(namespace.inbox.uses_left().await, [Some(USES - 3)], "each attempt met the refusal once");
    let rows = namespace.stores.database.rows().await.expect("the database answers");
    let (refused, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.email == "later@example.com");
    let intent = refused[0].intent.as_ref().expect("an intent");
    assert_eq!((intent.state.as_str(), intent.attempts, intent.failures), ("dead", 3, 3), "{intent:?}");
    assert!(intent.last_reply.as_deref().is_some_and(|reply| reply.contains("try later")), "{intent:?}");
    assert_eq!(namespace.stores.redis(&["ZCARD", "asynq:{critical}:archived"]), "1");
    assert!(others.iter().all(|row| row.intent.as_ref().is_some_and(|intent| intent.state == "sent")), "{others:?}");
    let report = namespace.check(&clients).await;
    report.assert_sound();
    assert_eq!((report.mails, report.extra_copies()), (5, 0), "{report}");
}

fn queue<'a>(object: &'a Value, name: &str) -> &'a Value {
    let queues = object["status"]["queues"].as_array();
    queues.into_iter().flatten().find(|queue| queue["name"] == name).unwrap_or(&Value::Null)
}
