//! The time of a task: its turn, its timeout, and who is to blame when it is over.

use super::*;

async fn paced() -> Fixture {
    Fixture::with(inbox::Settings::default(), timing(), ", maxPerSecond: 1").await
}

#[tokio::test]
async fn the_timeout_counts_from_the_turn_of_the_mail() {
    let fixture = paced().await;
    let (began, mut turns) = (tokio::time::Instant::now(), Vec::new());
    for name in ["first", "second"] {
        let job = job(task(&fixture.sign_up(name).await));
        let limit = job.limit.clone();
        assert_eq!(fixture.run_job(job).await, Ok(()));
        turns.push(limit.counted_from().expect("its turn"));
    }
    assert!(turns[1] - began >= Duration::from_secs(1), "{began:?} {turns:?}");
}

#[tokio::test]
async fn a_mail_whose_turn_comes_too_late_is_put_back_and_nothing_is_used_up() {
    let fixture = paced().await;
    let late = fixture.sign_up("late").await;
    let mut ahead = Vec::new();
    for name in ["now", "in1s", "in2s", "in3s"] {
        let job = job(task(&fixture.sign_up(name).await));
        let limit = job.limit.clone();
        ahead.push(fixture.start(job));
        until("a turn", || async { limit.counted_from().is_some() }).await;
    }
    let impatient = job(Task { timeout: Duration::from_secs(1), ..task(&late) });
    let (after, counted, _) = retry(fixture.run_job(impatient).await);
    assert!(!counted && after.is_some_and(|after| after > Duration::from_secs(1)), "{after:?}");
    assert_eq!(fixture.value("attempts", late.intent.id).await, "0");
    ahead.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_server_that_never_asks_for_the_mail_is_down_and_nothing_is_used_up() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hold("rcpt".into()))]).expect("a good rule");
    let job = job(task(&created));
    let (limit, cancelled) = (job.limit.clone(), job.cancelled.clone());
    let running = fixture.start(job);
    fixture.inbox.wait_until_held("rcpt", 1, SOON).await.expect("RCPT arrives");
    // What the queue does when the timeout of a task is reached.
    limit.reach();
    cancelled.cancel();
    let (after, counted, cause) = retry(running.await.expect("no panic"));
    assert!(!counted && after.is_some_and(|after| after >= Duration::from_secs(10)));
    assert_eq!(cause, "mail server did not answer in time at rcpt");
    assert_eq!(fixture.value("last_class || ' ' || failures", created.intent.id).await, "relay_down 0");
}

#[tokio::test]
async fn tasks_cancelled_for_another_reason_than_their_timeout_say_nothing_of_the_mail_server() {
    let fixture = Fixture::new().await;
    // As many as open the breaker when each is a failure of the server.
    for number in 1..=5 {
        let name = format!("user{number}");
        let created = fixture.sign_up(&name).await;
        fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hold(name.clone()))]).expect("a good rule");
        let job = job(task(&created));
        let cancelled = job.cancelled.clone();
        let running = fixture.start(job);
        fixture.inbox.wait_until_held(&name, 1, SOON).await.expect("RCPT arrives");
        // What the queue does when the task's lease is lost, or somebody cancels it with asynq's tools.
        cancelled.cancel();
        assert!(!retry(running.await.expect("no panic")).1);
        assert_eq!(fixture.value("state || ' ' || (last_class IS NULL)", created.intent.id).await, "dispatched true");
    }
    assert!(!fixture.mailer.breaker().is_open());
}

#[tokio::test]
async fn a_clearance_that_is_refused_when_the_time_is_up_says_nothing_of_the_mail_server() {
    let timing = Timing { lease: Duration::from_secs(6), extend_every: MINUTE, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Data, Action::Hold("data".into()))]).expect("a good rule");
    let job = job(task(&created));
    let limit = job.limit.clone();
    let running = fixture.start(job);
    fixture.inbox.wait_until_held("data", 1, SOON).await.expect("DATA arrives");
    until("less than the spare time left", || async {
        fixture.value("lease_until < clock_timestamp() + interval '5 seconds'", created.intent.id).await == "true"
    })
    .await;
    // The server asks for the mail; that we do not send it any more is no fault of its.
    limit.reach();
    fixture.inbox.release("data");
    assert!(!retry(running.await.expect("no panic")).1);
    assert_eq!(fixture.value("state || ' ' || (last_class IS NULL)", created.intent.id).await, "dispatched true");
}
