//! The start of a local run.
//!
//! Takes: a manifest and its plan. Gives: a [`Running`] pipeline, everything ready: stores, inbox, files, api, workers,
//! in this order. Does not: leave anything behind when a step fails; what was started is dropped.

use super::{
    LocalError,
    child::{Child, Listening, Recipe},
    figures::{self, Figures, Question},
    files::{self, Files},
    fleet::{Fleet, free_port},
    neighbours::Neighbours,
    options::{Options, Programs},
    plan::{Plan, StandIn, Store},
    running::Running,
    screen::{self, Addresses, Screen},
    stores::Stores,
    supervise, wait,
};
use crate::{
    controller::store_secret::StoreSecret,
    crd::SignupPipelineSpec,
    manifest::Manifest,
    scaling::{self, Autoscaler, Drain, Past},
};
use pipeline::store_secret::{self, StoreKind};
use queue::{Certificates, Connection, Inspector, Supervisor};
use secrecy::ExposeSecret as _;
use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::sync::watch;

/// Starts everything and waits until it is ready.
pub(super) async fn start(
    options: &Options,
    programs: Programs,
    manifest: Manifest,
    plan: Plan,
) -> Result<Running, LocalError> {
    let (client, spec) = (reqwest::Client::new(), &manifest.pipeline.spec);
    screen::explain(&plan, spec);
    let stores = start_stores(plan.clone()).await?;
    let files = Files::new()?;
    let connection = connection(&plan, &stores)?;
    let neighbours = look_for_neighbours(&plan, &manifest, &connection).await;
    let inbox = if plan.uses_inbox() { Some(start_inbox(&programs, options.inbox_addr).await?) } else { None };
    let inbox_at = inbox.as_ref().and_then(Child::listening).unwrap_or_default();
    let mut stand_in = inbox_at.smtp.map(|smtp| StandIn { smtp, api: reachable(options.api_addr) });
    files.write(&manifest.pipeline, &plan, &stores, stand_in.as_ref())?;
    let (mut fleet, api_at) = start_api(options, programs, &files, &mut stand_in).await?;
    let hash = files.write(&manifest.pipeline, &plan, &stores, stand_in.as_ref())?;
    start_workers(&mut fleet, spec, &client, &hash).await?;
    let (question, figures) = start_polling(connection.clone(), &client);
    let addresses = addresses(options, api_at, inbox_at, &stores);
    screen::ready(manifest.pipeline.metadata.name.as_deref().unwrap_or_default(), &addresses, spec);
    Ok(Running {
        fleet,
        inbox,
        _neighbours: neighbours,
        stores,
        files,
        manifest,
        plan,
        send_mail: options.send_mail,
        client,
        stand_in,
        question,
        figures,
        supervised: supervise::start(Supervisor::new(connection.clone()), Inspector::new(connection)),
        drain: Drain::default(),
        announced: None,
        autoscaler: Autoscaler::default(),
        screen: Screen::default(),
    })
}

/// Nobody else can use a Redis that was started here.
async fn look_for_neighbours(plan: &Plan, manifest: &Manifest, connection: &Connection) -> Option<Neighbours> {
    match plan.redis {
        Store::Given { .. } => {
            Some(Neighbours::start(connection.clone(), files::run_known_as(&manifest.pipeline)).await)
        }
        Store::StartedHere => None,
    }
}

/// Asks the queue and the processes from now on; gives where to ask and where the answers are.
fn start_polling(
    connection: Connection,
    client: &reqwest::Client,
) -> (watch::Sender<Question>, watch::Receiver<Figures>) {
    let (question, asked) = watch::channel(Question::default());
    let (answers, figures) = watch::channel(Figures::default());
    tokio::spawn(figures::watch(Inspector::new(connection), client.clone(), asked, answers));
    (question, figures)
}

async fn start_stores(plan: Plan) -> Result<Stores, LocalError> {
    let started = tokio::task::spawn_blocking(move || Stores::start(&plan)).await;
    started.map_err(|error| LocalError::Io { action: "start PostgreSQL and Redis", source: error.into() })?
}

async fn start_inbox(programs: &Programs, http: SocketAddr) -> Result<Child, LocalError> {
    let arguments = move |before: Option<Listening>| -> Vec<OsString> {
        let smtp = before.and_then(|before| before.smtp).unwrap_or(free_port());
        let http = before.and_then(|before| before.http).unwrap_or(http);
        ["--smtp".into(), smtp.to_string().into(), "--http".into(), http.to_string().into()].into()
    };
    let recipe = Recipe { program: programs.inbox.clone(), arguments: Box::new(arguments) };
    let started = Child::start("inbox", recipe);
    let mut inbox = started.map_err(|source| LocalError::Server { name: "inbox".into(), source })?;
    wait::listening(&mut inbox).await?;
    Ok(inbox)
}

async fn start_api(
    options: &Options,
    programs: Programs,
    files: &Files,
    stand_in: &mut Option<StandIn>,
) -> Result<(Fleet, Listening), LocalError> {
    let mut fleet = Fleet::start(programs, files.config(), options.api_addr, options.grpc_addr)?;
    let listening = wait::listening(fleet.api()).await?;
    // Known only now when the port was left open.
    stand_in.iter_mut().zip(listening.http).for_each(|(stand_in, http)| stand_in.api = reachable(http));
    Ok((fleet, listening))
}

/// Once the api is ready.
async fn start_workers(
    fleet: &mut Fleet,
    spec: &SignupPipelineSpec,
    client: &reqwest::Client,
    hash: &str,
) -> Result<(), LocalError> {
    wait::ready(fleet.api(), client, hash).await?;
    fleet.grow_to(scaling::decide(None, &spec.into(), 0, &Past::default()).desired)?;
    for worker in fleet.workers() {
        wait::ready(worker, client, hash).await?;
    }
    Ok(())
}

fn connection(plan: &Plan, stores: &Stores) -> Result<Connection, LocalError> {
    let files = plan.redis.files(stores.redis_uri());
    // The files of a process have the names of a Secret's keys.
    let authority = plan.redis.authority();
    let secret = StoreSecret::of(StoreKind::Redis, store_secret::URI, Some(&files), authority.is_some());
    let uri = secret.redis_uri().unwrap_or_default();
    let ca = authority.or_else(|| secret.file(store_secret::AUTHORITY));
    let certificates = Certificates { authority: ca, client: secret.certificate() };
    Ok(Connection::open_with(uri.expose_secret(), certificates)?)
}

fn addresses(options: &Options, api: Listening, inbox: Listening, stores: &Stores) -> Addresses {
    Addresses {
        api: reachable(api.http.unwrap_or(options.api_addr)),
        grpc: reachable(api.grpc.unwrap_or(options.grpc_addr)),
        inbox: inbox.http.map(reachable),
        postgres: stores.postgres_uri().map(str::to_owned),
        redis: stores.redis_uri(),
    }
}

/// An address to connect to: one that means "every interface" is replaced by this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    }
}
