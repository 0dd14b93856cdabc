//! What nobody finished is put right within one or two sweeps.

use crate::harness::{Setup, TestApi, tasks::Tasks};
use signup::{LeaseOutcome, Store};
use std::time::Duration;

#[tokio::test]
async fn a_single_task_that_redis_lost_is_made_sure_of_when_it_is_overdue() {
    let (api, tasks) = handed_over("alice").await;
    let id = api.sql("SELECT id FROM email_intents");
    assert_eq!(tasks.run(&["ZREM", "asynq:{critical}:scheduled", &id]), "1");
    assert_eq!(tasks.run(&["DEL", &format!("asynq:{{critical}}:t:{id}")]), "1");
    make_overdue(&api);
    tasks.until(&api, "pending", |queue| queue.pending == 1).await;
}

#[tokio::test]
async fn a_task_that_somebody_archived_is_put_back_when_it_is_overdue() {
    let (api, tasks) = handed_over("alice").await;
    let id = api.sql("SELECT id FROM email_intents");
    assert_eq!(tasks.run(&["ZREM", "asynq:{critical}:scheduled", &id]), "1");
    tasks.run(&["ZADD", "asynq:{critical}:archived", "1", &id]);
    tasks.run(&["HSET", &format!("asynq:{{critical}}:t:{id}"), "state", "archived"]);
    make_overdue(&api);
    tasks.until(&api, "pending", |queue| queue.pending == 1 && queue.archived == 0).await;
}

#[tokio::test]
async fn the_mail_of_a_worker_that_vanished_is_owed_again() {
    let (api, _tasks) = handed_over("alice").await;
    api.sql("UPDATE email_intents SET run_at = now() - interval '1 second'");
    let id = api.sql("SELECT id FROM email_intents").parse().expect("a UUID");
    let store = Store::connect(&api.database(), None, 1).expect("a valid URI");
    let lease = store.lease(id, "worker", Duration::from_millis(1)).await.expect("asked");
    assert!(matches!(lease, LeaseOutcome::Leased(_)), "{lease:?}");
    let owed_again = "SELECT state IN ('waiting', 'dispatched') AND crash_count = 1 FROM email_intents";
    api.until("owed again", async || api.sql(owed_again) == "t").await;
    api.until("told", async || !api.lines("workers vanished; their mails are owed again").is_empty()).await;
}

#[tokio::test]
async fn a_mail_past_its_deadline_is_given_up() {
    let (api, _tasks) = handed_over("alice").await;
    api.sql("UPDATE email_intents SET deadline = now()");
    api.until("dead", async || api.sql("SELECT state || ' ' || last_class FROM email_intents") == "dead deadline")
        .await;
}

#[tokio::test]
async fn the_figures_are_in_the_metrics() {
    let (api, _tasks) = handed_over("alice").await;
    for line in [
        "signup_intents{state=\"dispatched\"} 1",
        "signup_intents{state=\"dead\"} 0",
        "signup_intents_due 0",
        "signup_intents_oldest_due_age_seconds 0",
        "signup_relay_dispatched_total 1",
    ] {
        api.until(line, async || api.admin("/metrics").await.text.lines().any(|found| found == line)).await;
    }
}

#[tokio::test]
async fn a_task_that_redis_lost_is_made_sure_of_though_the_intents_cannot_be_counted() {
    let (api, tasks) = handed_over("alice").await;
    api.sql(
        "ALTER TABLE email_intents DROP CONSTRAINT email_intents_state_check;
         INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries, deadline,
                                    timeout, public_url, link_ttl, message_id, key_id, state)
         SELECT gen_random_uuid(), kind, username, email, generation + 1, delay, run_at, queue, max_retries, deadline,
                timeout, public_url, link_ttl, message_id || 'x', key_id, 'of a newer program'
         FROM email_intents",
    );
    let uncounted = "failed to count intents; their figures are old";
    api.until("told", async || {
        api.lines("a sweep ended early; the next one goes on").iter().any(|line| line["error"] == uncounted)
    })
    .await;
    let id = api.sql("SELECT id FROM email_intents WHERE state = 'dispatched'");
    assert_eq!(tasks.run(&["ZREM", "asynq:{critical}:scheduled", &id]), "1");
    assert_eq!(tasks.run(&["DEL", &format!("asynq:{{critical}}:t:{id}")]), "1");
    make_overdue(&api);
    tasks.until(&api, "pending", |queue| queue.pending == 1).await;
}

/// A signup whose task is in Redis and whose row says so.
async fn handed_over(username: &str) -> (TestApi, Tasks) {
    let setup = Setup::new();
    let tasks = Tasks::new(&setup.redis);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup(username).await.status, 200);
    api.until("marked", async || api.sql("SELECT state FROM email_intents") == "dispatched").await;
    (api, tasks)
}

/// As if nobody had started the task for half a minute.
fn make_overdue(api: &TestApi) {
    api.sql(
        "UPDATE email_intents SET run_at = run_at - interval '40 s', dispatched_at = dispatched_at - interval '40 s'",
    );
}
