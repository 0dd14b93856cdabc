//! The state of a process is answered at once, or as soon as it is another than the asker knows.

use super::admin::write;
use lifecycle::admin::Admin;
use metrics_exporter_prometheus::PrometheusBuilder;
use pipeline::sample::TEXT;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// Far above what an answer takes.
const LONG: u64 = 60;

struct Process {
    base: String,
    missing: Arc<Mutex<Option<String>>>,
    mail: Arc<Mutex<Value>>,
    /// How often it was asked whether it is ready.
    looks: watch::Receiver<usize>,
}

impl Process {
    async fn start(live: Option<pipeline::Live>) -> Self {
        let (missing, mail) = (Arc::new(Mutex::new(None::<String>)), Arc::new(Mutex::new(Value::Null)));
        let (asked, told) = (Arc::clone(&missing), Arc::clone(&mail));
        let (count, looks) = watch::channel(0);
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let admin = Admin::new(metrics, move || {
            let missing = asked.lock().expect("nobody panicked").clone();
            count.send_modify(|looks| *looks += 1);
            async move { missing.map_or(Ok("ok"), Err) }
        });
        let admin = admin.telling("/mail", move || told.lock().expect("nobody panicked").clone());
        let admin = match live {
            Some(live) => admin.with_config(live),
            None => admin,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(admin.serve(listener, CancellationToken::new()));
        Self { base, missing, mail, looks }
    }

    /// The answer to a request that is held when `change` happens, without its version, and the version.
    async fn held(&self, since: &str, change: impl FnOnce()) -> (Value, String) {
        let mut looks = self.looks.clone();
        let before = *looks.borrow_and_update();
        let after_a_look = async {
            looks.wait_for(|looks| *looks > before).await.expect("it serves");
            change();
        };
        tokio::join!(self.state(since, LONG), after_a_look).0
    }

    /// The answer without its version, and the version.
    async fn state(&self, since: &str, wait: u64) -> (Value, String) {
        let query = [("since", since), ("wait", &wait.to_string())];
        let request = reqwest::Client::new().get(format!("{}/state", self.base)).query(&query);
        let text = request.send().await.expect("an answer").text().await.expect("a body");
        let mut state: Value = serde_json::from_str(&text).expect("JSON");
        let version = state.as_object_mut().and_then(|state| state.remove("version")).expect("it has one");
        (state, version.as_str().expect("a text").to_owned())
    }
}

#[tokio::test]
async fn a_request_is_held_until_readiness_or_what_the_program_tells_changes() {
    let process = Process::start(None).await;
    let (state, version) = process.state("", LONG).await;
    assert_eq!(state, json!({"ready": true, "mail": null}));
    let change = || *process.missing.lock().expect("nobody panicked") = Some("Redis does not answer".to_owned());
    let (state, lost) = process.held(&version, change).await;
    assert_eq!(state, json!({"ready": false, "missing": "Redis does not answer", "mail": null}));
    let fails = json!({"works": false, "phase": "auth"});
    let (state, _) = process.held(&lost, || *process.mail.lock().expect("nobody panicked") = fails.clone()).await;
    assert_eq!(state["mail"], fails);
}

#[tokio::test]
async fn a_new_configuration_is_told_and_nothing_new_is_told_when_the_time_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    write(&path, TEXT);
    let live = pipeline::Live::open(&path).expect("a valid document");
    let process = Process::start(Some(live.clone())).await;
    let (state, version) = process.state("", LONG).await;
    let first = live.now().hash;
    assert_eq!(state["config"], json!({"hash": first}));
    let began = Instant::now();
    assert_eq!(process.state(&version, 1).await, (state, version.clone()));
    assert!(began.elapsed() >= Duration::from_secs(1), "it was held");
    let (state, _) = process.held(&version, || write(&path, &TEXT.replace("delay: 10s", "delay: 1s"))).await;
    assert_ne!(live.now().hash, first);
    assert_eq!(state["config"], json!({"hash": live.now().hash}));
}
