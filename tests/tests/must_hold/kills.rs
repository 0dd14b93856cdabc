//! kill -9 and SIGSTOP at the points where a crash hurts most, and at random.

use inbox::{Action, Phase, Rule};
use pipeline_tests::{Intent, Options, Outcome, PATIENCE, Pipeline, Point, until};
use std::time::Duration;

/// One way to shorten the way to the first attempt: the mail is due when it is committed.
fn due_at_once() -> Options {
    Options::new().with(|document| document.task.delay = Duration::ZERO)
}

async fn the_intent(pipeline: &Pipeline) -> Intent {
    let rows = pipeline.rows().await;
    assert_eq!(rows.len(), 1);
    rows[0].intent.clone().expect("a user has an intent (I1)")
}

#[tokio::test]
async fn i1_an_api_killed_right_after_the_commit_told_nobody_and_the_mail_comes() {
    let mut pipeline = Pipeline::start(due_at_once()).await;
    let gate = pipeline.close_gate(Point::Commit).await;
    let client = pipeline.sign_up_in_background();
    gate.reached(1).await;
    pipeline.apis[0].stop();
    gate.open().await;
    pipeline.until_some("the commit", "SELECT count(*) FROM users").await;
    pipeline.apis[0].kill();
    assert_eq!(client.await.expect("no panic").outcome, Outcome::Unknown);
    assert!(pipeline.accepted().is_empty());
    pipeline.apis[0].start().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn a_signup_that_is_rolled_back_leaves_neither_user_nor_task_nor_mail() {
    let pipeline = Pipeline::start(due_at_once()).await;
    let gate = pipeline.close_gate(Point::Commit).await;
    let client = pipeline.sign_up_in_background();
    gate.reached(1).await;
    let queue = pipeline.queue().await.expect("Redis answers");
    assert_eq!((queue.pending, queue.scheduled, queue.active), (0, 0, 0), "nothing is published before the commit");
    gate.cut().await;
    let outcome = client.await.expect("no panic").outcome;
    assert!(matches!(outcome, Outcome::Refused(503, _)), "{outcome:?}");
    gate.open().await;
    // A signup behind it shows that the relay has looked at the table since.
    pipeline.sign_up(1, 1).await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn an_api_killed_between_the_redis_write_and_the_mark_tells_redis_again_and_the_mail_comes_once() {
    let mut pipeline = Pipeline::start(Options::new()).await;
    let gate = pipeline.close_gate(Point::Dispatched).await;
    pipeline.sign_up(1, 1).await;
    gate.reached(1).await;
    let queue = pipeline.queue().await.expect("Redis answers");
    assert_eq!(queue.scheduled + queue.pending + queue.active + queue.retry, 1, "Redis has the task: {queue:?}");
    pipeline.apis[0].kill();
    gate.cut().await;
    gate.open().await;
    pipeline.apis[0].start().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

/// The window that the README names: the server has the mail and nobody knows.
#[tokio::test]
async fn i6_i7_a_worker_killed_before_the_answer_to_the_dot_sends_one_identical_copy_and_the_crash_counts() {
    let mut pipeline = Pipeline::start(due_at_once()).await;
    pipeline.inbox.rules([Rule::new(Phase::Accepted, Action::Hold("before 250".into())).times(1)]).expect("a rule");
    pipeline.sign_up(1, 1).await;
    pipeline.inbox.wait_until_held("before 250", 1, PATIENCE).await.expect("the mail is written down");
    assert_eq!(the_intent(&pipeline).await.attempts, 1, "counted before the dialogue (I7)");
    pipeline.workers[0].kill();
    pipeline.workers[0].start().await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_one_mail_each_but(1);
    assert_eq!(report.extra_copies(), 1, "the server has had it: {report}");
    let intent = the_intent(&pipeline).await;
    assert_eq!((intent.attempts, intent.crash_count), (2, 1));
}

#[tokio::test]
async fn i5_a_worker_killed_between_the_250_and_the_commit_sends_one_identical_copy() {
    let mut pipeline = Pipeline::start(due_at_once()).await;
    let gate = pipeline.close_gate(Point::Sent).await;
    pipeline.sign_up(1, 1).await;
    gate.reached(1).await;
    assert_eq!(the_intent(&pipeline).await.state, "sending", "not sent before it is committed (I5)");
    pipeline.workers[0].kill();
    gate.cut().await;
    gate.open().await;
    pipeline.workers[0].start().await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_one_mail_each_but(1);
    assert_eq!(report.extra_copies(), 1, "the fact did not reach PostgreSQL: {report}");
}

#[tokio::test]
async fn a_result_whose_write_was_cut_off_is_written_again_and_no_copy_is_sent() {
    let pipeline = Pipeline::start(due_at_once()).await;
    let gate = pipeline.close_gate(Point::Sent).await;
    pipeline.sign_up(1, 1).await;
    gate.reached(1).await;
    gate.cut().await;
    gate.reached(1).await;
    gate.open().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn i4_i10_a_worker_stopped_past_its_lease_before_the_dot_sends_nothing_and_records_nothing() {
    let mut pipeline = Pipeline::start(due_at_once()).await;
    pipeline.inbox.rules([Rule::new(Phase::Data, Action::Hold("before 354".into())).times(1)]).expect("a rule");
    pipeline.sign_up(1, 1).await;
    pipeline.inbox.wait_until_held("before 354", 1, PATIENCE).await.expect("DATA arrives");
    pipeline.workers[0].stop();
    pipeline.inbox.release("before 354");
    pipeline.start_worker().await;
    pipeline.settle(PATIENCE).await;
    let recorded = the_intent(&pipeline).await;
    assert_eq!(pipeline.accepted().len(), 1, "the second worker sent it");
    // It wakes up with the server's 354 before it, and a lease that it had.
    wake_and_wait_for_its_end(&mut pipeline).await;
    assert_eq!(the_intent(&pipeline).await, recorded);
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test]
async fn i10_a_worker_stopped_past_its_lease_after_the_dot_cannot_record_its_late_result() {
    let mut pipeline = Pipeline::start(due_at_once()).await;
    pipeline.inbox.rules([Rule::new(Phase::Accepted, Action::Hold("before 250".into())).times(1)]).expect("a rule");
    pipeline.sign_up(1, 1).await;
    pipeline.inbox.wait_until_held("before 250", 1, PATIENCE).await.expect("the mail is written down");
    pipeline.workers[0].stop();
    pipeline.inbox.release("before 250");
    pipeline.start_worker().await;
    pipeline.settle(PATIENCE).await;
    let recorded = the_intent(&pipeline).await;
    wake_and_wait_for_its_end(&mut pipeline).await;
    assert_eq!(the_intent(&pipeline).await, recorded, "the second worker's result stays");
    let report = pipeline.check().await;
    report.assert_one_mail_each_but(1);
    assert_eq!(report.extra_copies(), 1, "the first worker's mail was out: {report}");
}

/// The last thing that a stale worker does with a task is to offer the queue a result, in vain.
async fn wake_and_wait_for_its_end(pipeline: &mut Pipeline) {
    pipeline.workers[0].cont();
    until("the stale worker is done with the task", PATIENCE, async || {
        !pipeline.workers[0].lines("result not written, the lease is no longer ours").is_empty()
    })
    .await;
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_killed_at_random_under_load_lose_nothing() {
    let mut pipeline = Pipeline::start(Options::new().apis(2).workers(2)).await;
    // Dialogues that take a while, so that many are open at each kill, on both sides of the acceptance.
    let slow = [Phase::Dot, Phase::Accepted].map(|at| Rule::new(at, Action::Delay { ms: 50 }));
    pipeline.inbox.rules(slow).expect("rules");
    let load = pipeline.load(2);
    let mut dice = Dice(0x5EED);
    let mut killed_workers = 0;
    for _ in 0..16 {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(700))).await;
        let index = dice.below(2) as usize;
        let program = if dice.below(2) == 0 {
            killed_workers += 1;
            &mut pipeline.workers[index]
        } else {
            &mut pipeline.apis[index]
        };
        program.kill();
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        program.start().await;
    }
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    println!("{killed_workers} workers killed\n{report}");
    // Each kill can leave no more dialogues open than the worker has slots.
    report.assert_one_mail_each_but(killed_workers * pipeline.document().worker.concurrency as usize);
}
