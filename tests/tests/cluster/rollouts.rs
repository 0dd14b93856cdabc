//! Pods that are replaced or removed while people sign up: no signup fails, no mail is cut, doubled or lost.

use crate::harness::{Namespace, PATIENCE, Pipeline, acknowledged, assert_all_acknowledged, until};
use inbox::{Action, Phase, Rule};
use pipeline_tests::Signups;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// About 10 signups a second: most of two cores are for the pods that start and stop.
const PAUSE: Duration = Duration::from_millis(100);

/// Signs up before, during and after `change`, and then looks at every signup and every mail.
async fn under_load(namespace: &Namespace, pipeline: &Pipeline, change: impl AsyncFnOnce()) {
    let clients = pipeline.clients();
    let load = clients.steadily(PAUSE);
    more_signups(&clients).await;
    change().await;
    more_signups(&clients).await;
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
    let rows = namespace.stores.database.rows().await.expect("the database answers");
    for intent in rows.iter().filter_map(|row| row.intent.as_ref()) {
        assert_eq!((intent.attempts, intent.failures, intent.crash_count), (1, 0, 0), "a mail was cut: {intent:?}");
    }
}

async fn more_signups(clients: &Arc<Signups>) {
    let before = acknowledged(clients);
    until("more signups are acknowledged", PATIENCE, async || {
        let now = acknowledged(clients);
        if now >= before + 20 { Ok(()) } else { Err(format!("{before} -> {now}, of {}", clients.attempts().len())) }
    })
    .await;
}

/// Waits until none of `old` is left and the pipeline is as desired.
async fn until_replaced(pipeline: &Pipeline, old: &BTreeSet<String>) {
    until("every pod is replaced", PATIENCE, async || {
        let now: BTreeSet<String> = pipeline.containers().await.into_keys().collect();
        if now.is_disjoint(old) && !now.is_empty() { Ok(()) } else { Err(format!("{old:?} -> {now:?}")) }
    })
    .await;
    pipeline.wait_for("Reconciling", "False").await;
    pipeline.wait_for("Ready", "True").await;
}

async fn names(pipeline: &Pipeline) -> BTreeSet<String> {
    pipeline.containers().await.into_keys().collect()
}

/// Waits until an event of this reason says `words`.
async fn told(namespace: &Namespace, words: &str) {
    until(&format!("an event says `{words}`"), PATIENCE, async || {
        let events = namespace.kubectl(&[
            "get",
            "events",
            "--field-selector",
            "reason=RestartingPods",
            "--output",
            "jsonpath={range .items[*]}{.message}{.note}{\"\\n\"}{end}",
        ]);
        if events.contains(words) { Ok(()) } else { Err(events) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_pods_by_kubectl_fails_no_signup_and_cuts_no_mail() {
    let namespace = Namespace::create("restart").await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let old = names(&pipeline).await;
    under_load(&namespace, &pipeline, async || {
        for deployment in ["deployment/demo-api", "deployment/demo-worker"] {
            namespace.kubectl(&["rollout", "restart", deployment]);
            namespace.kubectl(&["rollout", "status", deployment, "--timeout", "180s"]);
        }
        until_replaced(&pipeline, &old).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_image_and_new_labels_fail_no_signup_and_cut_no_mail() {
    let namespace = Namespace::create("image").await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let image = namespace.cluster.image_again("again").await;
    let mut old = names(&pipeline).await;
    under_load(&namespace, &pipeline, async || {
        pipeline.patch(json!({"image": image, "imagePullPolicy": "Never"})).await;
        until_replaced(&pipeline, &old).await;
        old = names(&pipeline).await;
        let label = json!({"pod": {"labels": {"team": "signup"}}});
        pipeline.patch(json!({"api": label, "worker": label})).await;
        until_replaced(&pipeline, &old).await;
    })
    .await;
    let pods = pipeline.pods(None).await;
    let images = pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers.first()?.image.clone());
    assert_eq!(images.collect::<BTreeSet<_>>(), BTreeSet::from([image]));
    for field in ["spec.image", "spec.api.pod.labels", "spec.worker.pod.labels"] {
        told(&namespace, field).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_login_that_is_replaced_fails_no_signup_and_an_event_names_the_field() {
    let namespace = Namespace::create("database-login").await;
    let pipeline = Pipeline::apply(&namespace, json!({})).await;
    pipeline.ready().await;
    let login = namespace.stores.another_login("rolled", "another-password").await;
    let old = names(&pipeline).await;
    under_load(&namespace, &pipeline, async || {
        namespace.secret("app-db", &[("uri", &login)]).await;
        until_replaced(&pipeline, &old).await;
    })
    .await;
    told(&namespace, "spec.database").await;
    let connected = "SELECT count(DISTINCT usename) FROM pg_stat_activity \
                     WHERE datname = current_database() AND usename = 'rolled'";
    assert_eq!(namespace.stores.database.number(connected).await.expect("it answers"), 1, "the pods use the new login");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_scaled_down_under_load_finish_the_mails_they_have_begun() {
    let namespace = Namespace::create("scale-down").await;
    // Long enough that every worker is in the middle of some mails when it is told to go.
    namespace.inbox.rules(&[Rule::new(Phase::Dot, Action::Delay { ms: 3000 })]).await;
    let fixed = |replicas: u32| json!({"worker": {"replicas": replicas, "autoscaling": {"mode": "Off"}}});
    let pipeline = Pipeline::apply(&namespace, fixed(3)).await;
    pipeline.ready().await;
    until_workers(&pipeline, 3).await;
    under_load(&namespace, &pipeline, async || {
        until_active(&namespace, 12).await;
        for replicas in [1, 3, 1] {
            pipeline.patch(fixed(replicas)).await;
            until_workers(&pipeline, replicas).await;
        }
        namespace.inbox.rules(&[]).await;
    })
    .await;
}

/// Waits until this many mails are under way.
async fn until_active(namespace: &Namespace, mails: i64) {
    until("mails are under way", PATIENCE, async || {
        let sql = "SELECT count(*) FROM email_intents WHERE state = 'sending'";
        let sending = namespace.stores.database.number(sql).await.map_err(|error| error.to_string())?;
        if sending >= mails { Ok(()) } else { Err(format!("{sending}")) }
    })
    .await;
}

/// Waits until there are as many workers, all of them ready.
async fn until_workers(pipeline: &Pipeline, count: u32) {
    let counts = |object: &Value| {
        let worker = &object["status"]["worker"];
        [&worker["replicas"], &worker["readyReplicas"]].into_iter().all(|number| *number == json!(count))
    };
    pipeline.until("the workers are as many as asked for", PATIENCE, counts).await;
}
