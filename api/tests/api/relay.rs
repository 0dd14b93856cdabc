//! From a committed row to Redis: when, once, and again after Redis lost it.

use crate::harness::{Setup, TestApi, tasks::Tasks};
use queue::QueueState;
use servers::Redis;
use std::time::Duration;

const ZERO: Duration = Duration::ZERO;

#[tokio::test]
async fn a_signup_is_scheduled_for_its_time_with_the_go_programs_log_line() {
    let (api, tasks) = start(Setup::new()).await;
    assert_eq!(api.signup("alice").await.status, 200);
    tasks.until(&api, "scheduled", |queue| queue.scheduled == 1).await;
    api.until("marked", async || states(&api) == "dispatched").await;
    let due = tasks.now().await.next_due_at.expect("a time").as_second();
    assert_eq!(api.sql("SELECT floor(extract(epoch FROM run_at)) FROM email_intents"), due.to_string());
    let line = api.lines("enqueued task").remove(0);
    assert_eq!(line["type"], "task:send_verify_email");
    assert_eq!(line["payload"], r#"{"username":"alice"}"#);
    assert_eq!((&line["queue"], &line["max_retry"]), (&"critical".into(), &10.into()));
}

#[tokio::test]
async fn with_delay_zero_the_task_is_pending_at_once_and_told_once() {
    let (api, tasks) = start(Setup::new().with(|document| document.task.delay = ZERO)).await;
    assert_eq!(api.signup("alice").await.status, 200);
    tasks.until(&api, "pending", |queue| queue.pending == 1).await;
    api.until("marked", async || states(&api) == "dispatched").await;
    assert_eq!(tasks.now().await.scheduled, 0);
    assert_eq!(api.lines("enqueued task").len(), 1);
}

#[tokio::test]
async fn what_is_due_beyond_the_horizon_stays_in_postgresql() {
    let (mut api, tasks) = start(Setup::new().with(|document| document.task.delay = Duration::from_secs(3600))).await;
    assert_eq!(api.signup("later").await.status, 200);
    api.edit(|document| document.task.delay = Duration::from_secs(10)).await;
    assert_eq!(api.signup("soon").await.status, 200);
    // Both were committed before the look that took the second.
    tasks.until(&api, "scheduled", |queue| queue.scheduled > 0).await;
    assert_eq!(tasks.now().await.scheduled, 1);
    assert_eq!(api.sql("SELECT state FROM email_intents WHERE username = 'later'"), "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_is_ever_seen_before_its_user_however_slow_the_commit() {
    let (api, tasks) = start(Setup::new().with(|document| document.task.delay = ZERO)).await;
    api.sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION dawdle();",
    );
    let answered = async {
        assert_eq!(api.signup("alice").await.status, 200);
    };
    let watched = async {
        loop {
            let seen = tasks.now().await.pending;
            let committed = api.stored().0;
            assert!(seen == 0 || committed == 1, "a task without a user");
            if seen == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(answered, watched);
}

#[tokio::test]
async fn i3_emptying_redis_changes_when_but_not_whether() {
    let (api, tasks) = start(Setup::new()).await;
    for round in 1..=3u64 {
        assert_eq!(api.signup(&format!("user{round}")).await.status, 200);
        tasks.until(&api, "all handed over", |queue| queue.scheduled == round).await;
        api.until("all marked", async || !states(&api).contains("waiting")).await;
        tasks.run(&["FLUSHDB"]);
        tasks.until(&api, "all handed over again", |queue| queue.scheduled == round).await;
    }
    api.until("told", async || !api.lines("Redis lost its data; what it was told is handed over again").is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_redis_that_is_killed_and_starts_empty_gets_everything_again() {
    let mut redis = Redis::start().expect("a server of its own");
    let (api, tasks) = start(on(&redis)).await;
    assert_eq!(api.signup("before").await.status, 200);
    tasks.until(&api, "handed over", |queue| queue.scheduled == 1).await;
    redis.kill();
    assert_eq!(api.signup("meanwhile").await.status, 200, "no request waits for Redis (I9)");
    let warned = "intents stay in PostgreSQL until they can be handed over";
    api.until("told", async || !api.lines(warned).is_empty()).await;
    redis.start_again().expect("an empty Redis");
    tasks.until(&api, "both handed over", |queue| queue.scheduled == 2).await;
    assert_eq!(api.lines(warned).len(), 1, "said once, when it began");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_leaves_the_rows_waiting_until_it_has_room() {
    let redis = Redis::start_with(&["--maxmemory", "100kb"]).expect("a server of its own");
    let (api, tasks) = start(on(&redis)).await;
    assert_eq!(api.signup("alice").await.status, 200);
    let warned = "intents stay in PostgreSQL until they can be handed over";
    api.until("told", async || !api.lines(warned).is_empty()).await;
    assert_eq!((states(&api).as_str(), api.readyz().await.0), ("waiting", 200));
    tasks.run(&["CONFIG", "SET", "maxmemory", "0"]);
    tasks.until(&api, "handed over", |queue| queue.scheduled == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_does_not_keep_the_rows_locked() {
    let redis = Redis::start().expect("a server of its own");
    let (api, _tasks) = start(on(&redis).with(|document| document.task.delay = ZERO)).await;
    redis.pause();
    assert_eq!(api.signup("alice").await.status, 200);
    let id = api.sql("SELECT id FROM email_intents").parse().expect("a UUID");
    let store = signup::Store::connect(&api.database(), None, 1).expect("a valid URI");
    let lease = store.lease(id, "worker", Duration::from_secs(60)).await.expect("not locked for ever");
    assert!(matches!(lease, signup::LeaseOutcome::Leased(_)), "{lease:?}");
    redis.resume();
}

#[tokio::test]
async fn two_replicas_share_the_work_and_tell_each_task_once() {
    let first = Setup::new();
    let mut second = Setup::on(first.database.clone());
    second.redis.clone_from(&first.redis);
    let (first, tasks) = start(first).await;
    let (second, _) = start(second).await;
    for number in 0..10 {
        assert_eq!(first.signup(&format!("first{number}")).await.status, 200);
        assert_eq!(second.signup(&format!("second{number}")).await.status, 200);
    }
    tasks.until(&first, "all handed over", |queue| queue.scheduled == 20).await;
    first.until("all marked", async || !states(&first).contains("waiting")).await;
    assert_eq!(first.lines("enqueued task").len() + second.lines("enqueued task").len(), 20);
}

#[tokio::test]
async fn a_crash_between_redis_and_the_mark_is_harmless() {
    let (api, tasks) = start(Setup::new()).await;
    assert_eq!(api.signup("alice").await.status, 200);
    api.until("marked", async || states(&api) == "dispatched").await;
    api.sql("UPDATE email_intents SET state = 'waiting', dispatched_at = NULL, redis_epoch = NULL");
    api.until("marked again", async || states(&api) == "dispatched").await;
    assert_eq!(
        tasks.now().await,
        QueueState { scheduled: 1, next_due_at: tasks.now().await.next_due_at, ..QueueState::default() }
    );
    assert_eq!(api.lines("enqueued task").len(), 1);
}

#[tokio::test]
async fn a_task_that_is_refused_does_not_stop_the_others() {
    let (api, tasks) = start(Setup::new().with(|document| document.task.delay = Duration::from_secs(3600))).await;
    for username in ["invalid", "refused", "sound"] {
        assert_eq!(api.signup(username).await.status, 200);
    }
    let refused = api.sql("SELECT id FROM email_intents WHERE username = 'refused'");
    tasks.run(&["SET", &format!("asynq:{{critical}}:t:{refused}"), "not a task"]);
    api.sql(
        "UPDATE email_intents SET run_at = now() + interval '20 s',
                queue = CASE username WHEN 'invalid' THEN 'not}a{queue' ELSE queue END",
    );
    tasks.until(&api, "the sound one handed over", |queue| queue.scheduled == 1).await;
    api.until("all marked", async || states(&api) == "dispatched").await;
    tasks.run(&["DEL", &format!("asynq:{{critical}}:t:{refused}")]);
    let long_ago = "run_at = now() - interval '20 s', dispatched_at = now() - interval '20 s'";
    api.sql(&format!("UPDATE email_intents SET {long_ago} WHERE username <> 'sound'"));
    tasks.until(&api, "handed over once Redis takes it", |queue| queue.pending == 1).await;
}

async fn start(setup: Setup) -> (TestApi, Tasks) {
    let tasks = Tasks::new(&setup.redis);
    (TestApi::spawn_with(setup).await, tasks)
}

fn on(redis: &Redis) -> Setup {
    let mut setup = Setup::new();
    setup.redis = redis.uri(0);
    setup
}

fn states(api: &TestApi) -> String {
    api.sql("SELECT string_agg(DISTINCT state, ',') FROM email_intents")
}
