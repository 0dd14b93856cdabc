//! One worker process, from start to drain.
//!
//! Takes: the configuration in force. Gives: a [`Worker`] that runs until it is shut down. Does not: parse flags or
//! listen to signals (`main` does), so that tests run it in their own process.

use crate::{
    lease::Timing,
    mail::{
        Mailer, Report,
        breaker::{Allowance, Breaker},
    },
    materials::{LiveMaterials, TemplatesReport},
    ownership::{self, Ownership},
    random,
    settings::{self, settings},
    share,
    verification_email::{VerificationEmail, report},
    webhooks,
};
use lifecycle::logs::Logs;
use pipeline::{Live, Unready};
use queue::{Certificates, Client, Connection, Inspector, Server, ShutdownReport};
use secrecy::ExposeSecret;
use signup::Store;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Answers to the readiness check are awaited this long.
const READY_LIMIT: Duration = Duration::from_secs(2);

/// What a test may choose and production does not.
#[derive(Debug)]
pub struct Options {
    /// Lengths of leases.
    pub timing: Timing,
    /// The wait of the circuit breaker before a probe, chosen between two bounds.
    pub probe_wait: fn(Duration, Duration) -> Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { timing: Timing::default(), probe_wait: random::between }
    }
}

/// The worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The URI of PostgreSQL is missing or wrong.
    #[error("failed to use the database URI of database.uriFile")]
    Database(#[from] signup::StoreError),
    /// A file of Redis' is missing.
    #[error("failed to read the secrets of redis")]
    RedisFiles(#[from] pipeline::secret::SecretError),
    /// The URI of Redis is wrong.
    #[error("failed to use the Redis URI of redis.uriFile")]
    Redis(#[from] queue::Error),
    /// No key to derive codes with.
    #[error("failed to load the verification keys of verification.keysDir")]
    Keys(#[from] signup::verification::KeysError),
}

/// A running worker.
pub struct Worker {
    server: Server,
    mailer: Arc<Mailer>,
    materials: Arc<LiveMaterials>,
    readiness: Readiness,
    draining: CancellationToken,
    /// Sends webhooks, and ends by itself when the process takes no more tasks.
    webhooks: JoinHandle<()>,
    receivers: webhooks::Standings,
    grace_period: Duration,
    background: JoinSet<()>,
}

impl Worker {
    /// Starts taking tasks. Neither Redis, PostgreSQL nor the mail server needs to be up. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`], naming the file.
    pub fn start(live: &Live, logs: Option<Logs>, options: Options) -> Result<Self, StartError> {
        report::begin();
        webhooks::begin();
        let document = live.document();
        let store = Store::open(&document.database)?;
        let redis = document.redis.read()?;
        let certificates = Certificates { authority: redis.authority.as_deref(), client: redis.client() };
        let redis = Connection::open_with(redis.uri.expose_secret(), certificates)?;
        let mailer = Arc::new(Mailer::new(Breaker::new(options.probe_wait)));
        let draining = CancellationToken::new();
        let (timing, store_too) = (options.timing, store.clone());
        let handler = VerificationEmail::new(live.clone(), store_too, Arc::clone(&mailer), timing, draining.clone())?;
        // Nothing is taken before the database is known to be ours.
        let (publish, in_force) = watch::channel(settings(&document, Allowance::Nothing, None, None));
        let (found_out, ownership) = watch::channel(Err(Unready::Unclaimed));
        let mut background = JoinSet::new();
        background.spawn(ownership::follow(store.clone(), live.clone(), found_out));
        let materials = handler.materials();
        background.spawn(follow(live.clone(), logs, Arc::clone(&mailer), Arc::clone(&materials)));
        let (followed, breaker, owned) = (live.clone(), Arc::clone(&mailer), ownership.clone());
        background.spawn(async move { settings::follow(followed, &breaker, owned, publish).await });
        let (receivers, wait) = (webhooks::Standings::default(), options.probe_wait);
        let (known, drained) = (receivers.clone(), draining.clone());
        let telling = webhooks::run(live.clone(), store.clone(), ownership.clone(), wait, known, drained);
        let timers = Arc::clone(&mailer);
        background.spawn(async move { timers.run().await });
        let (readiness, inspector) =
            (Readiness { store, redis: Client::new(redis.clone()), ownership }, Inspector::new(redis.clone()));
        let grace_period = document.worker.shutdown_grace_period;
        let server = Server::start(redis, in_force, grace_period, handler);
        let (followed, shared, id) = (live.clone(), Arc::clone(&mailer), server.id().to_owned());
        background.spawn(share::follow(followed, shared, inspector, id));
        let webhooks = tokio::spawn(telling);
        Ok(Self { server, mailer, materials, readiness, draining, webhooks, receivers, grace_period, background })
    }

    /// What the readiness check asks.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// What the last dialogues with the mail server found, whenever it is asked.
    pub fn mail_report(&self) -> impl Fn() -> Option<Report> + Clone + Send + Sync + 'static {
        let mailer = Arc::clone(&self.mailer);
        move || mailer.report()
    }

    /// What the last requests to receivers of webhooks found, whenever it is asked.
    pub fn webhooks_report(&self) -> impl Fn() -> Vec<webhooks::Report> + Clone + Send + Sync + 'static {
        let receivers = self.receivers.clone();
        move || receivers.reports()
    }

    /// Why templates were refused, whenever it is asked.
    pub fn templates_report(&self) -> impl Fn() -> TemplatesReport + Clone + Send + Sync + 'static {
        let materials = Arc::clone(&self.materials);
        move || materials.report()
    }

    /// Names this worker in Redis and in leases, and no other, nor a later one in its place.
    pub fn identity(&self) -> String {
        self.server.identity()
    }

    /// Tasks running now.
    pub fn running(&self) -> usize {
        self.server.running()
    }

    /// Takes no more tasks, lets running ones finish within `worker.shutdownGracePeriod`, hands the rest back unused.
    pub async fn shutdown(mut self) -> ShutdownReport {
        self.draining.cancel();
        let webhooks = tokio::time::timeout(self.grace_period, &mut self.webhooks);
        let (report, _) = tokio::join!(self.server.shutdown(), webhooks);
        // What has not ended by now comes due again.
        self.webhooks.abort();
        self.background.shutdown().await;
        self.mailer.shutdown().await;
        self.readiness.store.close().await;
        report
    }
}

/// Answers whether PostgreSQL and Redis can be used. The mail server is no part of it: a worker that waits for it is
/// ready.
#[derive(Clone)]
pub struct Readiness {
    store: Store,
    redis: Client,
    ownership: watch::Receiver<Ownership>,
}

impl Readiness {
    /// Asks both.
    ///
    /// # Errors
    ///
    /// The sentence for the admin port.
    pub async fn check(&self) -> Result<(), String> {
        let postgres = tokio::time::timeout(READY_LIMIT, self.store.usable());
        let redis = tokio::time::timeout(READY_LIMIT, self.redis.incarnation());
        let owner = self.ownership.borrow().clone();
        match tokio::join!(postgres, redis) {
            (Ok(Ok(())), _) if owner.is_err() => owner.map_err(|whose| whose.to_string()),
            (Ok(Ok(())), Ok(Ok(_))) => Ok(()),
            (Ok(Ok(())), _) => Err("Redis does not answer".into()),
            (Ok(Err(error)), _) if error.unready().is_about_content() => Err(error.unready().to_string()),
            (_, Ok(Ok(_))) => Err("PostgreSQL does not answer".into()),
            _ => Err("neither PostgreSQL nor Redis answers".into()),
        }
    }
}

/// Applies what can change without a restart.
async fn follow(mut live: Live, logs: Option<Logs>, mailer: Arc<Mailer>, materials: Arc<LiveMaterials>) {
    while let Some(loaded) = live.changed().await {
        if let Some(Err(error)) = logs.as_ref().map(|logs| logs.set_level(&loaded.document.observability.log_level)) {
            tracing::error!(%error, "log level not changed");
        }
        materials.reload(&loaded.document);
        mailer.settings_changed().await;
    }
}
