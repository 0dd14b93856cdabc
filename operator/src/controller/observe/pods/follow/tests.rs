use super::{super::Mail, *};
use axum::{Router, http::StatusCode, routing::get};
use lifecycle::admin::Admin;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use std::{
    num::NonZeroU16,
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

/// What the status has to tell in time.
const BOUND: Duration = Duration::from_secs(5);

fn pod(address: SocketAddr) -> Pod {
    let silent = Report { pod: "demo-worker-1".to_owned(), ..Report::default() };
    Pod { uid: "u".to_owned(), address, pipeline: Name::new("demo").within("app"), silent }
}

fn follow(address: SocketAddr) -> (Followed, Arc<Turns>) {
    let turns = Arc::new(Turns::new(NonZeroU16::MIN));
    let asker = Asker::new().expect("a client");
    (Followed::start(pod(address), (true, 0), asker, Arc::clone(&turns)), turns)
}

async fn reported(followed: &Followed, holds: impl Fn(&Report) -> bool) -> Report {
    let mut answer = followed.answer();
    let known = timeout(BOUND, answer.wait_for(|known| known.as_ref().is_some_and(&holds))).await;
    known.expect("it is reported in time").expect("it is followed").clone().expect("it is known")
}

/// A turn for the pipeline, which is over at once.
async fn turn(turns: &Turns) {
    let turn = timeout(BOUND, turns.next()).await.expect("it has a turn");
    assert_eq!(turn.name, Name::new("demo").within("app"));
    turns.ended(&turn.name, false);
}

/// The admin port of a worker, as lifecycle serves it.
struct Worker {
    address: SocketAddr,
    is_ready: Arc<AtomicBool>,
    mail: Arc<Mutex<Value>>,
}

impl Worker {
    async fn start() -> Self {
        let (is_ready, mail) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Value::Null)));
        let (asked, told) = (Arc::clone(&is_ready), Arc::clone(&mail));
        let admin = Admin::new(PrometheusBuilder::new().build_recorder().handle(), move || {
            let is_ready = asked.load(Ordering::SeqCst);
            async move { if is_ready { Ok("ok") } else { Err("Redis does not answer".to_owned()) } }
        });
        let admin = admin.telling("/mail", move || told.lock().clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(admin.serve(listener, CancellationToken::new()));
        Self { address, is_ready, mail }
    }
}

#[tokio::test]
async fn what_changes_in_a_pod_is_reported_in_time_with_a_turn_for_its_pipeline() {
    let worker = Worker::start().await;
    let (followed, turns) = follow(worker.address);
    let first = reported(&followed, |_| true).await;
    assert_eq!((first.ready, first.mail, first.hash), (Some(Ok(())), None, None));
    turn(&turns).await;
    worker.is_ready.store(false, Ordering::SeqCst);
    let lost = reported(&followed, |report| report.ready != Some(Ok(()))).await;
    assert_eq!(lost.ready, Some(Err("Redis does not answer".to_owned())));
    turn(&turns).await;
    *worker.mail.lock() = json!({"works": false, "phase": "auth", "said": "535 no", "fault": "helo"});
    let fails = reported(&followed, |report| report.mail.is_some()).await;
    let (said, fault) = (Some("535 no".to_owned()), Some("helo".to_owned()));
    assert_eq!(fails.mail, Some(Mail::Fails { phase: "auth".to_owned(), said, fault }));
    turn(&turns).await;
    *worker.mail.lock() = json!({"works": true, "connections": 3});
    reported(&followed, |report| report.mail == Some(Mail::Works { connections: Some(3) })).await;
}

fn serve(listener: TcpListener, routes: Router) {
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

#[tokio::test]
async fn a_pod_without_state_is_asked_as_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let readyz = move || async move {
        if asked.load(Ordering::SeqCst) {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "starting")
        }
    };
    let routes = Router::new().route("/config", get(|| async { r#"{"hash":"1"}"# })).route("/readyz", get(readyz));
    serve(listener, routes);
    let (followed, turns) = follow(address);
    let first = reported(&followed, |_| true).await;
    assert_eq!((first.hash.as_deref(), first.ready), (Some("1"), Some(Err("starting".to_owned()))));
    turn(&turns).await;
    ready.store(true, Ordering::SeqCst);
    reported(&followed, |report| report.ready == Some(Ok(()))).await;
}

#[tokio::test]
async fn a_pod_that_does_not_answer_is_told_as_such_and_asked_when_the_kubelet_has_news() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let (followed, _turns) = follow(address);
    assert_eq!(reported(&followed, |_| true).await, pod(address).silent);
    let listener = TcpListener::bind(address).await.expect("it is free");
    serve(listener, Router::new().route("/readyz", get(|| async { "ok" })));
    followed.see((true, 1));
    reported(&followed, |report| report.ready == Some(Ok(()))).await;
}
