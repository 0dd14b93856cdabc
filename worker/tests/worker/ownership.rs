//! Of a database that belongs to another pipeline a worker takes nothing, and it says so.

use crate::fixture::{Fixture, SOON, task, timing, until};
use queue::{Connection, Inspector};
use std::time::Duration;
use worker::process::{Options, Worker};

async fn owned_by(fixture: &Fixture, pipeline: &str) {
    let statement = sqlx::AssertSqlSafe(format!("UPDATE pipeline_owner SET pipeline = '{pipeline}', term = term + 1"));
    sqlx::query(statement).execute(&fixture.sql).await.expect("one row");
}

#[tokio::test]
async fn tasks_stay_in_redis_and_nothing_is_leased_until_the_database_is_ours() {
    let fixture = Fixture::new().await;
    owned_by(&fixture, "shop/a").await;
    let worker = Worker::start(&fixture.live, None, Options { timing: timing(), probe_wait: |_, longest| longest });
    let worker = worker.expect("the worker starts");
    let created = fixture.sign_up("alice1").await;
    fixture.client().enqueue(&task(&created)).await.expect("Redis answers");
    let told = Err("the database belongs to pipeline shop/a".to_owned());
    until("it is told", || async { worker.readiness().check().await == told }).await;
    assert_eq!(fixture.value("state || ' ' || attempts", created.intent.id).await, "waiting 0");
    let inspector = Inspector::new(Connection::open(&fixture.redis_uri, None).expect("a good URI"));
    let queue = inspector.queue("critical", Duration::ZERO).await.expect("Redis answers");
    assert_eq!((queue.pending, queue.active, queue.retry), (1, 0, 0));

    owned_by(&fixture, "default/demo").await;
    fixture.inbox.wait_for(|message| message.to == ["alice1@example.com"], SOON).await.expect("the mail arrives");
    owned_by(&fixture, "shop/a").await;
    until("it is told again", || async { worker.readiness().check().await == told }).await;
    worker.shutdown().await;
}
