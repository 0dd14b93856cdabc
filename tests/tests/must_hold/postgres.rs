//! PostgreSQL is the truth: while it is away nothing is promised, and what was promised is kept.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_stopped_for_twenty_seconds_under_load_costs_time_and_nothing_else() {
    let mut pipeline = Pipeline::start(Options::new().own_postgres()).await;
    let load = pipeline.load(2);
    pipeline.until_acknowledged(20).await;
    pipeline.postgres.as_mut().expect("an own server").stop();
    tokio::time::sleep(Duration::from_secs(20)).await;
    pipeline.postgres.as_mut().expect("an own server").start_again().expect("PostgreSQL starts again");
    pipeline.until_acknowledged(pipeline.acknowledged() + 20).await;
    load.stop().await;
    let refused = pipeline.attempts().into_iter().filter(|attempt| attempt.outcome != Outcome::Acknowledged);
    let refused: Vec<_> = refused.map(|attempt| attempt.outcome).collect();
    assert!(!refused.is_empty(), "the outage was noticed");
    assert!(refused.iter().all(|outcome| matches!(outcome, Outcome::Refused(503, _))), "{refused:?}");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_killed_and_recovered_under_load_loses_nothing() {
    let mut pipeline = Pipeline::start(Options::new().own_postgres()).await;
    let load = pipeline.load(2);
    for round in 1..=3 {
        pipeline.until_acknowledged(20 * round).await;
        let postgres = pipeline.postgres.as_mut().expect("an own server");
        postgres.kill();
        postgres.start_again().expect("PostgreSQL recovers");
    }
    load.stop().await;
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signups_follow_a_name_that_moves_to_the_standby_and_none_is_lost() {
    let mut pipeline = Pipeline::start(Options::new().with_failover()).await;
    let load = pipeline.load(2);
    pipeline.until_acknowledged(40).await;
    pipeline.fail_over().await;
    // Those from before are answered by now, or within the time of one refusal.
    pipeline.until_acknowledged(pipeline.acknowledged() + 40).await;
    load.stop().await;
    let attempts = pipeline.attempts();
    let refused = attempts.iter().map(|attempt| &attempt.outcome).filter(|outcome| **outcome != Outcome::Acknowledged);
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|outcome| matches!(outcome, Outcome::Refused(503, _))), "{refused:?}");
    pipeline.settle(PATIENCE).await;
    pipeline.check().await.assert_exactly_one_mail_each();
}
