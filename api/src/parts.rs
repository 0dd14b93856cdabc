//! The parts of the program, opened from its configuration.
//!
//! Takes: a [`Config`]. Gives: the [`Parts`], or the one that cannot be opened, with the flag or field to change.
//! Does not: wait for PostgreSQL or Redis; both connect at their first use.

use crate::{config::Config, denied_domains::DeniedDomains, grpc, keyring::Keyring};
use lifecycle::{admin, listener, logs, logs::Logs, shutdown::Shutdown};
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::Live;
use queue::Certificates;
use secrecy::ExposeSecret as _;
use signup::{Hashing, Store};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// The program could not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says what failed; its fields are the cause and what it concerns")]
pub enum StartError {
    #[error("failed to load the configuration (--config, CONFIG)")]
    Configuration(#[from] pipeline::live::LoadError),
    #[error("failed to start the logs (observability.logLevel)")]
    Logs(#[from] logs::LogsError),
    #[error("failed to start the metrics")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("failed to use the database URI of database.uriFile")]
    Database(#[from] signup::StoreError),
    #[error("failed to read the secrets of redis")]
    RedisFiles(#[from] pipeline::secret::SecretError),
    #[error("failed to use the Redis URI of redis.uriFile")]
    Redis(#[from] queue::Error),
    #[error("failed to load the verification keys of verification.keysDir")]
    Keys(#[from] signup::verification::KeysError),
    #[error("failed to listen on {address}; choose another address with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: std::io::Error },
    #[error("failed to start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("failed to build the gRPC interface")]
    Grpc(#[from] grpc::ReflectionError),
}

/// Everything that is opened once.
pub(crate) struct Parts {
    pub(crate) live: Live,
    pub(crate) logs: Logs,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) shutdown: Shutdown,
    pub(crate) listeners: Listeners,
    pub(crate) store: Store,
    pub(crate) client: queue::Client,
    /// The api processes of this pipeline.
    pub(crate) fleet: queue::Fleet,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) denied_domains: Arc<DeniedDomains>,
    pub(crate) hashing: Hashing,
}

/// The three bound listeners.
pub(crate) struct Listeners {
    pub(crate) http: TcpListener,
    pub(crate) grpc: TcpListener,
    pub(crate) admin: TcpListener,
}

impl Parts {
    /// Opens all of them; the log begins here.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub(crate) async fn open(config: &Config) -> Result<Self, StartError> {
        let live = Live::open(&config.config)?;
        let document = live.document();
        let logs = logs::start(&document.observability.log_level, document.observability.log_format)?;
        let denied_domains = Arc::new(DeniedDomains::default());
        denied_domains.reload(document.signup.email_domains.deny_list_dir.as_deref());
        let redis = document.redis.read()?;
        let certificates = Certificates { authority: redis.authority.as_deref(), client: redis.client() };
        let redis = queue::Connection::open_with(redis.uri.expose_secret(), certificates)?;
        Ok(Self {
            metrics: admin::record_metrics()?,
            shutdown: Shutdown::on_signals().map_err(StartError::Signals)?,
            store: Store::open(&document.database)?,
            fleet: queue::Fleet::new(redis.clone(), &document.pipeline),
            client: queue::Client::new(redis),
            keyring: Arc::new(Keyring::load(&document.verification.keys_dir)?),
            denied_domains,
            hashing: hashing(config),
            listeners: Listeners::bind(config)?,
            live,
            logs,
        })
    }
}

impl Listeners {
    /// Binds all addresses before anything is served, and logs which ports port 0 became.
    fn bind(config: &Config) -> Result<Self, StartError> {
        let bind =
            |address, option| listener::bind(address).map_err(|source| StartError::Listen { address, option, source });
        let listeners = Self {
            http: bind(config.http, "--http or HTTP_ADDR")?,
            grpc: bind(config.grpc, "--grpc or GRPC_ADDR")?,
            admin: bind(config.admin, "--admin or ADMIN_ADDR")?,
        };
        let (http, grpc, admin) = (bound(&listeners.http), bound(&listeners.grpc), bound(&listeners.admin));
        tracing::info!(http, grpc, admin, "listening");
        Ok(listeners)
    }
}

/// The address a listener is bound to, with the port that the kernel chose for port 0.
pub(crate) fn bound(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

fn hashing(config: &Config) -> Hashing {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Hashing::new(cores, cores * config.max_waiting_per_core as usize)
}
