//! The Lease before an API server that is slow to answer, on a clock that moves only when everybody waits.

use super::*;
use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::json;
use std::sync::{Arc, Mutex};

const TIMING: Timing =
    Timing { lease: Duration::from_secs(15), renew_within: Duration::from_secs(10), retry: Duration::from_secs(2) };

/// An API server with one Lease. It does at once what is asked, and answers late.
#[derive(Clone, Default)]
struct Slow {
    lease: Arc<Mutex<Option<Lease>>>,
    get: Duration,
    create: Duration,
}

impl Slow {
    fn leader(&self) -> Leader {
        let (reader, maker) = (self.clone(), self.clone());
        let read = get(async move || {
            let lease = reader.lease.lock().expect("nobody panicked").clone();
            sleep(reader.get).await;
            lease.map_or_else(missing, |lease| Json(lease).into_response())
        });
        let make = async move |Json(lease): Json<Lease>| {
            *maker.lease.lock().expect("nobody panicked") = Some(lease.clone());
            sleep(maker.create).await;
            (StatusCode::CREATED, Json(lease))
        };
        let leases = "/apis/coordination.k8s.io/v1/namespaces/app/leases";
        // A renewal is never answered.
        let renew = async || std::future::pending::<StatusCode>().await;
        let server = Router::new()
            .route(leases, axum::routing::post(make))
            .route(&format!("{leases}/{{name}}"), read.put(renew));
        Leader::new(Client::new(server, "app"), "app", "lease", "we", TIMING)
    }
}

fn missing() -> axum::response::Response {
    let status = json!({"kind": "Status", "status": "Failure", "message": "", "reason": "NotFound", "code": 404});
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

/// The API server may have stamped it when it got the request, and others count from there.
#[tokio::test(start_paused = true)]
async fn a_lease_is_held_from_before_the_request_that_won_it_however_late_the_answer_is() {
    let slow = Slow { create: Duration::from_secs(8), ..Slow::default() };
    let (mut leader, began) = (slow.leader(), Instant::now());
    leader.acquire().await;
    assert_eq!(began.elapsed().as_secs(), 8);
    leader.hold().await;
    assert_eq!(began.elapsed().as_secs(), TIMING.renew_within.as_secs());
}

/// The holder may have renewed it at any time before it was answered.
#[tokio::test(start_paused = true)]
async fn the_age_of_anothers_lease_is_counted_from_the_answer_that_showed_it() {
    let slow = Slow { get: Duration::from_secs(6), ..Slow::default() };
    let theirs = json!({"metadata": {"name": "lease", "resourceVersion": "1"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15}});
    *slow.lease.lock().expect("nobody panicked") = Some(serde_json::from_value(theirs).expect("a Lease"));
    let mut leader = slow.leader();
    assert!(!leader.try_acquire().await.expect("it answers"));
    let seen = leader.seen.as_ref().expect("it was seen").at;
    assert_eq!(Instant::now(), seen, "nothing is awaited after the answer");
    assert!(!leader.try_acquire().await.expect("it answers"), "6 s after it was seen");
    assert!(!leader.try_acquire().await.expect("it answers"), "12 s after it was seen");
    let taking = timeout(Duration::from_secs(7), leader.try_acquire());
    assert!(taking.await.is_err(), "18 s after it was seen, it is taken, which this server never answers");
}
