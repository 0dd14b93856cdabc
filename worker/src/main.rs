//! The worker program: flags, logs, signals; the rest is in the library.
//!
//! It keeps the system's allocator: no passwords are hashed here, and mimalloc's huge pages alone would be 10 MiB of
//! an idle worker.

use anyhow::Context as _;
use clap::Parser as _;
use lifecycle::{
    admin::{self, Admin},
    logs,
    shutdown::Shutdown,
};
use pipeline::Live;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker::{
    config::Config,
    process::{Options, Worker},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::parse();
    let live = Live::open(&config.config)?;
    let observability = live.document().observability.clone();
    let logs = logs::start(&observability.log_level, observability.log_format)?;
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    let metrics = admin::record_metrics()?;
    let listener =
        TcpListener::bind(config.admin).await.with_context(|| format!("failed to listen on {}", config.admin))?;
    let address = listener.local_addr()?;
    let worker = Worker::start(&live, Some(logs), Options::default())?;
    let readiness = worker.readiness();
    let admin = Admin::new(live, metrics, move || {
        let readiness = readiness.clone();
        async move { readiness.check().await }
    });
    let admin_stop = CancellationToken::new();
    let admin = tokio::spawn(admin.serve(listener, admin_stop.clone()));
    tracing::info!(admin = %address, "listening");
    tracing::info!("start task processor");
    shutdown.soft().cancelled().await;
    tracing::info!(running = worker.running(), "graceful shutdown task processor");
    let hard = shutdown.hard();
    tokio::select! {
        report = worker.shutdown() => {
            tracing::info!(finished = report.finished, requeued = report.requeued, "task processor is stopped");
        }
        () = hard.cancelled() => tracing::warn!("task processor is stopped at once"),
    }
    admin_stop.cancel();
    admin.await?.context("failed to serve the admin port")
}
