//! A number meets what others write at that moment, on an API server that knows one Deployment.

use super::*;
use http_body_util::BodyExt as _;
use hyper::{Method, Request, Response};
use kube::{Client, client::Body};
use parking_lot::Mutex;
use serde_json::Value;
use std::{convert::Infallible, sync::Arc};

/// The Deployment, and what somebody else writes before each of the next patches.
#[derive(Clone)]
struct Cluster(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u32,
    generation: i64,
    replicas: u32,
    others: Vec<Other>,
    is_owned: bool,
    reads: usize,
    refused: usize,
    written: Vec<u64>,
}

#[derive(Clone, Copy)]
enum Other {
    Status,
    Template,
    Number,
}

impl Cluster {
    fn deployments(&self) -> Api<Deployment> {
        let cluster = self.clone();
        let service = tower::service_fn(move |request| cluster.clone().answer(request));
        Api::namespaced(Client::new(service, "shop"), "shop")
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let is_read = request.method() == Method::GET;
        let body = request.into_body().collect().await.expect("it is whole").to_bytes();
        let mut state = self.0.lock();
        let (code, answer) =
            if is_read { state.read() } else { state.patch(&serde_json::from_slice(&body).expect("JSON")) };
        let answer = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
        Ok(answer.expect("it is one"))
    }
}

impl State {
    fn read(&mut self) -> (u16, Value) {
        self.reads += 1;
        let metadata = json!({
            "name": "demo-worker", "resourceVersion": self.version.to_string(), "generation": self.generation,
        });
        let spec = json!({"replicas": self.replicas, "selector": {}, "template": {}});
        (200, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}))
    }

    fn patch(&mut self, scale: &Value) -> (u16, Value) {
        if let Some(other) = self.others.pop() {
            self.version += 1;
            self.generation += i64::from(!matches!(other, Other::Status));
            self.replicas += u32::from(matches!(other, Other::Number));
        }
        let refuse = |causes: Value| {
            let details = json!({"causes": causes});
            (409, json!({"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "details": details}))
        };
        let is_stale = scale["metadata"]["resourceVersion"] != json!(self.version.to_string());
        if is_stale || self.is_owned {
            self.refused += 1;
            return refuse(if is_stale { json!([]) } else { json!([{"reason": "FieldManagerConflict"}]) });
        }
        self.version += 1;
        self.written.push(scale["spec"]["replicas"].as_u64().expect("a number"));
        let metadata = json!({"name": "demo-worker", "resourceVersion": self.version.to_string()});
        (200, json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": scale["spec"]}))
    }
}

/// 50 pods, decided on 20 of version 7 and generation 3.
async fn write(cluster: &Cluster, generation: Option<i64>) -> Result<Option<String>, kube::Error> {
    let decided_on = DecidedOn { version: "7", replicas: 20, generation };
    write_decided(&cluster.deployments(), "demo-worker", 50, decided_on, false).await
}

fn cluster(others: &[Other]) -> Cluster {
    let state = State { version: 7, generation: 3, replicas: 20, others: others.to_vec(), ..State::default() };
    Cluster(Arc::new(Mutex::new(state)))
}

fn is_conflict(written: &Result<Option<String>, kube::Error>) -> bool {
    matches!(written, Err(kube::Error::Api(status)) if status.is_conflict())
}

#[tokio::test]
async fn a_number_is_written_once_although_the_status_changes_under_each_try() {
    for generation in [Some(3), None] {
        let cluster = cluster(&[Other::Status; 12]);
        let version = write(&cluster, generation).await.expect("it is written");
        let state = cluster.0.lock();
        assert_eq!((version.as_deref(), &*state.written, state.refused), (Some("20"), &[50][..], 12));
    }
}

#[tokio::test]
async fn where_more_than_the_status_has_changed_nothing_is_written() {
    for (other, generation) in [(Other::Template, Some(3)), (Other::Number, Some(3)), (Other::Number, None)] {
        let cluster = cluster(&[other]);
        assert!(is_conflict(&write(&cluster, generation).await));
        let state = cluster.0.lock();
        assert_eq!((state.written.len(), state.reads), (0, 1), "it is decided anew");
    }
}

#[tokio::test]
async fn a_number_that_is_somebody_else_s_is_told_at_once_and_a_status_that_never_rests_after_a_while() {
    let owned = cluster(&[]);
    owned.0.lock().is_owned = true;
    assert!(is_conflict(&write(&owned, Some(3)).await));
    assert_eq!(owned.0.lock().reads, 0);
    let restless = cluster(&[Other::Status; 50]);
    assert!(is_conflict(&write(&restless, Some(3)).await));
    assert_eq!(restless.0.lock().reads, MAX_STATUSES);
}
