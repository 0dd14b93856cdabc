//! A database belongs to one pipeline: whoever comes second is told so and touches nothing, and it can be handed over.

use crate::harness::{Setup, TestApi, tasks::Tasks};
use pipeline::document::Migrations;

fn of(pipeline: &str, database: &str) -> Setup {
    Setup::on(database.to_owned()).with(|document| {
        document.pipeline = pipeline.into();
        document.task.delay = std::time::Duration::ZERO;
    })
}

async fn until_told(api: &TestApi, owner: &str) {
    let told = format!("not ready: the database belongs to pipeline {owner}\n");
    api.until("told", async || api.readyz().await == (503, told.clone())).await;
}

#[tokio::test]
async fn a_second_pipeline_answers_no_request_and_hands_over_no_mail_of_the_first() {
    let database = servers::postgres().create_database().expect("a database");
    let first = TestApi::spawn_with(of("shop/a", &database)).await;
    for migrations in [Migrations::Auto, Migrations::Manual] {
        let setup = of("shop/b", &database).with(|document| document.database.migrations = migrations);
        let tasks = Tasks::new(&setup.redis);
        let second = TestApi::start(setup).await;
        until_told(&second, "shop/a").await;
        assert_eq!(second.signup("mallory").await.error(), (503, 14, "database is unavailable, try again".into()));
        // The relay of the first passes over a row that it cannot hand over; that of the second would find it.
        first.sql("UPDATE email_intents SET state = 'waiting', claimed_until = NULL");
        assert_eq!(first.signup(&format!("alice{migrations:?}").to_lowercase()).await.status, 200);
        first.until("handed over", async || first.sql(WAITING) == "0").await;
        let queue = tasks.now().await;
        assert_eq!((queue.pending, queue.scheduled), (0, 0), "the second has touched a mail of the first");
        assert!(second.is_running(), "it does not crash");
    }
    assert_eq!(first.readyz().await.0, 200);
    assert_eq!(first.sql("SELECT pipeline FROM pipeline_owner"), "shop/a");
}

const WAITING: &str = "SELECT count(*) FROM email_intents WHERE state = 'waiting'";

#[tokio::test]
async fn a_database_is_handed_over_by_the_name_of_its_owner_while_both_run() {
    let database = servers::postgres().create_database().expect("a database");
    let first = TestApi::spawn_with(of("shop/a", &database)).await;
    assert_eq!(first.signup("alice").await.status, 200);
    let mut second = TestApi::start(of("shop/b", &database)).await;
    until_told(&second, "shop/a").await;
    second.edit(|document| document.database.take_over_from = Some("shop/x".into())).await;
    until_told(&second, "shop/a").await;
    second.edit(|document| document.database.take_over_from = Some("shop/a".into())).await;
    second.until("ready", async || second.readyz().await.0 == 200).await;
    until_told(&first, "shop/b").await;
    assert_eq!(first.signup("bobby").await.error().0, 503);
    assert_eq!(second.signup("bobby").await.status, 200);
    assert_eq!(first.lines("the database belongs to pipeline shop/b; nothing of it is touched from now on").len(), 1);
}
