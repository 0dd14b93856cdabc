//! One leader at a time.

use super::{api_server::until, operator_run::Run};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use operator::leader::{Leader, Timing};
use serde_json::json;
use std::time::{Duration, Instant};

const FAST: Timing =
    Timing { lease: Duration::from_secs(3), renew_within: Duration::from_secs(2), retry: Duration::from_millis(200) };

fn candidate(run: &Run, identity: &str) -> Leader {
    Leader::new(run.client.clone(), &run.namespace, "lease", identity, FAST)
}

#[tokio::test]
async fn a_released_lease_is_taken_by_the_next_candidate() {
    let run = Run::new().await;
    let (mut first, mut second) = (candidate(&run, "first"), candidate(&run, "second"));
    first.acquire().await;
    let next = tokio::spawn(async move { second.acquire().await });
    let renewing = tokio::time::timeout(FAST.lease * 2, first.hold()).await;
    assert!(renewing.is_err() && !next.is_finished(), "the holder renews and keeps it");
    first.step_down().await;
    next.await.expect("the second acquires it");
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_taken_after_its_time_and_not_before() {
    let run = Run::new().await;
    candidate(&run, "first").acquire().await;
    let acquired = Instant::now();
    candidate(&run, "second").acquire().await;
    assert!(acquired.elapsed() >= FAST.lease);
}

#[tokio::test]
async fn a_holder_whose_lease_was_taken_stops() {
    let run = Run::new().await;
    let mut leader = candidate(&run, "first");
    leader.acquire().await;
    let patch = Patch::Merge(json!({"spec": {"holderIdentity": "other"}}));
    run.api::<Lease>().patch("lease", &PatchParams::default(), &patch).await.expect("it is there");
    tokio::time::timeout(FAST.lease, leader.hold()).await.expect("it notices");
}

#[tokio::test]
async fn a_holder_makes_a_deleted_lease_anew_and_a_candidate_does_not_get_it_beside_it() {
    let run = Run::new().await;
    let (mut first, mut second) = (candidate(&run, "first"), candidate(&run, "second"));
    first.acquire().await;
    let before = run.wait::<Lease>("lease", |_| true).await.metadata.uid;
    run.api::<Lease>().delete("lease", &Default::default()).await.expect("it is there");
    let holding = tokio::spawn(async move { first.hold().await });
    run.wait::<Lease>("lease", |lease| lease.metadata.uid != before).await;
    let taking = tokio::time::timeout(FAST.lease * 2, second.acquire()).await;
    assert!(taking.is_err() && !holding.is_finished());
}

#[tokio::test]
async fn two_candidates_at_once_get_one_leader() {
    let run = Run::new().await;
    let tasks = ["first", "second"].map(|identity| {
        let mut leader = candidate(&run, identity);
        tokio::spawn(async move { leader.acquire().await })
    });
    until("one of them leads", async || tasks.iter().any(tokio::task::JoinHandle::is_finished).then_some(())).await;
    let lease = run.api::<Lease>().get("lease").await.expect("it is there").spec.expect("a spec");
    let finished = tasks.iter().filter(|task| task.is_finished()).count();
    assert_eq!((finished, lease.lease_transitions), (1, Some(0)));
}
