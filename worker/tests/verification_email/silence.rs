//! A database that has a statement and never answers it, while its connection stays open, as when its machine is gone; on a new
//! connection it answers.

use super::*;
use sqlx::{Postgres, Transaction};
use std::process::Command;

const SECOND: Duration = Duration::from_secs(1);

/// Nobody else can write to the intents until this ends.
async fn lock(bench: &Bench) -> Transaction<'static, Postgres> {
    let mut lock = bench.sql.begin().await.expect("a transaction");
    let statement = "LOCK TABLE email_intents IN SHARE ROW EXCLUSIVE MODE";
    sqlx::query(statement).execute(&mut *lock).await.expect("nobody holds it for long");
    lock
}

/// The stopped processes of PostgreSQL; dropped, they go on, so that the server can end.
struct Silence(Vec<String>);

impl Silence {
    /// Stops (SIGSTOP) whatever answers the worker's connections once a statement waits for the lock; then ends the lock, which
    /// the stopped process gets and which hinders no other.
    async fn of_a_statement_behind(lock: Transaction<'static, Postgres>, bench: &Bench) -> Self {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        harness::eventually("a statement waits", || async {
            sqlx::query_scalar(waiting).fetch_one(&bench.sql).await.expect("ours is answered")
        })
        .await;
        let pids = "SELECT pid::text FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name <> 'test'";
        let silence = Self(sqlx::query_scalar(pids).fetch_all(&bench.sql).await.expect("ours is answered"));
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
async fn at_the_dot(bench: &Bench) -> (Uuid, tokio::task::JoinHandle<Result<(), TaskError>>) {
    let created = bench.sign_up("alice1").await;
    bench.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = bench.start(job(task(&created)));
    bench.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    (created.intent.id, running)
}

#[tokio::test]
async fn a_lease_is_kept_over_a_new_connection_when_the_others_fall_silent() {
    let postgres = servers::Postgres::start().expect("a server of its own");
    let timing = Timing { answer: SECOND, ..harness::timing() };
    let bench = Bench::on(&postgres, inbox::Settings::default(), timing, "").await;
    let (id, running) = at_the_dot(&bench).await;
    let _silence = Silence::of_a_statement_behind(lock(&bench).await, &bench).await;
    let before = bench.value("lease_until", id).await;
    harness::eventually("an extension", || async { bench.value("lease_until", id).await != before }).await;
    bench.inbox.release("dot");
    assert_eq!(running.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_result_is_recorded_over_a_new_connection_when_the_others_fall_silent() {
    let postgres = servers::Postgres::start().expect("a server of its own");
    let timing = Timing { extend_every: MINUTE, answer: SECOND, ..harness::timing() };
    let bench = Bench::on(&postgres, inbox::Settings::default(), timing, "").await;
    let (id, running) = at_the_dot(&bench).await;
    let lock = lock(&bench).await;
    bench.inbox.release("dot");
    let _silence = Silence::of_a_statement_behind(lock, &bench).await;
    let result = tokio::time::timeout(SOON, running).await.expect("the silence is noticed");
    assert_eq!(result.expect("no panic"), Ok(()));
    assert_eq!(bench.value("state", id).await, "sent");
}

#[tokio::test]
async fn a_lease_that_is_asked_for_in_vain_costs_the_mail_nothing() {
    let timing = Timing { lease: SECOND, ..harness::timing() };
    let bench = Bench::with(inbox::Settings::default(), timing, "").await;
    // The statement is known to the connection, so that it is sent as a whole.
    let before = bench.sign_up("before").await;
    // So short a lease lets no mail go.
    assert!(!retry(bench.run(&before).await).1);
    let connections = bench.inbox.connections();
    let created = bench.sign_up("alice1").await;
    let lock = lock(&bench).await;
    let result = tokio::time::timeout(SOON, bench.run(&created)).await.expect("the silence is noticed");
    let (after, counted, _) = retry(result);
    assert!(!counted && after.is_some_and(|after| after < MINUTE));
    assert_eq!(bench.inbox.connections(), connections);
    drop(lock);
    let id = created.intent.id;
    // The lease that was asked for comes now, and nobody waits for it any more.
    let given_back = async {
        while bench.value("lease_epoch", id).await == "0" || bench.value("state", id).await == "sending" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, given_back).await.expect("it is given back");
    assert_eq!(bench.value("attempts || ' ' || failures || ' ' || crash_count", id).await, "0 0 0");
}
