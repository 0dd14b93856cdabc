//! I2, I3: Redis holds hints. Losing them changes when, never whether; nothing that happens there settles a mail.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline, until};
use servers::{RedisCluster, RedisSentinel};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_flushall_every_three_seconds_under_load_changes_nothing_but_the_time() {
    let pipeline = Pipeline::start(Options::new().workers(2)).await;
    let load = pipeline.load(2);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        pipeline.redis_command(&["FLUSHALL"]);
    }
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn i2_i3_a_redis_killed_and_restarted_empty_is_told_again_of_everything_owed() {
    let options = Options::new().with(|document| document.task.delay = Duration::from_secs(5));
    let mut pipeline = Pipeline::start(options).await;
    pipeline.sign_up(30, 4).await;
    until("Redis knows all of them", PATIENCE, async || {
        pipeline.queue().await.is_some_and(|queue| queue.scheduled == 30)
    })
    .await;
    pipeline.redis.kill();
    pipeline.redis.start_again().expect("Redis starts again");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn i9_a_full_redis_stops_no_signup_and_gets_the_tasks_when_it_has_room() {
    let pipeline = Pipeline::start(Options::new()).await;
    pipeline.redis_command(&["CONFIG", "SET", "maxmemory", "1"]);
    let attempts = pipeline.sign_up(20, 4).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    until("the relay meets the full Redis", PATIENCE, async || {
        !pipeline.apis[0].lines("intents stay in PostgreSQL until they can be handed over").is_empty()
    })
    .await;
    assert!(pipeline.accepted().is_empty());
    pipeline.redis_command(&["CONFIG", "SET", "maxmemory", "0"]);
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

/// Of every three tasks: one deleted and one archived, as `asynq task` does both, and one whose entry in the schedule
/// is lost while its hash stays. Redis lives and keeps its incarnation.
const BY_HAND: &str = r#"
    local queue = "asynq:{critical}:"
    for number, id in ipairs(redis.call("ZRANGE", queue .. "scheduled", 0, -1)) do
        redis.call("ZREM", queue .. "scheduled", id)
        if number % 3 == 0 then
            redis.call("DEL", queue .. "t:" .. id)
        elseif number % 3 == 1 then
            redis.call("HSET", queue .. "t:" .. id, "state", "archived")
            redis.call("ZADD", queue .. "archived", redis.call("TIME")[1], id)
        end
    end"#;

#[tokio::test]
async fn i2_tasks_deleted_and_archived_by_hand_are_owed_all_the_same() {
    let options = Options::new().with(|document| document.task.delay = Duration::from_secs(20));
    let pipeline = Pipeline::start(options).await;
    pipeline.sign_up(10, 4).await;
    until("Redis knows all of them", PATIENCE, async || {
        pipeline.queue().await.is_some_and(|queue| queue.scheduled == 10)
    })
    .await;
    pipeline.redis_command(&["EVAL", BY_HAND, "0"]);
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

/// What the old master had not passed on is lost with it. Nothing but time is lost by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_a_master_of_sentinels_that_dies_and_one_that_is_deposed_under_load_change_nothing_but_the_time() {
    let mut sentinel = RedisSentinel::start().expect("Redis and its sentinels");
    let pipeline = Pipeline::start(Options::new().apis(2).workers(2).redis_at(sentinel.uri(0))).await;
    let load = pipeline.load(2);
    pipeline.until_acknowledged(20).await;
    let first = sentinel.master_port().expect("a sentinel answers");
    sentinel.depose().expect("a replica that can take over");
    until_another_is_master(&sentinel, first).await;
    pipeline.until_acknowledged(40).await;
    let second = sentinel.master_port().expect("a sentinel answers");
    until("the first has become the second's replica", PATIENCE, async || {
        sentinel.command_at(second, &["ROLE"]).is_ok_and(|role| role.contains(&first.to_string()))
    })
    .await;
    sentinel.master().expect("a sentinel answers").kill();
    until_another_is_master(&sentinel, second).await;
    let so_far = pipeline.acknowledged();
    pipeline.until_acknowledged(so_far + 20).await;
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

async fn until_another_is_master(sentinel: &RedisSentinel, port: u16) {
    let is_other = async || sentinel.master_port().is_ok_and(|master| master != port);
    until("another server is the master", PATIENCE, is_other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_on_a_cluster_every_signup_becomes_one_mail_also_when_the_node_of_the_queue_dies() {
    let mut cluster = RedisCluster::start(1).expect("a cluster");
    let pipeline = Pipeline::start(Options::new().apis(2).workers(2).redis_at(cluster.uri())).await;
    let load = pipeline.load(2);
    pipeline.until_acknowledged(30).await;
    let node = cluster.owner("asynq:{critical}:pending").expect("a cluster that answers");
    cluster.nodes()[node].kill();
    pipeline.until_acknowledged(60).await;
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}
