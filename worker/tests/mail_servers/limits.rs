//! How much a server takes at once is its to say: every mail gets through at its first attempt, whatever the limit. (So
//! the circuit breaker has no part in it: it opens after failures, and each would have been an attempt.)

use crate::{
    each_is_taken_once,
    fixture::{Fixture, task, timing, until},
    in_clear,
};
use servers::Accepted;
use signup::Created;
use worker::process::{Options, Worker};

/// Sends the mails of `mails` signups with `workers` workers.
async fn all_at_the_first_attempt(fixture: &Fixture, mails: usize, workers: usize, accepted: impl Fn() -> Accepted) {
    let mut all: Vec<Created> = Vec::new();
    for number in 0..mails {
        all.push(fixture.sign_up(&format!("user{number}")).await);
    }
    for created in &all {
        fixture.client().enqueue(&task(created)).await.expect("Redis answers");
    }
    let start = || {
        let options = Options { timing: timing(), probe_wait: |_, longest| longest };
        Worker::start(&fixture.live, None, options).expect("the worker starts")
    };
    let running: Vec<Worker> = (0..workers).map(|_| start()).collect();
    until("every mail had its attempt", || async { total(fixture, "attempts > 0").await == mails as i64 }).await;
    until("no mail is under way", || async { total(fixture, "state = 'sending'").await == 0 }).await;
    let at_first = "state = 'sent' AND attempts = 1 AND failures = 0";
    assert_eq!(total(fixture, at_first).await, mails as i64);
    each_is_taken_once(fixture, &all, accepted).await;
    for worker in running {
        worker.shutdown().await;
    }
}

async fn total(fixture: &Fixture, condition: &str) -> i64 {
    let statement = format!("SELECT count(*) FROM email_intents WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&fixture.sql).await.expect("a number")
}

#[tokio::test]
async fn a_hundred_mails_in_one_session() {
    let Some(opensmtpd) = servers::opensmtpd(&[], &[]) else { return };
    let fixture = in_clear(opensmtpd.port()).await;
    fixture.edit("concurrency: 16", "concurrency: 1").await;
    all_at_the_first_attempt(&fixture, 120, 1, || opensmtpd.accepted()).await;
}
