//! The admin port: health, metrics, and the configuration in force.
//!
//! Takes: a listener, the metrics, a readiness check, and the live configuration of a process that has one. Gives: `GET
//! /livez` (the process serves), `GET /readyz` (it can do its own job; 503 with the reason otherwise), `GET /metrics`
//! (Prometheus text), `GET /config` (the hash in force; 404 without a configuration), what else the program tells, as
//! JSON, and `GET /state` (all of it but the metrics, held until it changes: `state`). Does not: authenticate; the port
//! is for the kubelet, Prometheus and the operator and is never part of a Service for users.

mod state;

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use metrics_exporter_prometheus::BuildError;

/// Upkeep of histograms; without it they grow until somebody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Seconds; 0.5 ms to 2 min in steps of about 2.5, which covers a queue round trip as well as a slow mail server.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// A word for the probe's answer, or what is missing.
type Readiness = Result<&'static str, String>;

type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Readiness> + Send>> + Send + Sync>;

/// What the admin port answers about a process.
#[derive(Clone)]
pub struct Admin {
    metrics: PrometheusHandle,
    /// Metrics that are made when somebody asks.
    gauges: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    ready: Ready,
    live: Option<pipeline::Live>,
    /// Paths of the program's own.
    own: Router<Self>,
    /// What they tell, by name.
    told: Vec<(&'static str, Tell)>,
}

type Tell = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Body of `GET /config`.
#[derive(Debug, Serialize)]
struct Config {
    /// Hash of the `pipeline.yaml` in force.
    hash: String,
    /// Why a newer file was refused; absent when the newest is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Config {
    fn of(loaded: pipeline::live::Loaded) -> Self {
        Self { hash: loaded.hash, refused: loaded.refused }
    }
}

/// Installs the metrics recorder of this process and keeps its histograms small. Needs a Tokio runtime.
///
/// # Errors
///
/// [`BuildError`] when a recorder is already installed.
pub fn record_metrics() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

impl Admin {
    /// `ready` answers whether the process can do its own job: with a word, `ok` where there is no better one, or with
    /// what is missing (no secrets: it is shown to anyone).
    pub fn new<F>(metrics: PrometheusHandle, ready: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Readiness> + Send + 'static,
    {
        let ready: Ready = Arc::new(move || Box::pin(ready()));
        Self { metrics, gauges: None, ready, live: None, own: Router::new(), told: Vec::new() }
    }

    /// Adds to `/metrics` what `render` gives then, in Prometheus' text format.
    #[must_use]
    pub fn with_gauges(self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { gauges: Some(Arc::new(render)), ..self }
    }

    /// Serves `/config` too.
    #[must_use]
    pub fn with_config(self, live: pipeline::Live) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Also answers `GET` at `path` with what `tell` gives then, as JSON (no secrets: it is shown to anyone).
    #[must_use]
    pub fn telling<T: Serialize + Send + 'static>(
        mut self,
        path: &'static str,
        tell: impl Fn() -> T + Clone + Send + Sync + 'static,
    ) -> Self {
        let again = tell.clone();
        self.told.push((path.trim_start_matches('/'), Arc::new(move || json(again()))));
        self.own = self.own.route(path, get(move || std::future::ready(Json(tell()))));
        self
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    ///
    /// The operating system's, when the listener breaks.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        tokio::select! {
            served = axum::serve(listener, self.router()).into_future() => served,
            () = stop.cancelled() => Ok(()),
        }
    }

    fn rendered(&self) -> String {
        let gauges = self.gauges.as_ref().map(|render| render()).unwrap_or_default();
        self.metrics.render() + &gauges
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(|State(admin): State<Self>| async move { admin.rendered() }))
            .route("/config", get(config))
            .route("/state", get(state::state))
            .merge(self.own.clone())
            .with_state(self)
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    match (admin.ready)().await {
        Ok(word) => (StatusCode::OK, format!("{word}\n")),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")),
    }
}

async fn config(State(admin): State<Admin>) -> Result<Json<Config>, StatusCode> {
    Ok(Json(Config::of(admin.live.ok_or(StatusCode::NOT_FOUND)?.now())))
}

/// Null for what cannot be written as JSON, which no program tells.
fn json(told: impl Serialize) -> serde_json::Value {
    serde_json::to_value(told).unwrap_or_default()
}
