//! The worker program: flags, logs, signals; the rest is in the library.
//!
//! It keeps the system's allocator: no passwords are hashed here, and mimalloc's huge pages alone would be 10 MiB of
//! an idle worker.

use clap::Parser as _;
use lifecycle::{
    admin::{self, Admin},
    listener, logs,
    shutdown::Shutdown,
};
use pipeline::Live;
use std::{io::Write as _, net::SocketAddr, process::ExitCode};
use tokio_util::sync::CancellationToken;
use worker::{
    config::{Command, Config},
    intents::{self, IntentsError},
    process::{Options, StartError, Worker},
    render::{self, RenderError},
    users::{self, UsersError},
};

/// The program cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("failed to load the configuration (--config, CONFIG)")]
    Configuration(#[from] pipeline::live::LoadError),
    #[error("failed to start the logs (observability.logLevel)")]
    Logs(#[from] logs::LogsError),
    #[error("failed to start the metrics")]
    Metrics(#[from] admin::BuildError),
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("failed to listen on {address}; choose another address with --admin or ADMIN_ADDR")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("failed to serve the admin port")]
    Admin(#[source] std::io::Error),
    #[error(transparent)]
    Intents(#[from] IntentsError),
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("failed to print")]
    Print(#[source] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only when a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    lifecycle::exit::code(run(Config::parse()).await)
}

async fn run(config: Config) -> Result<ExitCode, RunError> {
    if let Some(command) = &config.command {
        return act(&config, command).await;
    }
    let live = Live::open(&config.config)?;
    let observability = live.document().observability.clone();
    let logs = logs::start(&observability.log_level, observability.log_format)?;
    let shutdown = Shutdown::on_signals().map_err(RunError::Signals)?;
    let metrics = admin::record_metrics()?;
    let listener = listener::bind(config.admin);
    let listener = listener.map_err(|source| RunError::Listen { address: config.admin, source })?;
    let address = listener.local_addr().unwrap_or(config.admin);
    let worker = Worker::start(&live, Some(logs), Options::default())?;
    let (readiness, server) = (worker.readiness(), worker.identity());
    let admin = Admin::new(metrics, move || {
        let readiness = readiness.clone();
        async move { readiness.check().await.map(|()| "ok") }
    })
    .telling("/mail", worker.mail_report())
    .telling("/templates", worker.templates_report())
    .telling("/webhooks", worker.webhooks_report());
    let admin_stop = CancellationToken::new();
    let admin = admin.with_config(live).serve(listener, admin_stop.clone());
    tracing::info!(admin = %address, server, "listening");
    let (served, ()) = tokio::join!(admin, async {
        work(worker, &shutdown).await;
        admin_stop.cancel();
    });
    served.map_err(RunError::Admin)?;
    Ok(ExitCode::SUCCESS)
}

/// Does what is asked for instead of sending mails, and prints what came of it.
async fn act(config: &Config, command: &Command) -> Result<ExitCode, RunError> {
    let live = || Live::open(&config.config);
    let (text, code) = match command {
        Command::Intents(arguments) => intents::run(&live()?, arguments).await?,
        Command::Users(arguments) => users::run(&live()?, arguments).await?,
        // It blocks, and nothing else runs.
        Command::RenderMail(arguments) => (render::run(arguments)?, ExitCode::SUCCESS),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(RunError::Print)?;
    Ok(code)
}

/// Sends mails until the first signal, and ends in peace unless there is a second one.
async fn work(worker: Worker, shutdown: &Shutdown) {
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
}
