//! What the document means for signups: any delay is safe, retries are counted, edits change new signups only.

use inbox::{Phase, Rule};
use pipeline_tests::{Options, PATIENCE, Pipeline};
use std::time::Duration;

#[tokio::test]
async fn a_delay_of_zero_is_as_safe_as_any_other() {
    let options = Options::new().apis(2).workers(2).with(|document| document.task.delay = Duration::ZERO);
    let mut pipeline = Pipeline::start(options).await;
    let load = pipeline.load(4);
    pipeline.until_acknowledged(40).await;
    pipeline.apis[0].kill();
    pipeline.apis[0].start().await;
    pipeline.redis_command(&["FLUSHALL"]);
    pipeline.until_acknowledged(pipeline.acknowledged() + 40).await;
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn max_retries_zero_runs_once() {
    let pipeline = Pipeline::start(Options::new().with(|document| document.task.max_retries = 0)).await;
    pipeline.inbox.rules([Rule::reply(Phase::Rcpt, 451, "4.3.0 later").times(1)]).expect("a rule");
    pipeline.sign_up(1, 1).await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_sound();
    assert_eq!((report.state("dead"), report.mails), (1, 0), "{report}");
    let intent = pipeline.rows().await[0].intent.clone().expect("an intent");
    assert_eq!((intent.attempts, intent.failures), (1, 1));
    assert!(intent.last_reply.is_some_and(|reply| reply.contains("later")), "the reason is kept");
    // The next one meets a server that works, and one attempt is enough.
    pipeline.sign_up(1, 1).await;
    pipeline.settle(PATIENCE).await;
    assert_eq!(pipeline.check().await.state("sent"), 1);
}

#[tokio::test]
async fn i8_an_edit_changes_new_signups_only() {
    let options = Options::new().with(|document| document.task.delay = Duration::from_secs(3600));
    let mut pipeline = Pipeline::start(options).await;
    pipeline.sign_up(3, 1).await;
    let before = pipeline.rows().await;
    pipeline
        .edit(|document| {
            document.task.delay = Duration::ZERO;
            document.task.max_retries = 3;
            document.task.queue = "default".into();
        })
        .await;
    pipeline.sign_up(3, 1).await;
    pipeline
        .until_some("new ones are sent", "SELECT (count(*) = 3)::int::bigint FROM email_intents WHERE state = 'sent'")
        .await;
    let after = pipeline.rows().await;
    assert_eq!(after[..3], before[..], "the old ones keep their delay, retries and queue");
    for row in &after[3..] {
        let intent = row.intent.as_ref().expect("an intent");
        assert_eq!((intent.max_retries, intent.queue.as_str()), (3, "default"), "{row:?}");
    }
    assert_eq!(pipeline.accepted().len(), 3);
    let report = pipeline.check().await;
    assert!(report.leaks.is_empty() && report.ghosts.is_empty() && report.early.is_empty(), "{report}");
}
