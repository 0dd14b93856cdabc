//! Nothing is asked and nothing is written while nothing changes, and what changes is seen at once.

use super::{
    api_server::{LIMIT, audit},
    operator_run::{MINIMAL, Run},
};
use kube::api::{Patch, PatchParams};
use operator::{controller::observe::named::SecretAccess, crd::SignupPipeline};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Pipelines that share the Secret of their database.
const PIPELINES: usize = 5;

/// Long enough for several rounds of anything that is done every 2 seconds.
const WINDOW: Duration = Duration::from_secs(7);

/// Kinds that the API server of the tests does not have.
const LACKING: [&str; 3] = ["httproutes", "podmonitors", "servicemonitors"];

/// How often each object was asked for, by verb, resource and name.
type Requests = BTreeMap<(String, String, String), usize>;

/// Pipelines whose servers answer and whose pods do not exist, each with a Redis database of its own.
async fn pipelines(access: SecretAccess) -> Run {
    let mut run = Run::new().await;
    run.access = access;
    run.secrets().await;
    for number in 0..PIPELINES {
        let uri = tokio::task::spawn_blocking(|| servers::redis().fresh_database()).await.expect("Redis starts");
        run.secret(&format!("redis-{number}"), &[("uri", &uri)]).await;
        run.pipeline_named(&format!("p{number}"), &MINIMAL.replace("app-redis", &format!("redis-{number}"))).await;
    }
    run.start();
    for number in 0..PIPELINES {
        run.wait(&format!("p{number}"), |pipeline: &SignupPipeline| pipeline.status.is_some()).await;
    }
    run
}

/// Waits for a window of whose requests `is_rest` is true, and of its length: on a busy machine it is longer than
/// [`WINDOW`].
async fn rest(run: &Run, is_rest: impl Fn(&Requests, Duration) -> bool) {
    servers::until("it has come to rest", LIMIT, async || {
        let begun = Instant::now();
        let before = audit(&run.namespace).len();
        // This is the time that is measured; nothing is waited for.
        tokio::time::sleep(WINDOW).await;
        let asked = audit(&run.namespace).split_off(before);
        let window = begun.elapsed();
        let mut requests = Requests::new();
        // A kind that the cluster lacks may be installed, so it is asked for every 30 s, for all pipelines.
        for request in asked.into_iter().filter(|(verb, of, _)| verb != "watch" && !LACKING.contains(&&**of)) {
            *requests.entry(request).or_default() += 1;
        }
        if is_rest(&requests, window) { Ok(()) } else { Err(format!("{requests:?} in {window:?}")) }
    })
    .await;
}

/// Nothing at all is asked for.
async fn silence(run: &Run) {
    rest(run, |requests, _| requests.is_empty()).await;
}

#[tokio::test]
async fn with_watched_secrets_the_api_server_is_not_asked_for_anything_at_rest() {
    let run = pipelines(SecretAccess::Watch).await;
    silence(&run).await;
}

#[tokio::test]
async fn a_status_that_somebody_else_wrote_is_put_right_once() {
    let run = pipelines(SecretAccess::Watch).await;
    silence(&run).await;
    let ours = run.wait::<SignupPipeline>("p0", |_| true).await.status;
    let foreign = Patch::Merge(json!({"status": {"conditions": [], "observedGeneration": null}}));
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    run.api::<SignupPipeline>().patch_status("p0", &params, &foreign).await.expect("it is accepted");
    run.wait::<SignupPipeline>("p0", |pipeline| pipeline.status == ours).await;
    silence(&run).await;
}

#[tokio::test]
async fn without_each_named_secret_is_read_once_per_interval_for_all_that_name_it_and_nothing_else_is_asked_for() {
    let every = Duration::from_secs(2);
    let run = pipelines(SecretAccess::Get { every }).await;
    // A pipeline whose trouble has changed has its Secrets read at once, so rest begins when none does any more. The
    // moment until which a roll-out counts as starting is such a change, and comes to each pipeline at its own time.
    rest(&run, |requests, window| {
        // A tenth less than the interval may pass between two.
        let most = 1 + window.as_millis() / (every.as_millis() * 9 / 10);
        requests.keys().all(|(verb, resource, _)| (&**verb, &**resource) == ("get", "secrets"))
            && requests.len() == 1 + 2 * PIPELINES
            && requests.values().all(|reads| (1..=most).contains(&(*reads as u128)))
    })
    .await;
}
