//! A whole pipeline behind PgBouncer as Debian installs it: nobody told it that a pooler is there.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};
use servers::PoolMode;

const FOUND: &str = "a connection pooler stands before PostgreSQL; statements are sent unnamed, each in a transaction";

async fn signups_through(mode: PoolMode, workers: usize, count: usize) {
    let pipeline = Pipeline::start(Options::new().workers(workers).through_pgbouncer(mode)).await;
    // No more at once than are hashed within a second also by unoptimised programs.
    let attempts = pipeline.sign_up(count, 4).await;
    let failed: Vec<_> = attempts.iter().filter(|attempt| attempt.outcome != Outcome::Acknowledged).collect();
    assert!(failed.is_empty(), "{} of {count}: {:?}", failed.len(), failed.first());
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, count);
    for program in pipeline.apis.iter().chain(&pipeline.workers) {
        let told = program.lines(FOUND);
        assert_eq!(told.len(), 1, "each says what it found, once: {}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_signups_and_their_mails_go_through_a_pooler_of_transactions() {
    signups_through(PoolMode::Transaction, 2, 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signups_and_their_mails_go_through_a_pooler_of_sessions() {
    // Twenty connections, as many as it has servers.
    signups_through(PoolMode::Session, 1, 100).await;
}
