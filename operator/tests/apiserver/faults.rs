//! What is told when the work cannot be seen as it is: Redis away for long, emptied, or with a queue that nobody
//! serves.

use super::{
    api_server::until,
    operator_run::Run,
    scaling::{enqueue, replicas, with_redis},
    signal::own_redis,
    worker_process::Worker,
};
use k8s_openapi::api::{apps::v1::Deployment, events::v1::Event};
use serde_json::json;
use servers::Redis;
use std::process::Command;

async fn workers(run: &Run, count: i32) {
    run.wait::<Deployment>("demo-worker", |deployment| replicas(deployment) == Some(count)).await;
}

/// Waits for an event of that reason, and that it was told once.
async fn warned_once(run: &Run, reason: &str) {
    let events = async || -> Vec<(String, i32)> {
        let all = run.api::<Event>().list(&Default::default()).await.expect("it answers").items.into_iter();
        // Degraded has the reason of what is wrong, too.
        let is_it = |event: &Event| {
            let note = event.note.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some(reason) && note.starts_with("ScalingActive is")
        };
        let ours = all.filter(is_it);
        ours.map(|event| (event.type_.unwrap_or_default(), event.series.map_or(1, |series| series.count))).collect()
    };
    until(&format!("{reason} is told"), async || (!events().await.is_empty()).then_some(())).await;
    assert_eq!(events().await, [("Warning".to_owned(), 1)], "{reason}");
}

#[tokio::test]
async fn a_fallback_is_told_as_long_as_it_is_in_force_also_from_no_worker() {
    let mut redis = own_redis().await;
    let settings = "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 0s, fallback: {replicas: 3, after: 10s}}";
    let run = with_redis(&redis.uri(1), settings).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    workers(&run, 0).await;
    redis.kill();
    run.condition("ScalingActive", "False", "NoAnswer").await;
    run.condition("ScalingActive", "False", "FallbackActive").await;
    run.condition("RedisReachable", "False", "NoAnswer").await;
    workers(&run, 3).await;
    let labels = format!(r#"namespace="{}",name="demo""#, run.namespace);
    let told = run.gauges.render();
    assert!(told.contains(&format!("signup_operator_fallback_active{{{labels}}} 1")), "{told}");
    redis.start_again().expect("Redis starts");
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    workers(&run, 0).await;
    warned_once(&run, "FallbackActive").await;
}

#[tokio::test]
async fn a_redis_that_was_emptied_is_told_and_no_worker_is_removed_for_it() {
    let redis = own_redis().await;
    let uri = redis.uri(1);
    let run = with_redis(&uri, "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 1h}").await;
    redis.command(&["-n", "1", "SET", "asynq:{critical}:processed", "100"]).expect("Redis does so");
    enqueue(&uri, 25).await;
    workers(&run, 3).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    redis.command(&["-n", "1", "FLUSHDB"]).expect("Redis does so");
    let told = run.condition("ScalingActive", "False", "CounterReset").await;
    assert!(told.message.contains("what was learnt is forgotten"), "{}", told.message);
    run.condition("RedisReachable", "True", "Answers").await;
    warned_once(&run, "CounterReset").await;
    workers(&run, 3).await;
}

#[tokio::test]
async fn a_queue_that_no_worker_takes_from_is_told_and_asks_for_none_until_one_does() {
    let redis = own_redis().await;
    let uri = redis.uri(1);
    let run = with_redis(&uri, "{minReplicas: 1, maxReplicas: 9, cooldownPeriod: 0s}").await;
    workers(&run, 1).await;
    let _other = Worker::start(&run, &uri, "default", 10).await;
    enqueue(&uri, 15).await;
    workers(&run, 2).await;
    let told = run.condition("ScalingActive", "False", "QueueMissing").await;
    assert!(told.message.contains("mails wait in queue critical"), "{}", told.message);
    warned_once(&run, "QueueMissing").await;
    run.edit(json!({"worker": {"autoscaling": {"minReplicas": 0}}})).await;
    // Not even those that wait with it ask for more, and none goes.
    enqueue(&uri, 60).await;
    let labels = format!(r#"namespace="{}",name="demo",queue="critical",state="pending""#, run.namespace);
    let pending = format!("signup_operator_queue_tasks{{{labels}}} 75");
    until("all are counted", async || run.gauges.render().contains(&pending).then_some(())).await;
    workers(&run, 2).await;
    let _served = Worker::start(&run, &uri, "critical", 10).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
}

#[tokio::test]
async fn what_a_redis_that_answers_has_against_it_is_told() {
    let redis = own_redis().await;
    redis.command(&["ACL", "SETUSER", "reader", "on", ">secret", "~other:*", "&*", "+@all"]).expect("a user");
    let uri = redis.uri(1);
    let (_, place) = uri.split_once('@').expect("it has a user");
    let run = with_redis(&format!("redis://reader:secret@{place}"), "{minReplicas: 1, maxReplicas: 5}").await;
    let told = run.condition("RedisReachable", "False", "RedisForbids").await;
    assert!(told.message.contains("its access list forbids"), "{}", told.message);
    run.condition("ScalingActive", "False", "RedisForbids").await;
    for queue in ["critical", "default", "low"] {
        let key = format!("asynq:{{{queue}}}:pending");
        redis.command(&["-n", "2", "SET", &key, "somebody else's"]).expect("Redis does so");
    }
    run.secret("app-redis", &[("uri", &redis.uri(2))]).await;
    run.condition("ScalingActive", "False", "QueueUnreadable").await;
}

#[tokio::test]
async fn a_redis_that_reads_its_data_from_disk_is_told_and_not_taken_for_an_empty_one() {
    // Longer than anybody waits, until the test ends it; clients are answered after each key.
    let slow = ["--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024"];
    let start = move || Redis::start_with(&[&slow[..], &["--rdbcompression", "no"]].concat());
    let mut redis = tokio::task::spawn_blocking(start).await.expect("it ends").expect("Redis starts");
    let uri = redis.uri(1);
    let run = with_redis(&uri, "{minReplicas: 0, maxReplicas: 5, cooldownPeriod: 0s}").await;
    enqueue(&uri, 25).await;
    workers(&run, 3).await;
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    let fill = "for i = 1, 500 do redis.call('SET', i, string.rep('x', 2048)) end";
    redis.command(&["-n", "9", "EVAL", fill, "0"]).expect("Redis does so");
    redis.command(&["SAVE"]).expect("Redis does so");
    redis.kill();
    let loading = tokio::task::spawn_blocking(move || redis.start_again().map(|()| redis));
    let told = run.condition("ScalingActive", "False", "RedisLoading").await;
    assert!(told.message.contains("still reads its data from disk"), "{}", told.message);
    run.condition("RedisReachable", "False", "RedisLoading").await;
    let hurry = Command::new("redis-cli").args(["-u", &uri, "CONFIG", "SET", "key-load-delay", "0"]).output();
    assert!(hurry.is_ok_and(|hurried| hurried.status.success()));
    let _redis = loading.await.expect("it ends").expect("Redis answers again");
    run.condition("ScalingActive", "True", "FollowsQueue").await;
    assert_eq!(replicas(&run.wait("demo-worker", |_| true).await), Some(3), "no worker went");
}
