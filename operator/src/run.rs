//! `operator run`: the operator in a cluster.
//!
//! Takes: flags, and the cluster that the environment names (in a pod its service account, else KUBECONFIG). Gives: one
//! working operator among all that run, until SIGTERM or SIGINT. Does not: install the CRD; the chart does.

mod client;

use crate::{
    controller::{
        self, Scope, counted,
        gauges::Gauges,
        observe::named::{self, SecretAccess},
        operators::TAKE_OVER_AFTER,
    },
    leader::{Leader, Timing},
};
use clap::ArgAction;
use lifecycle::{admin::Admin, shutdown::Shutdown};
use metrics_exporter_prometheus::PrometheusHandle;
use pipeline::document::LogFormat;
use std::{
    net::SocketAddr,
    num::NonZeroU16,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Image of api and worker when neither the pipeline nor a flag names one.
pub const IMAGE: &str = concat!("localhost/signup:", env!("CARGO_PKG_VERSION"));

/// How long reconciles under way may take to end after SIGTERM, so that time is left to give the Lease up before the
/// kubelet kills the pod (30 s): an API server that does not answer would hold them for longer.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// Flags of `operator run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The one namespace to work in. Absent: all of them.
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
    /// Image of the pods of pipelines that name none: the operator's own.
    #[arg(long, env = "SIGNUP_IMAGE", value_name = "IMAGE", default_value = IMAGE)]
    pub image: String,
    /// Name of this process in the Lease and in events; the pod's name in a cluster.
    #[arg(long, env = "POD_NAME", value_name = "NAME", default_value = "operator")]
    pub identity: String,
    /// Namespace of the Lease. Absent: the service account's, or the kubeconfig's.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Name of the Lease; operators of different scopes need different ones.
    #[arg(long, env = "LEASE_NAME", value_name = "NAME", default_value = "signup-operator")]
    pub lease_name: String,
    /// How changes of Secrets are found out: by reading those that are named once a minute and when something hints at
    /// a change, or by a watch on the metadata of all of them, which takes the rights `list` and `watch`.
    #[arg(long, env = "SECRETS_ACCESS", value_name = "ACCESS", default_value = "get")]
    pub secrets_access: Access,
    /// Reconciles at once, each with a connection to the API server.
    #[arg(long, env = "CONCURRENCY", value_name = "NUMBER", default_value = "16")]
    pub concurrency: NonZeroU16,
    /// Whether /metrics has gauges of each pipeline: tasks by queue, workers wanted.
    #[arg(long, env = "PIPELINE_METRICS", value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub pipeline_metrics: bool,
    /// Where /livez, /readyz and /metrics are served; `[::]` and `0.0.0.0` both mean every address, of IPv6 and IPv4.
    /// Port 0 takes a free one.
    #[arg(long, env = "ADMIN_ADDR", value_name = "ADDR", default_value = "[::]:8081")]
    pub admin: SocketAddr,
    /// `error`, `warn`, `info`, `debug`, or with exceptions: `info,operator=debug`.
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// Shape of the log lines.
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    pub log_format: Format,
}

/// How changes of Secrets are found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// Each named Secret is read once a minute, and when something hints at a change.
    Get,
    /// The metadata of all Secrets are watched.
    Watch,
}

impl From<Access> for SecretAccess {
    fn from(access: Access) -> Self {
        match access {
            Access::Get => Self::Get { every: named::INTERVAL },
            Access::Watch => Self::Watch,
        }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Text => Self::Text,
        }
    }
}

/// The operator cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log level is none.
    #[error(transparent)]
    Logs(#[from] lifecycle::logs::LogsError),
    /// There is no cluster to talk to.
    #[error("failed to find a cluster; set KUBECONFIG, or run it in a pod with a service account")]
    Cluster(#[source] Box<kube::Error>),
    /// Something of the process cannot be set up.
    #[error("failed to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The operating system has no random bytes.
    #[error("failed to get random bytes")]
    Random(#[source] getrandom::Error),
    /// The client for the pods' admin ports cannot be set up.
    #[error("failed to set up the HTTP client")]
    Http(#[from] reqwest::Error),
    /// The metrics cannot be recorded.
    #[error("failed to record metrics")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// Another operator may be the leader from now on.
    #[error("lost the Lease; ending, so that two operators never work at once")]
    LeaseLost,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// [`RunError`]. After [`RunError::LeaseLost`] the process has to end.
pub async fn run(options: Options) -> Result<(), RunError> {
    let _logs = lifecycle::logs::start(&options.log_level, options.log_format.into())?;
    let metrics = lifecycle::admin::record_metrics()?;
    let io = |action| move |source| RunError::Io { action, source };
    let shutdown = Shutdown::on_signals().map_err(io("listen for signals"))?;
    let client = client::new().await.map_err(|error| RunError::Cluster(Box::new(error)))?;
    let listener = lifecycle::listener::bind(options.admin).map_err(io("listen on the admin address"))?;
    tracing::info!(admin = listener.local_addr().ok().map(tracing::field::display), "listening");
    let (leads, gauges) = (Arc::<AtomicBool>::default(), options.pipeline_metrics.then(Arc::<Gauges>::default));
    tokio::spawn(serve(admin(metrics, Arc::clone(&leads), gauges.clone()), listener));

    let namespace = options.lease_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let (identity, operator) = (unique(&options.identity)?, format!("{namespace}/{}", options.lease_name));
    let mut leader = Leader::new(client.clone(), &namespace, &options.lease_name, &identity, Timing::default());
    let stop = shutdown.soft();
    tokio::select! {
        () = leader.acquire() => {}
        () = stop.cancelled() => return Ok(()),
    }
    leads.store(true, Ordering::Relaxed);
    tracing::info!(lease = options.lease_name, identity, namespace, "leading");
    let Options { namespace, image, concurrency, secrets_access, .. } = options;
    let scope = Scope {
        namespace,
        image,
        identity,
        concurrency,
        secrets: secrets_access.into(),
        gauges,
        operator,
        take_over_after: TAKE_OVER_AFTER,
    };
    tokio::select! {
        ended = controller::run(client, scope, stop.clone().cancelled_owned()) => ended?,
        () = leader.hold() => return Err(RunError::LeaseLost),
        () = shutdown.limit(GRACE_PERIOD) => {}
    }
    leader.step_down().await;
    Ok(())
}

fn admin(metrics: PrometheusHandle, leads: Arc<AtomicBool>, gauges: Option<Arc<Gauges>>) -> Admin {
    counted::begin();
    // A standby is ready too: it would take over.
    let role = move || std::future::ready(Ok(if leads.load(Ordering::Relaxed) { "leading" } else { "standby" }));
    Admin::new(metrics, role).with_gauges(move || gauges.as_deref().map(Gauges::render).unwrap_or_default())
}

async fn serve(admin: Admin, listener: TcpListener) {
    if let Err(error) = admin.serve(listener, CancellationToken::new()).await {
        tracing::error!(%error, "the admin port broke");
    }
}

/// A restarted pod keeps its name, and must not take its predecessor's Lease for its own.
fn unique(name: &str) -> Result<String, RunError> {
    let mut bytes = [0u8; 4];
    getrandom::fill(&mut bytes).map_err(RunError::Random)?;
    Ok(format!("{name}_{:08x}", u32::from_be_bytes(bytes)))
}
