//! Two pipelines meet in one database, as a copied manifest has them meet: the first is not touched, and every mail of
//! its users comes from its own sender.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline, until};

fn pipeline(name: &str) -> Options {
    Options::new().with(|document| {
        document.pipeline = format!("shop/{name}");
        document.mail.from = format!("{name}@pipeline.test");
    })
}

async fn is_told(pipeline: &Pipeline, owner: &str) {
    let told = format!("not ready: the database belongs to pipeline {owner}\n");
    for program in pipeline.apis.iter().chain(&pipeline.workers) {
        until("it is told", PATIENCE, async || program.admin("/readyz").await.as_ref() == Some(&told)).await;
    }
}

#[tokio::test]
async fn all_mails_of_the_first_come_from_its_sender_and_the_second_is_told_whose_the_database_is() {
    let first = Pipeline::start(pipeline("a")).await;
    let second = Pipeline::start_programs(pipeline("b").in_database(first.database_uri())).await;
    is_told(&second, "shop/a").await;
    let attempts = first.sign_up(20, 4).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    let refused = second.sign_up(2, 1).await;
    assert!(refused.iter().all(|attempt| matches!(attempt.outcome, Outcome::Refused(503, _))), "{refused:?}");
    first.settle(PATIENCE).await;
    let report = first.check().await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, 20);
    let failed = first.rows().await.into_iter().filter_map(|row| row.intent).filter(|intent| intent.failures > 0);
    assert_eq!(failed.count(), 0);
    let senders: Vec<String> = first.inbox.messages().into_iter().map(|mail| mail.from.clone()).collect();
    assert_eq!(senders, vec!["a@pipeline.test"; 20]);
    assert!(second.inbox.messages().is_empty(), "the second sent a mail");
    is_told(&second, "shop/a").await;
}

#[tokio::test]
async fn a_database_that_is_handed_over_owes_its_mails_once() {
    let first = Pipeline::start(pipeline("a").with(|document| document.task.delay = PATIENCE)).await;
    first.sign_up(5, 1).await;
    let mut second =
        Pipeline::start_programs(pipeline("b").in_database(first.database_uri()).with_the_same_key()).await;
    is_told(&second, "shop/a").await;
    second.edit(|document| document.database.take_over_from = Some("shop/a".into())).await;
    second.until_ready().await;
    is_told(&first, "shop/b").await;
    // Three users more than the first has.
    second.sign_up(8, 1).await;
    let due = "WITH due AS (UPDATE email_intents SET run_at = clock_timestamp() RETURNING id) SELECT count(*) FROM due";
    assert_eq!(second.number(due).await, Some(8));
    second.settle(PATIENCE).await;
    let senders: Vec<String> = second.inbox.messages().into_iter().map(|mail| mail.from.clone()).collect();
    assert_eq!(senders, vec!["b@pipeline.test"; 8]);
    assert!(first.inbox.messages().is_empty(), "the first sent a mail of the second");
}
