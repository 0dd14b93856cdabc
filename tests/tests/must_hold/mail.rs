//! The mail server down, busy, refusing, silent: what uses up a retry, and what never does.

use inbox::{Action, Phase, Recipient, Rule};
use pipeline_tests::{Intent, Options, Outcome, PATIENCE, Pipeline, Row};
use std::time::Duration;

/// A change of the document that means nothing to mails; it makes an open breaker try at once instead of in 10 to 60 s.
async fn probe_now(pipeline: &mut Pipeline) {
    pipeline.edit(|document| document.worker.concurrency ^= 1).await;
}

/// True for PostgreSQL (1) when so many attempts have begun, over all mails.
fn attempts_reach(attempts: i64) -> String {
    format!("SELECT (sum(attempts) >= {attempts})::int::bigint FROM email_intents")
}

fn intents(rows: &[Row]) -> impl Iterator<Item = &Intent> {
    rows.iter().filter_map(|row| row.intent.as_ref())
}

/// Hours in scaled time: attempts come every second at most, and there are far more of them than retries.
#[tokio::test]
async fn i2_a_mail_server_that_is_down_for_long_uses_up_no_retry() {
    let options = Options::new().with(|document| document.task.max_retries = 1);
    let mut pipeline = Pipeline::start(options).await;
    pipeline.inbox.stop();
    pipeline.sign_up(2, 2).await;
    for attempts in 1..=12 {
        probe_now(&mut pipeline).await;
        pipeline.until_some("one more attempt", &attempts_reach(attempts)).await;
    }
    let rows = pipeline.rows().await;
    assert!(intents(&rows).all(|intent| intent.failures == 0), "{rows:?}");
    pipeline.inbox.start_again().expect("the same port");
    probe_now(&mut pipeline).await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn a_third_of_the_recipients_greylisted_get_their_mail_later_and_the_others_at_once() {
    let pipeline = Pipeline::start(Options::new()).await;
    let third = Recipient::Fraction(3);
    pipeline.inbox.rules([Rule::reply(Phase::Rcpt, 451, "4.7.1 greylisted").to(third.clone())]).expect("a rule");
    pipeline.sign_up(30, 4).await;
    let greylisted = |row: &Row| third.matches(&row.email);
    let all = pipeline.rows().await.len();
    let grey = pipeline.rows().await.iter().filter(|row| greylisted(row)).count();
    assert!(grey > 0 && grey < all, "{grey} of {all}");
    let others = format!("SELECT (count(*) = {})::int::bigint FROM email_intents WHERE state = 'sent'", all - grey);
    pipeline.until_some("the others have their mail", &others).await;
    let put_off = format!("SELECT (count(*) = {grey})::int::bigint FROM email_intents WHERE failures > 0");
    pipeline.until_some("the greylisted have been put off", &put_off).await;
    pipeline.inbox.rules([]).expect("no rules");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
    for row in pipeline.rows().await {
        let failures = row.intent.as_ref().map_or(0, |intent| intent.failures);
        assert_eq!(failures > 0, greylisted(&row), "{row:?}");
    }
}

#[tokio::test]
async fn a_mail_refused_for_good_at_rcpt_or_at_the_dot_is_tried_once_and_the_reply_is_kept() {
    let pipeline = Pipeline::start(Options::new()).await;
    let (unknown, gone) = (Recipient::Fraction(3), Recipient::Fraction(4));
    let rules = [
        Rule::reply(Phase::Rcpt, 550, "5.1.1 no such user").to(unknown.clone()),
        Rule::reply(Phase::Dot, 550, "5.1.1 the mailbox is gone").to(gone.clone()),
    ];
    pipeline.inbox.rules(rules).expect("rules");
    pipeline.sign_up(30, 4).await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_sound();
    assert!(report.state("refused") > 0 && report.state("sent") > 0, "{report}");
    assert_eq!(report.mails, report.state("sent"), "{report}");
    for row in pipeline.rows().await {
        let intent = row.intent.as_ref().expect("an intent");
        let reply = match () {
            () if unknown.matches(&row.email) => "no such user",
            () if gone.matches(&row.email) => "the mailbox is gone",
            () => {
                assert_eq!(intent.state, "sent", "{row:?}");
                continue;
            }
        };
        assert_eq!((intent.state.as_str(), intent.attempts, intent.failures), ("refused", 1, 0), "{row:?}");
        assert!(intent.last_reply.as_deref().is_some_and(|kept| kept.contains(reply)), "{row:?}");
    }
}

#[tokio::test]
async fn i9_a_mail_server_that_never_answers_uses_up_no_retry_and_holds_up_no_signup() {
    let options = Options::new().with(|document| {
        document.task.timeout = Duration::from_secs(1);
        document.task.max_retries = 0;
    });
    let mut pipeline = Pipeline::start(options).await;
    for phase in [Phase::Greeting, Phase::Ehlo, Phase::Rcpt, Phase::Data] {
        pipeline.inbox.rules([Rule::new(phase, Action::Hang)]).expect("a rule");
        let before = pipeline.number("SELECT coalesce(sum(attempts), 0)::bigint FROM email_intents").await;
        let attempts = pipeline.sign_up(2, 2).await;
        assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{phase:?}");
        probe_now(&mut pipeline).await;
        pipeline.until_some("one more attempt", &attempts_reach(before.expect("a sum") + 1)).await;
        let ended = "SELECT (count(*) = 0)::int::bigint FROM email_intents WHERE state = 'sending'";
        pipeline.until_some("it ends in silence", ended).await;
    }
    assert!(pipeline.accepted().is_empty());
    let rows = pipeline.rows().await;
    assert!(intents(&rows).all(|intent| intent.failures == 0), "{rows:?}");
    pipeline.inbox.rules([]).expect("no rules");
    probe_now(&mut pipeline).await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn i6_answers_lost_after_the_dot_cost_one_identical_copy_each_and_a_retry() {
    let pipeline = Pipeline::start(Options::new()).await;
    pipeline.inbox.rules([Rule::new(Phase::Accepted, Action::Close).times(5)]).expect("a rule");
    pipeline.sign_up(20, 4).await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_one_mail_each_but(5);
    assert_eq!(report.extra_copies(), 5, "{report}");
    assert_eq!(intents(&pipeline.rows().await).map(|intent| intent.failures).sum::<i32>(), 5);
}

/// Takes the 120 s that the worker waits, in real time: four leases and four task timeouts long.
#[tokio::test]
async fn i4_silence_after_the_final_dot_is_waited_out_under_a_lease_that_nobody_else_takes() {
    let pipeline = Pipeline::start(Options::new().workers(2)).await;
    let (lost, kept) = (Rule::new(Phase::Dot, Action::Hang), Rule::new(Phase::Accepted, Action::Hang));
    pipeline.inbox.rules([lost.times(1), kept.times(1)]).expect("rules");
    pipeline.sign_up(2, 2).await;
    pipeline.settle(3 * PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_one_mail_each_but(1);
    assert_eq!(report.extra_copies(), 1, "{report}");
    for row in pipeline.rows().await {
        let intent = row.intent.as_ref().expect("an intent");
        assert_eq!((intent.attempts, intent.failures), (2, 1), "{row:?}");
    }
}
