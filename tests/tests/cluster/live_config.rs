//! Edits that running processes take without a restart: how fast they reach every pod, and what they change.

use crate::harness::{Namespace, PATIENCE, Pipeline, assert_all_acknowledged, until};
use pipeline_tests::Attempt;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Within which an edit reaches every pod, 19 times of 20.
const BOUND: Duration = Duration::from_secs(5);
/// What a process logs when it has taken a change of its document, of a Secret or of the templates.
const APPLIED: &str = "configuration applied";

/// Two of each, so that every edit changes something: delay, retries, queues, limits, log level, links, passwords.
fn edits() -> [[Value; 2]; 10] {
    let queues = |critical: u32, default: u32, paused: bool| {
        let queue =
            |name: &str, priority: u32, paused: bool| json!({"name": name, "priority": priority, "paused": paused});
        json!({"queues": [queue("critical", critical, false), queue("default", default, paused)]})
    };
    [
        [json!({"task": {"delay": "2s"}}), json!({"task": {"delay": "1s"}})],
        [json!({"task": {"maxRetries": 2}}), json!({"task": {"maxRetries": 5}})],
        [queues(7, 3, false), queues(1, 9, false)],
        [queues(1, 9, true), queues(2, 9, false)],
        [json!({"signup": {"perMinutePerIP": 100_000}}), json!({"signup": {"perMinutePerIP": 0}})],
        [json!({"mail": {"smtp": {"maxPerSecond": 100}}}), json!({"mail": {"smtp": {"maxPerSecond": 200}}})],
        [json!({"worker": {"concurrency": 4}}), json!({"worker": {"concurrency": 8}})],
        [json!({"observability": {"logLevel": "debug"}}), json!({"observability": {"logLevel": "info"}})],
        [json!({"verification": {"linkTTL": "12h"}}), json!({"verification": {"linkTTL": "48h"}})],
        [json!({"signup": {"passwordMinLength": 8}}), json!({"signup": {"passwordMinLength": 7}})],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_any_live_setting_reaches_every_pod_within_five_seconds_and_restarts_none() {
    let namespace = Namespace::create("live-config").await;
    write_texts(&namespace, "Text 0").await;
    namespace.secret("signing", &[("current", &"first key ".repeat(4))]).await;
    let references =
        json!({"mail": {"templatesRef": {"name": "texts"}}, "verification": {"keySecretRef": {"name": "signing"}}});
    let pipeline = Pipeline::apply(&namespace, references).await;
    pipeline.ready().await;
    let containers = pipeline.containers().await;
    let mut times: Vec<(Duration, String)> = Vec::new();
    for round in 0..2 {
        for edit in edits() {
            let time = pipeline.edit_everywhere(edit[round].clone()).await;
            times.push((time, edit[round].to_string()));
            pipeline.wait_for("ConfigApplied", "True").await;
        }
        let subject = format!("Text {}", round + 1);
        let texts = write_texts(&namespace, &subject);
        times.push((time_until_logged(&namespace, &pipeline, "worker", texts).await, "templates".into()));
        let (new, old) = (format!("key of round {round} ").repeat(3), "first key ".repeat(4));
        let rotation = async { namespace.secret("signing", &[("current", &new), ("old", &old)]).await };
        times.push((time_until_logged(&namespace, &pipeline, "api", rotation).await, "keys".into()));
    }
    assert_eq!(pipeline.containers().await, containers, "no pod was restarted or replaced");
    times.sort();
    // Of n sorted times the 95th percentile is the one at ceil(0.95 n).
    let (p95, _) = times[(times.len() * 95).div_ceil(100) - 1];
    println!("{} edits: median {:?}, p95 {p95:?}, slowest {:?}", times.len(), times[times.len() / 2].0, times.last());
    assert!(p95 <= BOUND, "{times:#?}");
}

/// From the answer to a change of files beside the document until every pod of `component` has logged that it took it.
async fn time_until_logged(
    namespace: &Namespace,
    pipeline: &Pipeline,
    component: &str,
    change: impl Future<Output = ()>,
) -> Duration {
    let logged = async || -> BTreeMap<String, usize> {
        let pods = pipeline.pods(Some(component)).await;
        let names = pods.into_iter().filter_map(|pod| pod.metadata.name);
        names.map(|name| (name.clone(), namespace.kubectl(&["logs", &name]).matches(APPLIED).count())).collect()
    };
    let before = logged().await;
    change.await;
    let start = Instant::now();
    until("every pod takes the change", PATIENCE, async || {
        let now = logged().await;
        let all = before.iter().all(|(pod, count)| now.get(pod).is_some_and(|now| now > count));
        if all && !before.is_empty() { Ok(()) } else { Err(format!("{before:?} -> {now:?}")) }
    })
    .await;
    start.elapsed()
}

/// A ConfigMap with the texts of the mails.
async fn write_texts(namespace: &Namespace, subject: &str) {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api,
        api::{Patch, PatchParams},
    };
    let maps: Api<ConfigMap> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    let data = json!({"subject.txt": subject, "body.txt": "{{link}}", "body.html": "<a href=\"{{link}}\">verify</a>"});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "texts"}, "data": data});
    maps.patch("texts", &PatchParams::apply("tests").force(), &Patch::Apply(map)).await.expect("it is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_the_delay_is_for_new_signups_and_waiting_mails_keep_theirs() {
    let namespace = Namespace::create("delay").await;
    let pipeline = Pipeline::apply(&namespace, json!({"task": {"delay": "10s"}})).await;
    pipeline.ready().await;
    let clients = pipeline.clients();
    let waiting = clients.one().await;
    let edited_at = jiff::Timestamp::now();
    pipeline.edit_everywhere(json!({"task": {"delay": "1s"}})).await;
    let new = clients.one().await;
    assert_eq!((delay_of(&namespace, &waiting).await, delay_of(&namespace, &new).await), (10, 1));
    let status = pipeline.wait_for("ConfigApplied", "True").await["status"].clone();
    let config = &status["config"];
    assert_eq!((&config["appliedPods"], &config["totalPods"]), (&json!(4), &json!(4)), "{config}");
    let conditions = status["conditions"].as_array().expect("conditions");
    let applied = conditions.iter().find(|condition| condition["type"] == "ConfigApplied").expect("it is told");
    let since: jiff::Timestamp = applied["lastTransitionTime"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!(since.as_second() >= edited_at.as_second(), "ConfigApplied is from before the edit: {applied}");
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
}

/// Whole seconds between a signup and the time its mail is due.
async fn delay_of(namespace: &Namespace, attempt: &Attempt) -> i64 {
    let sql = format!(
        "SELECT floor(extract(epoch FROM run_at - created_at))::bigint FROM email_intents WHERE username = '{}'",
        attempt.username
    );
    namespace.stores.database.number(&sql).await.expect("the signup is stored")
}
