//! The operator hears of work from a real Redis. `pollInterval` is 10 minutes, so that nothing here is found by a poll.

use super::{
    api_server::{entries, until},
    operator_run::{MINIMAL, Run},
    scaling::{enqueue, redis, replicas, with_redis},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use operator::crd::SignupPipeline;
use queue::{Client, Connection, Task};
use serde_json::{Value, json};
use servers::Redis;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const UNPOLLED: &str = "minReplicas: 0, maxReplicas: 50, cooldownPeriod: 0s, pollInterval: 10m";

/// Pipelines that share a Redis.
const PIPELINES: u32 = 50;

async fn workers(run: &Run, count: i32) {
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(count)).await;
}

pub(super) async fn own_redis() -> Redis {
    tokio::task::spawn_blocking(|| Redis::start().expect("Redis starts")).await.expect("it starts")
}

#[tokio::test]
async fn a_burst_into_an_empty_queue_is_answered_although_nobody_polls() {
    let uri = redis().await;
    let run = with_redis(&uri, &format!("{{{UNPOLLED}}}")).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    workers(&run, 0).await;
    let began = Instant::now();
    enqueue(&uri, 800).await;
    workers(&run, 50).await;
    // A hundredth of the poll; how fast it is on a quiet machine is the benchmark's to say.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn workers_are_started_ahead_of_a_delayed_task_and_not_before() {
    let uri = redis().await;
    let run = with_redis(&uri, &format!("{{{UNPOLLED}, lookAhead: {{startupTime: 5s}}}}")).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    let due = Timestamp::now() + SignedDuration::from_secs(10);
    let client = Client::new(Connection::open(&uri, None).expect("a URI"));
    let task = Task { queue: "critical".into(), process_at: Some(due), ..Task::new("test", Vec::new()) };
    client.enqueue(&task).await.expect("Redis takes it");
    workers(&run, 1).await;
    let ahead = due.duration_since(Timestamp::now()).as_secs_f64();
    // Up to the 5 s, and a second because Redis keeps whole ones.
    assert!((0.0..6.1).contains(&ahead), "{ahead} s before it is due");
}

#[tokio::test]
async fn all_pipelines_of_a_redis_share_one_connection() {
    let redis = own_redis().await;
    let mut run = Run::new().await;
    run.secret("app-db", &[("uri", "postgres://app:canary@db.test/app")]).await;
    // Children take the API server longer than they tell here.
    let text = MINIMAL.replace("spec:\n", "spec:\n  paused: true\n");
    for index in 0..PIPELINES {
        run.secret(&format!("redis-{index}"), &[("uri", &redis.uri(index))]).await;
        run.pipeline_named(&format!("demo-{index}"), &text.replace("app-redis", &format!("redis-{index}"))).await;
    }
    run.start();
    for index in 0..PIPELINES {
        let is_read = |pipeline: &SignupPipeline| pipeline.status.as_ref().is_some_and(|status| status.tasks.is_some());
        run.wait(&format!("demo-{index}"), is_read).await;
    }
    let clients = redis.command(&["CLIENT", "LIST"]).expect("Redis answers");
    // The other asks for the list.
    assert_eq!(clients.lines().filter(|line| !line.is_empty()).count(), 2, "{clients}");
}

#[tokio::test]
async fn a_user_who_may_not_be_told_is_served_by_polling_and_told_so() {
    let redis = own_redis().await;
    let user = ["ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-client"];
    redis.command(&user).expect("Redis makes the user");
    let uri = redis.uri(1);
    let (_, place) = uri.split_once('@').expect("it has a user");
    let run = with_redis(&format!("redis://reader:secret@{place}"), &format!("{{{UNPOLLED}}}")).await;
    let condition = run.condition("ScalingActive", "True", "PollsQueue").await;
    assert!(condition.message.contains("the user may not run CLIENT TRACKING"), "{}", condition.message);
    workers(&run, 0).await;
    // As Go's asynq writes: without a wake-up.
    redis.command(&["-n", "1", "LPUSH", "asynq:{critical}:pending", "1", "2", "3"]).expect("Redis takes them");
    workers(&run, 1).await;
}

#[tokio::test]
async fn a_redis_that_was_away_tells_again() {
    let mut redis = own_redis().await;
    let uri = redis.uri(1);
    let run = with_redis(&uri, &format!("{{{UNPOLLED}}}")).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    redis.kill();
    run.condition("ScalingActive", "False", "NoAnswer").await;
    redis.start_again().expect("Redis starts");
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    // As Go's asynq writes: without a wake-up.
    redis.command(&["-n", "1", "LPUSH", "asynq:{critical}:pending", "1", "2", "3"]).expect("Redis takes them");
    workers(&run, 1).await;
}

/// Changes the workers' Deployment again and again, as its controller does in a roll-out.
async fn keep_changing(run: &Run) -> JoinSet<()> {
    let (deployments, mut changing) = (run.api::<Deployment>(), JoinSet::new());
    changing.spawn(async move {
        for round in 0.. {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {"test/round": format!("{round}")}}}));
            deployments.patch("demo-worker", &PatchParams::default(), &patch).await.expect("it is there");
        }
    });
    changing
}

#[tokio::test]
async fn a_decision_is_written_on_what_is_there_although_that_changes_all_the_time() {
    let uri = redis().await;
    let run = with_redis(&uri, &format!("{{{UNPOLLED}}}")).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    workers(&run, 0).await;
    let answered = || answers(&run.namespace, "patch", "deployments", "scale");
    // The first decision takes the number over from the manager that made the Deployment.
    let is_ours = |codes: &Vec<u16>| codes.iter().any(|code| *code < 300);
    let before = until("the number is the operator's", async || Some(answered()).filter(is_ours)).await;
    let changing = keep_changing(&run).await;
    for count in 1..=10 {
        enqueue(&uri, 10).await;
        workers(&run, count).await;
    }
    drop(changing);
    let codes = answered().split_off(before.len());
    let (written, stale) = codes.iter().partition::<Vec<u16>, _>(|code| **code < 300);
    assert_eq!(written.len(), 10, "one write for each decision: {codes:?}");
    assert!(stale.iter().all(|code| *code == 409) && !stale.is_empty(), "all were written blindly: {codes:?}");
}

/// HTTP codes with which requests of that kind were answered so far.
fn answers(namespace: &str, verb: &str, resource: &str, subresource: &str) -> Vec<u16> {
    let is_asked = |entry: &Value| {
        let object = &entry["objectRef"];
        entry["verb"] == verb && object["resource"] == resource && object["subresource"] == subresource
    };
    let asked = entries(namespace).into_iter().filter(is_asked);
    asked.filter_map(|entry| u16::try_from(entry["responseStatus"]["code"].as_u64()?).ok()).collect()
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_holds_up_no_other_and_nothing_is_removed_meanwhile() {
    let redis = own_redis().await;
    let uri = redis.uri(1);
    let run = with_redis(&uri, "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 0s}").await;
    run.edit(json!({"queues": [{"name": "critical", "priority": 6}, {"name": "broken", "priority": 1}]})).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    let tell = |command: &[&str]| redis.command(&[&["-n", "1"], command].concat()).expect("Redis does so");
    tell(&["SET", "asynq:{broken}:pending", "somebody else's"]);
    enqueue(&uri, 25).await;
    workers(&run, 3).await;
    let told = run.condition("ScalingActive", "False", "PartialQueues").await;
    assert!(told.message.contains("queue broken cannot be read"), "{}", told.message);
    tell(&["DEL", "asynq:{critical}:pending"]);
    let explained = |pipeline: &SignupPipeline| {
        let told = pipeline.status.as_ref().and_then(|status| status.autoscaling.as_ref());
        told.is_some_and(|told| told.limited_by.as_deref() == Some("missingQueue") && told.desired == 3)
    };
    run.wait::<SignupPipeline>("demo", explained).await;
    tell(&["DEL", "asynq:{broken}:pending"]);
    workers(&run, 0).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
}
