//! The program: starts the parts in order, runs until stopped, stops them in order.
//!
//! Takes: a [`Config`]. Gives: both interfaces and the admin port, listening before PostgreSQL or Redis answer.
//! Does not: decide anything about a signup.
//!
//! Order of the stop: no new connections; requests under way are answered; then relay and sweeper end, because answered
//! signups may still be handed over; the admin port goes last, so probes see the whole stop.

use crate::{
    accept::{self, Protocol},
    config::Config,
    grpc,
    keyring::Keyring,
    relay::Relay,
    router, schema,
    service::Service,
    signup_limit::SignupLimit,
    sweeper::Sweeper,
};
use lifecycle::{admin, admin::Admin, logs, logs::Logs, shutdown::Shutdown};
use pipeline::{Document, Live, secret};
use secrecy::ExposeSecret as _;
use signup::{Store, password::Hashing};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often the gRPC health service learns of a change.
const HEALTH_POLL: Duration = Duration::from_secs(2);

/// How long the hashing pool may be unused before its memory (19 MiB a core) is given back; up to twice that.
const HASHING_REST: Duration = Duration::from_secs(2);

/// Time relay and sweeper get to end what they hold; PostgreSQL rolls back what they leave.
const BACKGROUND_DRAIN: Duration = Duration::from_secs(5);

/// The program could not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says what failed; its fields are the cause and what it concerns")]
pub enum StartError {
    #[error("failed to load the configuration (--config, CONFIG)")]
    Configuration(#[from] pipeline::live::LoadError),
    #[error("failed to start the logs (observability.logLevel)")]
    Logs(#[from] logs::LogsError),
    #[error("failed to start the metrics")]
    Metrics(#[from] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("failed to read a secret")]
    Secret(#[from] secret::SecretError),
    #[error("failed to read the certificate {}", path.display())]
    Certificate { path: PathBuf, source: std::io::Error },
    #[error("failed to use the database URI of database.uriFile")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to use the Redis URI of redis.uriFile")]
    Redis(#[source] queue::Error),
    #[error("failed to load the verification keys of verification.keysDir")]
    Keys(#[from] signup::verification::KeysError),
    #[error("failed to listen on {address}; choose another address with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: std::io::Error },
    #[error("failed to build the gRPC interface")]
    Grpc(#[from] grpc::ReflectionError),
}

/// The three bound listeners.
struct Listeners {
    http: TcpListener,
    grpc: TcpListener,
    admin: TcpListener,
}

/// Runs until SIGTERM or SIGINT. Needs a Tokio runtime and an installed rustls provider.
///
/// # Errors
///
/// [`StartError`], before anything is served; afterwards trouble is logged and lived with.
pub async fn run(config: Config) -> Result<(), StartError> {
    let live = Live::open(&config.config)?;
    let document = live.document();
    let logs = logs::start(&document.observability.log_level, document.observability.log_format)?;
    let metrics = admin::record_metrics().map_err(|error| StartError::Metrics(Box::new(error)))?;
    let shutdown = Shutdown::on_signals().map_err(StartError::Signals)?;
    let listeners = listen(&config).await?;

    let store = connect_store(&document)?;
    let client = queue::Client::new(connect_redis(&document)?);
    let keyring = Arc::new(Keyring::load(&document.verification.keys_dir)?);
    let (schema_sender, schema_ready) = watch::channel(false);
    let relay = Arc::new(Relay::new(store.clone(), client.clone()));
    let hashing = hashing(&config);
    let service = Arc::new(Service {
        live: live.clone(),
        store: store.clone(),
        hashing: hashing.clone(),
        keyring: Arc::clone(&keyring),
        relay: Arc::clone(&relay),
        limit: SignupLimit::default(),
        schema_ready: schema_ready.clone(),
    });
    let http_routes = router::routes(Arc::clone(&service));
    let (grpc_routes, health) = grpc::routes(service)?;
    grpc::report(&health, false).await;

    let (admin_stop, background_stop) = (CancellationToken::new(), CancellationToken::new());
    let admin = Admin::new(live.clone(), metrics, {
        let (store, schema_ready) = (store.clone(), schema_ready.clone());
        move || {
            let (store, schema_ready) = (store.clone(), schema_ready.clone());
            async move { schema::readiness(&store, &schema_ready).await }
        }
    });
    let background = TaskTracker::new();
    tokio::spawn(admin.serve(listeners.admin, admin_stop.clone()));
    tokio::spawn(follow(live, logs, keyring));
    tokio::spawn(release_memory(hashing));
    tokio::spawn(report_health(store.clone(), schema_ready, health));
    background.spawn({
        let stop = background_stop.clone();
        let migrations = document.database.migrations;
        async move {
            tokio::select! {
                () = schema::prepare(store.clone(), migrations, schema_sender) => {}
                () = stop.cancelled() => return,
            }
            let sweeper = Sweeper::new(store, client);
            tokio::join!(relay.run(stop.clone()), sweeper.run(stop));
        }
    });

    let tokens = (shutdown.soft(), shutdown.hard());
    tokio::join!(
        interface("HTTP gateway", Protocol::Http1, listeners.http, http_routes, config.max_connections, tokens.clone()),
        interface("gRPC", Protocol::Http2, listeners.grpc, grpc_routes, config.max_connections, tokens),
    );
    background.close();
    background_stop.cancel();
    if tokio::time::timeout(BACKGROUND_DRAIN, background.wait()).await.is_err() {
        tracing::warn!("relay or sweeper did not end in time; PostgreSQL rolls back what they held");
    }
    admin_stop.cancel();
    Ok(())
}

/// Binds all addresses before anything is served, and tells which ports port 0 became.
async fn listen(config: &Config) -> Result<Listeners, StartError> {
    let bind = async |address: SocketAddr, option| {
        TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, option, source })
    };
    let listeners = Listeners {
        http: bind(config.http_addr, "--http or HTTP_ADDR").await?,
        grpc: bind(config.grpc_addr, "--grpc or GRPC_ADDR").await?,
        admin: bind(config.admin_addr, "--admin or ADMIN_ADDR").await?,
    };
    tracing::info!(
        http = bound(&listeners.http),
        grpc = bound(&listeners.grpc),
        admin = bound(&listeners.admin),
        "listening"
    );
    Ok(listeners)
}

fn bound(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

fn connect_store(document: &Document) -> Result<Store, StartError> {
    let database = &document.database;
    let uri = secret::read(&database.uri_file)?;
    Store::connect(uri.expose_secret(), database.ca_file.as_deref(), database.max_connections_per_pod)
        .map_err(|error| StartError::Database(Box::new(error)))
}

fn connect_redis(document: &Document) -> Result<queue::Connection, StartError> {
    let uri = secret::read(&document.redis.uri_file)?;
    let ca = match &document.redis.ca_file {
        Some(path) => {
            let read = std::fs::read(path);
            Some(read.map_err(|source| StartError::Certificate { path: path.clone(), source })?)
        }
        None => None,
    };
    queue::Connection::open(uri.expose_secret(), ca.as_deref()).map_err(StartError::Redis)
}

fn hashing(config: &Config) -> Hashing {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Hashing::new(cores, cores * config.max_waiting_per_core as usize)
}

/// One interface, from its start line to its stop lines, in the Go program's words.
async fn interface(
    name: &str,
    protocol: Protocol,
    listener: TcpListener,
    routes: axum::Router,
    max_connections: u32,
    (stop, hard): (CancellationToken, CancellationToken),
) {
    tracing::info!("start {name} server at {}", bound(&listener));
    let said = async {
        stop.cancelled().await;
        tracing::info!("graceful shutdown {name} server");
    };
    tokio::join!(said, accept::serve(listener, protocol, routes, max_connections, (stop.clone(), hard)));
    tracing::info!("{name} server is stopped");
}

/// Applies what each change of the document or a secret means for this process; the rest is asked anew by each request.
async fn follow(mut live: Live, logs: Logs, keyring: Arc<Keyring>) {
    while let Some(loaded) = live.changed().await {
        keyring.reload(&loaded.document.verification.keys_dir);
        if let Err(error) = logs.set_level(&loaded.document.observability.log_level) {
            tracing::error!(%error, "failed to apply observability.logLevel, the previous level stays");
        }
    }
}

async fn release_memory(hashing: Hashing) {
    let mut tick = tokio::time::interval(HASHING_REST);
    loop {
        tick.tick().await;
        hashing.release_unused();
    }
}

async fn report_health(
    store: Store,
    schema_ready: watch::Receiver<bool>,
    health: tonic_health::server::HealthReporter,
) {
    let mut tick = tokio::time::interval(HEALTH_POLL);
    loop {
        tick.tick().await;
        grpc::report(&health, schema::readiness(&store, &schema_ready).await.is_ok()).await;
    }
}
