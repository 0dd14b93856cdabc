//! How much a server takes at once is its to say: every mail gets through at its first attempt, whatever the limit. (So
//! the circuit breaker has no part in it: it opens after failures, and each would have been an attempt.)

use crate::{
    each_is_taken_once,
    fixture::{Fixture, task, timing, until},
    in_clear,
};
use servers::{Accepted, Security};
use signup::Created;
use worker::process::{Options, Worker};

/// Sends the mails of `mails` signups with `workers` workers.
///
/// Gives as many connections as the workers report that the server takes, all together.
async fn all_at_the_first_attempt(
    fixture: &Fixture,
    mails: usize,
    workers: usize,
    accepted: impl Fn() -> Accepted,
) -> usize {
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
    let reports = running.iter().filter_map(|worker| worker.mail_report()());
    let connections = reports.filter_map(|report| report.connections).sum();
    for worker in running {
        worker.shutdown().await;
    }
    connections
}

async fn total(fixture: &Fixture, condition: &str) -> i64 {
    let statement = format!("SELECT count(*) FROM email_intents WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&fixture.sql).await.expect("a number")
}

#[tokio::test]
async fn three_connections_at_once() {
    let parameters = ["smtpd_client_connection_count_limit = 3"];
    let Some(postfix) = servers::postfix(Security::Plain, &parameters) else { return };
    let fixture = in_clear(postfix.port()).await;
    assert_eq!(all_at_the_first_attempt(&fixture, 100, 1, || postfix.accepted()).await, 3);
}

#[tokio::test]
async fn ten_connections_at_once_shared_by_four_workers() {
    let parameters = ["smtpd_client_connection_count_limit = 10"];
    let Some(postfix) = servers::postfix(Security::Plain, &parameters) else { return };
    let fixture = in_clear(postfix.port()).await;
    all_at_the_first_attempt(&fixture, 200, 4, || postfix.accepted()).await;
}

#[tokio::test]
async fn ten_connections_of_twenty_mails_each() {
    let options = ["smtp_accept_max_per_host = 10", "smtp_accept_max_per_connection = 20"];
    let Some(exim) = servers::exim(Security::Plain, &options, &[]) else { return };
    let fixture = in_clear(exim.port()).await;
    all_at_the_first_attempt(&fixture, 100, 1, || exim.accepted()).await;
}

#[tokio::test]
async fn twenty_mails_on_one_connection() {
    let options = ["smtp_accept_max_per_host = 1", "smtp_accept_max_per_connection = 20"];
    let Some(exim) = servers::exim(Security::Plain, &options, &[]) else { return };
    let fixture = in_clear(exim.port()).await;
    all_at_the_first_attempt(&fixture, 50, 1, || exim.accepted()).await;
}

#[tokio::test]
async fn a_hundred_mails_in_one_session() {
    let Some(opensmtpd) = servers::opensmtpd(&[], &[]) else { return };
    let fixture = in_clear(opensmtpd.port()).await;
    fixture.edit("concurrency: 16", "concurrency: 1").await;
    let connections = all_at_the_first_attempt(&fixture, 120, 1, || opensmtpd.accepted()).await;
    assert_eq!(connections, 0, "no limit was met");
}

#[tokio::test]
async fn more_slots_than_the_server_has_processes() {
    let parameters = ["default_process_limit = 5"];
    let Some(postfix) = servers::postfix(Security::Plain, &parameters) else { return };
    let fixture = in_clear(postfix.port()).await;
    all_at_the_first_attempt(&fixture, 100, 1, || postfix.accepted()).await;
}
