//! The program: starts its parts in order, runs until stopped, stops them in order.
//!
//! Takes: a [`Config`]. Gives: both interfaces and the admin port, listening before PostgreSQL or Redis answer.
//! Does not: decide anything about a signup.
//!
//! Order of the stop: no new connections; requests under way are answered; then relay and sweeper end, because answered
//! signups may still be handed over; the admin port goes last, so probes see the whole stop.

use crate::{
    accept::{self, Interface, MAX_AGE, Protocol},
    breach_check::BreachCheck,
    config::Config,
    delivery,
    delivery_lookups::Lookups,
    delivery_waiting::Waiting,
    denied_domains::DeniedDomains,
    grpc,
    housekeeping::Housekeeping,
    idempotency::Running,
    keyring::Keyring,
    mx_check::MxCheck,
    parts::{Parts, StartError, bound},
    relay::Relay,
    resend, router,
    schema::{self, SchemaState},
    service::Service,
    signup_limit::{SignupLimit, exchange},
    sweeper::Sweeper,
    webhooks,
};
use axum::Router;
use lifecycle::{admin::Admin, logs::Logs, shutdown::Shutdown};
use pipeline::{Live, Unready};
use signup::{Claimant, GroupCommit, Store};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::server::HealthReporter;

/// How often the gRPC health service learns of a change.
const HEALTH_POLL: Duration = Duration::from_secs(2);

/// Time relay and sweeper get to end what they hold; a claim that they leave lapses.
const BACKGROUND_DRAIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. Needs a Tokio runtime and an installed rustls provider.
///
/// # Errors
///
/// [`StartError`], before anything is served; afterwards trouble is logged and lived with.
pub async fn run(config: Config) -> Result<(), StartError> {
    let parts = Parts::open(&config).await?;
    let (schema_sender, schema_ready) = watch::channel(Err(Unready::NoSchema));
    let relay = Arc::new(Relay::new(parts.store.clone(), parts.client.clone()));
    let limit = Arc::new(SignupLimit::default());
    let crowded: [Arc<Notify>; 2] = Default::default();
    let waiting = Waiting::new(config.max_connections, Arc::clone(&crowded[0]), parts.shutdown.soft());
    let service = Arc::new(service(&parts, Arc::clone(&relay), Arc::clone(&limit), waiting, schema_ready.clone()));
    let http_routes = router::routes(Arc::clone(&service));
    let (grpc_routes, health) = grpc::routes(Arc::clone(&service), config.max_connections as usize)?;
    let over = interfaces(&parts.live, config.max_connections, crowded);
    grpc::report(&health, false).await;

    let Parts { live, logs, metrics, shutdown, listeners, store, client, fleet, keyring, denied_domains, .. } = parts;
    let (admin_stop, background_stop) = (CancellationToken::new(), CancellationToken::new());
    let admin = Admin::new(metrics, readiness(store.clone(), schema_ready.clone())).with_config(live.clone());
    tokio::spawn(admin.serve(listeners.admin, admin_stop.clone()));
    tokio::spawn(follow(live.clone(), logs, Arc::clone(&keyring), denied_domains));
    tokio::spawn(report_health(readiness(store.clone(), schema_ready.clone()), schema_ready.clone(), health));
    let background = TaskTracker::new();
    background.spawn(exchange::run(limit, live.clone(), fleet, background_stop.clone()));
    background.spawn(delivery::look_up(Arc::clone(&service), background_stop.clone()));
    background.spawn(resend::settle_left(service, background_stop.clone()));
    background.spawn(webhooks::follow(store.clone(), live.clone(), schema_ready.clone(), background_stop.clone()));
    let housekeeping = Housekeeping::new(store.clone(), live.clone());
    background.spawn(keep_database(store.clone(), live, keyring, schema_sender, background_stop.clone()));
    background.spawn(relay_while_ready(store, client, relay, housekeeping, schema_ready, background_stop.clone()));

    tokio::join!(
        interface("HTTP gateway", over(Protocol::Http1), listeners.http, http_routes, shutdown.clone()),
        interface("gRPC", over(Protocol::Http2), listeners.grpc, grpc_routes, shutdown),
    );
    background.close();
    background_stop.cancel();
    if tokio::time::timeout(BACKGROUND_DRAIN, background.wait()).await.is_err() {
        tracing::warn!("relay or sweeper did not end in time; what they had claimed lapses");
    }
    admin_stop.cancel();
    Ok(())
}

/// What each interface is, by what it speaks. `crowded`: of HTTP/1.1 and of HTTP/2, where nobody only waits.
fn interfaces(live: &Live, max_connections: u32, crowded: [Arc<Notify>; 2]) -> impl Fn(Protocol) -> Interface + use<> {
    let live = live.clone();
    let idle_timeout = Arc::new(move || live.document().api.http.idle_timeout);
    move |protocol| {
        let idle_timeout = Arc::clone(&idle_timeout);
        let crowded = Arc::clone(&crowded[usize::from(protocol == Protocol::Http2)]);
        Interface { protocol, max_connections, max_age: MAX_AGE, idle_timeout, crowded }
    }
}

fn service(
    parts: &Parts,
    relay: Arc<Relay>,
    limit: Arc<SignupLimit>,
    waiting: Waiting,
    schema_ready: watch::Receiver<SchemaState>,
) -> Service {
    Service {
        live: parts.live.clone(),
        store: parts.store.clone(),
        groups: GroupCommit::new(parts.store.clone()),
        hashing: parts.hashing.clone(),
        keyring: Arc::clone(&parts.keyring),
        denied_domains: Arc::clone(&parts.denied_domains),
        relay,
        limit,
        breaches: BreachCheck::new(),
        mail_servers: MxCheck::default(),
        running: Running::default(),
        lookups: Lookups::default(),
        waiting,
        schema_ready,
    }
}

/// The check that readiness probes and health reports share.
fn readiness(
    store: Store,
    schema_ready: watch::Receiver<SchemaState>,
) -> impl Fn() -> futures::future::BoxFuture<'static, Result<&'static str, String>> {
    move || {
        let (store, schema_ready) = (store.clone(), schema_ready.clone());
        Box::pin(async move { schema::readiness(&store, &schema_ready).await })
    }
}

/// Brings the database up to date, claims it, and keeps looking whose it is.
async fn keep_database(
    store: Store,
    live: Live,
    keyring: Arc<Keyring>,
    schema_sender: watch::Sender<SchemaState>,
    stop: CancellationToken,
) {
    let migrations = live.document().database.migrations;
    let claimant = || Claimant::new(&live).with_keys(&keyring.now());
    tokio::select! {
        () = schema::keep(store, migrations, claimant, schema_sender) => {}
        () = stop.cancelled() => {}
    }
}

/// Relay, sweeper and housekeeping run while the schema is there and the database ours.
async fn relay_while_ready(
    store: Store,
    client: queue::Client,
    relay: Arc<Relay>,
    housekeeping: Housekeeping,
    mut schema_ready: watch::Receiver<SchemaState>,
    stop: CancellationToken,
) {
    let sweeper = Sweeper::new(store, client);
    while !stop.is_cancelled() {
        if schema_ready.wait_for(Result::is_ok).await.is_err() {
            return;
        }
        let pause = stop.child_token();
        let lost = async {
            // Where nobody looks any longer, the program ends.
            schema_ready.wait_for(Result::is_err).await.ok();
            pause.cancel();
        };
        tokio::join!(relay.run(pause.clone()), sweeper.run(pause.clone()), housekeeping.run(pause.clone()), lost);
    }
}

/// One interface, from its start line to its stop lines, in the Go program's words.
async fn interface(name: &str, over: Interface, listener: TcpListener, routes: Router, shutdown: Shutdown) {
    tracing::info!("start {name} server at {}", bound(&listener));
    let stopping = async {
        shutdown.soft().cancelled().await;
        tracing::info!("graceful shutdown {name} server");
    };
    tokio::join!(stopping, accept::serve(listener, over, routes, shutdown.clone()));
    tracing::info!("{name} server is stopped");
}

/// Applies what each change of the document or a secret means for this process; the rest is asked anew by each request.
async fn follow(mut live: Live, logs: Logs, keyring: Arc<Keyring>, denied_domains: Arc<DeniedDomains>) {
    while let Some(loaded) = live.changed().await {
        keyring.reload(&loaded.document.verification.keys_dir);
        denied_domains.reload(loaded.document.signup.email_domains.deny_list_dir.as_deref());
        if let Err(error) = logs.set_level(&loaded.document.observability.log_level) {
            tracing::error!(%error, "failed to apply observability.logLevel, the previous level stays");
        }
    }
}

async fn report_health<F: Future<Output = Result<&'static str, String>>>(
    ready: impl Fn() -> F,
    schema_ready: watch::Receiver<SchemaState>,
    health: HealthReporter,
) {
    let mut tick = tokio::time::interval(HEALTH_POLL);
    let mut told = None;
    loop {
        tick.tick().await;
        let missing = ready().await.err();
        grpc::report(&health, missing.is_none()).await;
        // Until the tables are there for the first time, `schema::prepare` tells what is in the way.
        if schema_ready.borrow().is_ok() && missing != told {
            match &missing {
                Some(missing) => tracing::error!("not ready: {missing}"),
                None => tracing::info!("ready again"),
            }
            told = missing;
        }
    }
}
