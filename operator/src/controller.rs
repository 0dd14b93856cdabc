//! The operator in a cluster: keeps every SignupPipeline's children as the resource says, and reports.
//!
//! Takes: a client and a scope. Gives: a reconcile per pipeline at each change of the resource, its children, its pods,
//! what they report, the objects that it names, or its queues, and when a step says that time alone will change
//! something. Does not: reconcile, or write anything, while nothing changes; provision PostgreSQL or Redis.
//!
//! # Layout, in the order of one reconcile
//!
//! - `turns`: whose turn it is; `dispatch` gives it; `operators`: whether the pipeline is ours
//! - `reconcile`: the steps below, one after the other
//! - [`observe`]: what is there. `watch` keeps the children and pods, encoded (`encoded`); `named` keeps the Secrets
//!   and ConfigMaps that pipelines name; `pods` asks the processes
//! - [`validate`]: can it work with that (pure)? [`endpoints`]: what the children need of it (`store_secret`)
//! - `crate::build`: the children as they should be (pure)
//! - [`apply`]: makes them so. `drift` finds what differs, `failure` says why a child could not be applied, `restarts`
//!   why pods are replaced; `sync` brings a new configuration to running pods
//! - [`scale`]: the number of workers, evaluated beside the reconciles, which hand over what they know; [`gauges`]
//!   and `counted` tell what came of it, `reported_limits` which limits; `scale_subresource` writes numbers
//! - [`status`]: what came of it. `facts` is all that is known; `rollout`, `pods`, `container`, `reachability`,
//!   `configuration`, `exposure`, `scaling`, `figures`, `readiness` and `progress` make conditions of it (pure,
//!   `condition`); `report` and `events` publish them
//!
//! [`shared_host`]: whose a host and path are (pure); `edge`: what an exposure needs of the cluster; `namespace`: by
//! what clusters differ.
//! All steps share the conditions, reasons and findings of [`reason`]. `pipelines` keeps the state of each pipeline
//! between reconciles; [`recorder`] publishes events; [`definition`] checks whether the resource's own definition is as
//! new as the operator; `undecodable` keeps pipelines that cannot be decoded from the others.

pub mod apply;
pub(crate) mod certificate;
pub(crate) mod counted;
pub mod definition;
mod dispatch;
pub(crate) mod edge;
pub mod endpoints;
pub mod gauges;
mod namespace;
pub mod observe;
pub mod operators;
mod pipelines;
pub mod reason;
mod reconcile;
pub mod recorder;
mod reported_limits;
pub mod scale;
mod scale_subresource;
pub mod shared_host;
pub mod status;
pub(crate) mod store_secret;
mod turns;
pub(crate) mod undecodable;
pub mod validate;

use crate::crd::SignupPipeline;
use definition::Definition;
use futures::StreamExt;
use gauges::Gauges;
use kube::{
    Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        events::Reporter,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use observe::{
    named::{Named, SecretAccess},
    pods::Pods,
    refused::working,
    view::View,
    watch,
};
use operators::Operators;
use pipelines::{News, Pipelines};
use recorder::Recorder;
use scale::{Servers, Surroundings};
use std::{collections::HashSet, future::Future, num::NonZeroU16, pin::pin, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use turns::{Name, Turns};

/// Settings of an operator.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The one namespace it works in; `None`: all.
    pub namespace: Option<String>,
    /// Image of pods whose pipeline names none.
    pub image: String,
    /// Name of this process in events.
    pub identity: String,
    /// Reconciles at once, each with a connection to the API server. Most of a reconcile is waiting.
    pub concurrency: NonZeroU16,
    /// How changes of Secrets are found out.
    pub secrets: SecretAccess,
    /// Where evaluations tell what they came to, for whoever scrapes.
    pub gauges: Option<Arc<Gauges>>,
    /// Who we are in `status.operator`: the Lease of leader election, as `namespace/name`.
    pub operator: String,
    /// For how long nobody may hold another operator's Lease before its pipelines are taken over.
    pub take_over_after: Duration,
}

struct Context {
    client: Client,
    view: Arc<View>,
    named: Arc<Named>,
    recorder: Recorder,
    pods: Arc<Pods>,
    definition: Definition,
    image: String,
    /// Every pipeline that the operator sees.
    all: Store<SignupPipeline>,
    pipelines: Arc<Pipelines>,
    turns: Arc<Turns>,
    servers: Arc<Servers>,
    gauges: Option<Arc<Gauges>>,
    operators: Operators,
}

impl Context {
    fn surroundings(&self) -> Surroundings {
        let Self { client, view, recorder, turns, servers, gauges, .. } = self;
        Surroundings {
            client: client.clone(),
            view: Arc::clone(view),
            recorder: recorder.clone(),
            turns: Arc::clone(turns),
            servers: Arc::clone(servers),
            gauges: gauges.clone(),
        }
    }
}

/// Reconciles until `stop`.
///
/// # Errors
///
/// The HTTP client's, when it cannot be set up. Nothing else ends it.
pub async fn run(
    client: Client,
    scope: Scope,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<(), reqwest::Error> {
    let (pipelines, turns) = (Arc::new(Pipelines::default()), Arc::new(Turns::new(scope.concurrency)));
    // Dropped with this future, they end.
    let mut watches = JoinSet::new();
    let (namespace, pods) = (scope.namespace.as_deref(), Arc::new(Pods::new(Arc::clone(&turns))?));
    let named = Named::start(&mut watches, &client, namespace, scope.secrets, &turns);
    let notes = Notes { pipelines: Arc::clone(&pipelines), turns: Arc::clone(&turns), named: Arc::clone(&named) };
    let reporter = Reporter { controller: "signup-operator".into(), instance: Some(scope.identity) };
    let recorder = Recorder::new(client.clone(), reporter);
    let store = watch_pipelines(&mut watches, &client, namespace, (notes, recorder.clone()));
    let asked = Arc::clone(&pods);
    let view = watch::watch(&mut watches, &client, namespace, (&store, &turns), asked);
    watches.spawn(recorder.clone().forget());
    let context = Context {
        recorder,
        pods,
        definition: Definition::new(client.clone()),
        operators: Operators::new(client.clone(), scope.operator, scope.take_over_after),
        client,
        view: Arc::new(view),
        named,
        image: scope.image,
        all: store.clone(),
        pipelines,
        turns,
        servers: Arc::default(),
        gauges: scope.gauges,
    };
    let tell_all = || store.state().iter().for_each(|pipeline| context.turns.changed(Name::from_obj(&**pipeline)));
    tokio::select! {
        () = work(&context, &store, stop) => {}
        never = context.definition.watch(tell_all) => match never {},
    }
    Ok(())
}

async fn work(context: &Context, store: &Store<SignupPipeline>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    tokio::select! {
        () = context.view.filled() => dispatch::dispatch(context, store, stop.as_mut()).await,
        () = stop.as_mut() => {}
    }
}

/// Watches the pipelines. Our own writes of the status trigger nothing.
fn watch_pipelines(
    watches: &mut JoinSet<()>,
    client: &Client,
    namespace: Option<&str>,
    (notes, recorder): (Notes, Recorder),
) -> Store<SignupPipeline> {
    let api = watch::api(client, namespace);
    let writer = Writer::new(());
    let store = writer.as_reader();
    let events = watcher(api, watcher::Config::default().page_size(watch::PAGE_SIZE)).default_backoff();
    let events = undecodable::decoded(events, store.clone(), recorder);
    let events = events.modify(forget_unread).reflect(writer);
    let events = working(events, &SignupPipeline::plural(&()));
    let known = store.clone();
    watches.spawn(events.for_each(move |event| {
        if let Ok(event) = event {
            notes.note(&event, &known);
        }
        std::future::ready(())
    }));
    store
}

/// What nobody reads: who wrote which field, and the whole resource once more as `kubectl apply` keeps it.
fn forget_unread(pipeline: &mut SignupPipeline) {
    pipeline.managed_fields_mut().clear();
    pipeline.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// What learns of each event of the pipelines' watch.
struct Notes {
    pipelines: Arc<Pipelines>,
    turns: Arc<Turns>,
    named: Arc<Named>,
}

impl Notes {
    /// The store is as the event says; during a list it is as before it, so that a list counts when it is complete.
    fn note(&self, event: &watcher::Event<SignupPipeline>, store: &Store<SignupPipeline>) {
        match event {
            watcher::Event::Apply(pipeline) => {
                if self.see(pipeline) {
                    self.see_neighbours(pipeline, store);
                }
            }
            watcher::Event::Delete(pipeline) => {
                let others = self.pipelines.forget(&pipeline.uid().unwrap_or_default());
                self.turns.changed(Name::from_obj(pipeline));
                self.see_neighbours(pipeline, store);
                others.into_iter().for_each(|name| self.turns.changed(name));
            }
            watcher::Event::InitDone => {
                let listed = store.state();
                let uids: HashSet<String> = listed.iter().filter_map(|pipeline| pipeline.uid()).collect();
                let others = self.pipelines.keep(|uid| uids.contains(uid));
                others.into_iter().for_each(|name| self.turns.changed(name));
                self.named.keep(|name| store.get(name).is_some());
                for pipeline in &listed {
                    self.see(pipeline);
                }
            }
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }

    /// Whether it says something new.
    fn see(&self, pipeline: &SignupPipeline) -> bool {
        match self.pipelines.see(pipeline) {
            News::New | News::Operator | News::Status => self.turns.changed(Name::from_obj(pipeline)),
            News::Edited => self.turns.edited(Name::from_obj(pipeline)),
            News::None => return false,
        }
        true
    }

    /// What a pipeline asks of its host, or no longer asks, matters to the others of that host.
    fn see_neighbours(&self, pipeline: &SignupPipeline, store: &Store<SignupPipeline>) {
        for other in store.state_filter(|other| shared_host::concerns(other, pipeline)) {
            self.turns.changed(Name::from_obj(other.as_ref()));
        }
    }
}
