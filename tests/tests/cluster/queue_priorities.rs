//! The order in which two full queues are drained.
//!
//! With weights a and b, each choice takes the first queue with probability a / (a + b), as asynq's workers do. Of n
//! mails in a row the number from that queue is binomial; the tests allow five standard deviations, which fails by
//! chance once in 1.7 million runs, and the weights 9 and 1 are far enough from 1 and 9 to tell them apart.

use crate::harness::{Mail, Namespace, PATIENCE, Pipeline, assert_all_acknowledged, until};
use inbox::{Action, Phase, Rule};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Mails in each queue.
const FILL: usize = 110;
/// Mails that are looked at after each edit.
const WINDOW: usize = 60;
/// Of [`WINDOW`] mails, the fewest from a queue with weight 9 of 10: 54 - 5 * 2.32.
const FEWEST: usize = 42;

fn queues(critical: u32, default: u32, paused: bool) -> Value {
    let queue = |name: &str, priority: u32| json!({"name": name, "priority": priority, "paused": paused});
    json!([queue("critical", critical), queue("default", default)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_ratio_of_two_full_queues_follows_an_edit_of_their_priorities() {
    let namespace = Namespace::create("priorities").await;
    // One mail at a time, each slow enough that an edit arrives before the queues are empty.
    namespace.inbox.rules(&[Rule::new(Phase::Dot, Action::Delay { ms: 100 })]).await;
    let one_by_one = json!({
        "concurrency": 1, "replicas": 1, "autoscaling": {"mode": "Off", "minReplicas": null, "maxReplicas": null}
    });
    let pipeline = Pipeline::apply(
        &namespace,
        json!({
            "task": {"delay": "0s", "queue": "critical"}, "queues": queues(9, 1, true), "worker": one_by_one,
        }),
    );
    let pipeline = pipeline.await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    clients.many(FILL, 4).await;
    pipeline.edit_everywhere(json!({"task": {"queue": "default"}})).await;
    clients.many(FILL, 4).await;
    assert_all_acknowledged(&clients);
    until_pending(&namespace, "critical").await;
    until_pending(&namespace, "default").await;

    pipeline.edit_everywhere(json!({"queues": queues(9, 1, false)})).await;
    let first = window(&namespace, 0).await;
    pipeline.edit_everywhere(json!({"queues": queues(1, 9, false)})).await;
    // The mail under way when the edit arrived was chosen before it.
    let edited = namespace.inbox.mails().await.len() + 1;
    let second = window(&namespace, edited).await;
    let of_queue = queues_of_mails(&namespace).await;
    let count = |mails: &[Mail], queue: &str| mails.iter().filter(|mail| of_queue[&mail.message_id] == queue).count();
    let (critical, default) = (count(&first, "critical"), count(&second, "default"));
    println!(
        "weights 9:1: {critical} of {WINDOW} critical; after {edited} mails weights 1:9: {default} of {WINDOW} default"
    );
    assert!(critical >= FEWEST, "{critical} of {WINDOW} mails are from the queue with weight 9 of 10");
    assert!(default >= FEWEST, "{default} of {WINDOW} mails are from the queue that has weight 9 of 10 now");
    namespace.inbox.rules(&[]).await;
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

async fn until_pending(namespace: &Namespace, queue: &str) {
    until("the queue is full", PATIENCE, async || {
        let pending = namespace.stores.redis(&["LLEN", &format!("asynq:{{{queue}}}:pending")]);
        if pending == FILL.to_string() { Ok(()) } else { Err(format!("{pending} in {queue}")) }
    })
    .await;
}

/// [`WINDOW`] mails after the first `skipped`.
async fn window(namespace: &Namespace, skipped: usize) -> Vec<Mail> {
    until("enough mails arrive", PATIENCE, async || {
        let mails = namespace.inbox.mails().await;
        let arrived = mails.len();
        if arrived < skipped + WINDOW {
            return Err(format!("{arrived} mails"));
        }
        Ok(mails.into_iter().skip(skipped).take(WINDOW).collect())
    })
    .await
}

/// Message-ID -> queue.
async fn queues_of_mails(namespace: &Namespace) -> HashMap<String, String> {
    let rows = namespace.stores.database.rows().await.expect("the database answers");
    rows.into_iter().filter_map(|row| row.intent).map(|intent| (intent.message_id, intent.queue)).collect()
}
