//! A database that has a statement and never answers it, while its connection stays open, as when its machine is
//! gone; on a new connection it answers.

use super::*;
use sqlx::{Postgres, Transaction};
use std::process::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Nobody else can write to the intents until this ends.
async fn lock(fixture: &Fixture) -> Transaction<'static, Postgres> {
    let mut lock = fixture.sql.begin().await.expect("a transaction");
    let statement = "LOCK TABLE email_intents IN SHARE ROW EXCLUSIVE MODE";
    sqlx::query(statement).execute(&mut *lock).await.expect("nobody holds it for long");
    lock
}

/// The stopped processes of PostgreSQL; dropped, they go on, so that the server can end.
struct Silence(Vec<String>);

impl Silence {
    /// Stops (SIGSTOP) whatever answers the worker's connections once a statement waits for the lock; then ends the
    /// lock, which the stopped process gets and which hinders no other.
    async fn of_a_statement_behind(lock: Transaction<'static, Postgres>, fixture: &Fixture) -> Self {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("a statement waits", || async {
            sqlx::query_scalar(waiting).fetch_one(&fixture.sql).await.expect("ours is answered")
        })
        .await;
        let pids = "SELECT pid::text FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name <> 'test'";
        let silence = Self(sqlx::query_scalar(pids).fetch_all(&fixture.sql).await.expect("ours is answered"));
        assert!(silence.signal("-STOP"));
        lock.rollback().await.expect("ours is answered");
        silence
    }

    fn signal(&self, name: &str) -> bool {
        Command::new("kill").arg(name).args(&self.0).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// An attempt whose mail is out, but for the server's answer.
async fn at_the_dot(fixture: &Fixture) -> (Uuid, tokio::task::JoinHandle<Result<(), TaskError>>) {
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    (created.intent.id, running)
}

#[tokio::test]
async fn a_lease_is_kept_over_a_new_connection_when_the_others_fall_silent() {
    let postgres = servers::Postgres::start().expect("a server of its own");
    let timing = Timing { answer: SECOND, ..timing() };
    let fixture = Fixture::on(&postgres, inbox::Settings::default(), timing, "").await;
    let (id, running) = at_the_dot(&fixture).await;
    let _silence = Silence::of_a_statement_behind(lock(&fixture).await, &fixture).await;
    let before = fixture.value("lease_until", id).await;
    until("an extension", || async { fixture.value("lease_until", id).await != before }).await;
    fixture.inbox.release("dot");
    assert_eq!(running.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_result_is_recorded_over_a_new_connection_when_the_others_fall_silent() {
    let postgres = servers::Postgres::start().expect("a server of its own");
    let timing = Timing { extend_every: MINUTE, answer: SECOND, ..timing() };
    let fixture = Fixture::on(&postgres, inbox::Settings::default(), timing, "").await;
    let (id, running) = at_the_dot(&fixture).await;
    let lock = lock(&fixture).await;
    fixture.inbox.release("dot");
    let _silence = Silence::of_a_statement_behind(lock, &fixture).await;
    let result = tokio::time::timeout(SOON, running).await.expect("the silence is noticed");
    assert_eq!(result.expect("no panic"), Ok(()));
    assert_eq!(fixture.value("state", id).await, "sent");
}

/// Lets the result of a mail that the server answers with `code` be recorded by the first statement after all, though
/// it was given up: the second one, which waits behind the same lock, is cancelled before the lock ends.
async fn recorded_late(code: u16, words: &str) -> (Fixture, Uuid, Result<(), TaskError>) {
    let timing = Timing { extend_every: MINUTE, answer: SECOND, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    let answer = Rule::reply(Phase::Rcpt, code, words);
    fixture.inbox.rules([answer.clone()]).expect("a good rule");
    // The statement is known to the connection, so that it is sent as a whole.
    fixture.run(&fixture.sign_up("before").await).await.expect_err("not taken");
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Rcpt, Action::Hold("rcpt".into())), answer]).expect("good rules");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("rcpt", 1, SOON).await.expect("RCPT arrives");
    let lock = lock(&fixture).await;
    fixture.inbox.release("rcpt");
    let waiting = "SELECT count(*) > 1 FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("two statements wait", || async {
        sqlx::query_scalar(waiting).fetch_one(&fixture.sql).await.expect("ours is answered")
    })
    .await;
    let second = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY query_start DESC LIMIT 1";
    assert!(sqlx::query_scalar::<_, bool>(second).fetch_one(&fixture.sql).await.expect("ours is answered"));
    lock.rollback().await.expect("ours is answered");
    (fixture, created.intent.id, running.await.expect("no panic"))
}

#[tokio::test]
async fn a_refusal_whose_first_write_is_carried_out_late_is_an_outcome_like_any_other() {
    let (fixture, id, result) = recorded_late(550, "5.1.1 unknown").await;
    assert!(matches!(result, Err(TaskError::GiveUp { .. })), "{result:?}");
    assert_eq!(fixture.value("state || ' ' || last_class", id).await, "refused permanent");
}

#[tokio::test]
async fn a_retry_whose_first_write_is_carried_out_late_is_counted_once() {
    let (fixture, id, result) = recorded_late(451, "4.7.1 greylisted").await;
    let (_, counted, cause) = retry(result);
    assert!(counted && cause.contains("451"), "{cause}");
    assert_eq!(fixture.value("state || ' ' || last_class || ' ' || failures", id).await, "dispatched transient 1");
}

#[tokio::test]
async fn a_lease_that_is_asked_for_in_vain_costs_the_mail_nothing() {
    let timing = Timing { lease: SECOND, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    // The statement is known to the connection, so that it is sent as a whole.
    let before = fixture.sign_up("before").await;
    // So short a lease lets no mail go.
    assert!(!retry(fixture.run(&before).await).1);
    let connections = fixture.inbox.connections();
    let created = fixture.sign_up("alice1").await;
    let lock = lock(&fixture).await;
    let result = tokio::time::timeout(SOON, fixture.run(&created)).await.expect("the silence is noticed");
    let (after, counted, _) = retry(result);
    assert!(!counted && after.is_some_and(|after| after < MINUTE));
    assert_eq!(fixture.inbox.connections(), connections);
    drop(lock);
    let id = created.intent.id;
    // The lease that was asked for comes now, and nobody waits for it any more.
    let given_back = async {
        while fixture.value("lease_epoch", id).await == "0" || fixture.value("state", id).await == "sending" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, given_back).await.expect("it is given back");
    assert_eq!(fixture.value("attempts || ' ' || failures || ' ' || crash_count", id).await, "0 0 0");
}
