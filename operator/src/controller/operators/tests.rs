//! When another operator counts as gone, on a clock that moves only when everybody waits.

use super::*;
use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::get};
use parking_lot::Mutex;
use tokio::time::sleep;

/// An API server with one Lease, or the status that it answers instead.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Option<serde_json::Value>>>);

impl Server {
    /// The Lease as that version, with or without a holder.
    fn lease(&self, version: u32, holder: Option<&str>) {
        let metadata = json!({"name": "lease", "resourceVersion": version.to_string()});
        *self.0.lock() = Some(json!({"metadata": metadata, "spec": {"holderIdentity": holder}}));
    }

    fn refuse(&self, reason: &str, code: u16) {
        *self.0.lock() = Some(json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code}));
    }

    fn operators(&self) -> Operators {
        let answer = self.clone();
        let read = get(async move || {
            let body = answer.0.lock().clone().expect("it was set");
            let code = body["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
            (StatusCode::from_u16(code).expect("a status"), Json(body)).into_response()
        });
        let server = Router::new().route("/apis/coordination.k8s.io/v1/namespaces/system/leases/lease", read);
        Operators::new(Client::new(server, "app"), "here/lease".to_owned(), TAKE_OVER_AFTER)
    }
}

async fn is_gone(operators: &Operators) -> Option<bool> {
    operators.is_gone("system/lease").await.expect("it answers")
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_gone_when_its_lease_was_held_by_nobody_for_half_a_minute_and_not_before() {
    let (server, mut version) = (Server::default(), 0);
    let operators = server.operators();
    for _ in 0..20 {
        version += 1;
        server.lease(version, Some("pod"));
        assert_eq!(is_gone(&operators).await, Some(false), "it is renewed");
        sleep(operators.interval()).await;
    }
    // An upgrade: given up, and held by a pod of another name 20 s later.
    server.lease(version + 1, None);
    for _ in 0..2 {
        assert_eq!(is_gone(&operators).await, Some(false), "an upgrade takes its time");
        sleep(operators.interval()).await;
    }
    server.lease(version + 2, Some("next"));
    assert_eq!(is_gone(&operators).await, Some(false));
    // It crashed for good, or was removed with its Lease.
    for step in 0..4 {
        sleep(operators.interval()).await;
        if step == 1 {
            server.refuse("NotFound", 404);
        }
        assert_eq!(is_gone(&operators).await, Some(step == 3), "after {} s", 10 * (step + 1));
    }
    server.lease(version + 3, Some("back"));
    sleep(operators.interval()).await;
    assert_eq!(is_gone(&operators).await, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_not_be_read_has_not_ended_and_counts_anew_once_it_may() {
    let server = Server::default();
    let operators = server.operators();
    server.refuse("Forbidden", 403);
    for _ in 0..5 {
        assert_eq!(is_gone(&operators).await, None);
        sleep(TAKE_OVER_AFTER).await;
    }
    server.refuse("NotFound", 404);
    assert_eq!(is_gone(&operators).await, Some(false));
    sleep(TAKE_OVER_AFTER + Duration::from_millis(1)).await;
    assert_eq!(is_gone(&operators).await, Some(true));
    assert_eq!(operators.is_gone("no identity").await.expect("nothing is asked"), Some(true));
}
