//! The operator in a cluster: keeps every SignupPipeline's children as the resource says, and reports.
//!
//! Takes: a client and a scope. Gives: a reconcile per pipeline at each change of the resource, its children or its
//! pods, and every [`POLL_INTERVAL`], or more often where `pollInterval` says so. Does not: provision PostgreSQL or
//! Redis, or write anything while nothing changes.
//!
//! # Layout, in the order of one reconcile
//!
//! - `reconcile`: the steps below, one after the other
//! - [`observe`]: what is there. `watch` keeps the children and pods, encoded (`encoded`); `pods` asks the processes
//! - [`validate`]: can it work with that (pure)? [`endpoints`]: what the children need of it (`store_secret`)
//! - `crate::build`: the children as they should be (pure)
//! - [`apply`]: makes them so. `drift` finds what differs, `failure` says why a child could not be applied, `restarts`
//!   why pods are replaced; `sync` brings a new configuration to running pods
//! - [`scale`]: the number of workers, evaluated beside the reconciles, which hand over what they know
//! - [`status`]: what came of it. `facts` is all that is known; `rollout`, `reachability`, `configuration`, `exposure`,
//!   `figures` and `readiness` make conditions of it (pure, `condition`); `report` and `events` publish them
//!
//! All steps share the conditions, reasons and findings of [`reason`]. `pipelines` keeps the state of each pipeline
//! between reconciles; [`definition`] checks whether the resource's own definition is as new as the operator.

pub mod apply;
pub mod definition;
pub mod endpoints;
pub mod observe;
mod pipelines;
pub mod reason;
mod reconcile;
pub mod scale;
pub mod status;
pub(crate) mod store_secret;
pub mod validate;

use crate::crd::SignupPipeline;
use definition::Definition;
use futures::{
    StreamExt, TryStreamExt,
    channel::mpsc::{UnboundedSender, unbounded},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        Config, Controller, WatchStreamExt,
        controller::Action,
        events::{Recorder, Reporter},
        predicates,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use observe::{
    pods::Pods,
    watch::{self, View},
};
use pipelines::Pipelines;
use reconcile::ReconcileError;
use scale::Surroundings;
use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

/// Time between reconciles of a pipeline without events: the queue and the Secrets send none.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Wait after a first failure; it doubles up to [`MAX_WAIT`].
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The API server may never answer (kube has no read timeout), and the pipeline has to be reconciled again.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Reconciles at once, each with a connection to the API server. Most of a reconcile is waiting, for Redis up to a
/// second when it is down.
const CONCURRENCY: u16 = 16;

/// Settings of an operator.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The one namespace it works in; `None`: all.
    pub namespace: Option<String>,
    /// Image of pods whose pipeline names none.
    pub image: String,
    /// Name of this process in events.
    pub identity: String,
}

struct Context {
    client: Client,
    view: Arc<View>,
    recorder: Recorder,
    pods: Pods,
    definition: Definition,
    image: String,
    pipelines: Arc<Pipelines>,
    /// Asks for a reconcile.
    reconciles: UnboundedSender<ObjectRef<SignupPipeline>>,
}

impl Context {
    fn surroundings(&self) -> Surroundings {
        let Self { client, view, recorder, reconciles, .. } = self;
        Surroundings {
            client: client.clone(),
            view: Arc::clone(view),
            recorder: recorder.clone(),
            reconciles: reconciles.clone(),
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
    let api: Api<SignupPipeline> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let writer = Writer::new(());
    let reader = writer.as_reader();
    let pipelines = Arc::new(Pipelines::default());
    let events = watcher(api, watcher::Config::default().page_size(watch::PAGE_SIZE)).default_backoff();
    let events = events.modify(|pipeline| pipeline.managed_fields_mut().clear()).reflect(writer);
    let applied = events.inspect_ok(forget_deleted(Arc::clone(&pipelines), reader.clone())).applied_objects();
    // Our own writes of the status trigger nothing.
    let changes = applied.predicate_filter(predicates::generation, Default::default());
    let changes = watch::working(changes, &SignupPipeline::plural(&()));
    let controller = Controller::for_stream(changes, reader).with_config(Config::default().concurrency(CONCURRENCY));
    let (reconciles, asked) = unbounded();
    let (controller, view) = watch::watch(controller.reconcile_on(asked), &client, scope.namespace.as_deref());
    let reporter = Reporter { controller: "signup-operator".into(), instance: Some(scope.identity) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        pods: Pods::new()?,
        definition: Definition::new(client.clone()),
        client,
        view: Arc::new(view),
        image: scope.image,
        pipelines,
        reconciles,
    });
    let watched = Arc::clone(&context);
    let reconciled = controller.graceful_shutdown_on(stop).run(reconcile, error_policy, context);
    tokio::select! {
        () = reconciled.for_each(|_| std::future::ready(())) => {}
        never = watched.definition.watch() => match never {},
    }
    Ok(())
}

/// A delete event names one deleted pipeline; after a gap in the watch the end of a list shows all of them.
fn forget_deleted(pipelines: Arc<Pipelines>, store: Store<SignupPipeline>) -> impl Fn(&watcher::Event<SignupPipeline>) {
    move |event| match event {
        watcher::Event::Delete(pipeline) => pipelines.forget(&pipeline.uid().unwrap_or_default()),
        watcher::Event::InitDone => {
            let uids: HashSet<String> = store.state().iter().filter_map(|pipeline| pipeline.uid()).collect();
            pipelines.keep(|uid| uids.contains(uid));
        }
        watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
    }
}

#[tracing::instrument(skip_all, fields(pipeline = pipeline.name_any(), namespace = pipeline.namespace()))]
async fn reconcile(pipeline: Arc<SignupPipeline>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let uid = pipeline.uid().unwrap_or_default();
    if pipeline.metadata.deletion_timestamp.is_some() {
        // The children go by their owner references.
        context.pipelines.forget(&uid);
        return Ok(Action::await_change());
    }
    let state = context.pipelines.state(&uid);
    let mut state = state.lock().await;
    context.view.filled().await;
    metrics::counter!("signup_operator_reconciles_total").increment(1);
    let done = tokio::time::timeout(RECONCILE_TIMEOUT, reconcile::reconcile(&pipeline, &context, &mut state));
    done.await.map_err(|_| ReconcileError::TooSlow)??;
    context.pipelines.forget_failures(&uid);
    Ok(Action::requeue(requeue_after(&pipeline)))
}

/// Time to the next reconcile when nothing happens.
fn requeue_after(pipeline: &SignupPipeline) -> Duration {
    POLL_INTERVAL.min(pipeline.spec.worker.autoscaling.poll_interval.get())
}

/// Failures are tried again after 1, 2, 4 ... 60 seconds.
fn error_policy(pipeline: Arc<SignupPipeline>, error: &ReconcileError, context: Arc<Context>) -> Action {
    metrics::counter!("signup_operator_reconcile_failures_total").increment(1);
    let failures = context.pipelines.count_failure(&pipeline.uid().unwrap_or_default());
    let source = std::error::Error::source(error).map(pipeline::chain);
    let (name, namespace) = (pipeline.name_any(), pipeline.namespace());
    tracing::warn!(pipeline = name, namespace, %error, source, failures, "reconcile failed");
    Action::requeue(wait(failures))
}

fn wait(failures: u32) -> Duration {
    MIN_WAIT.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_failures_doubles_up_to_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|failures| wait(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_poll_interval_shortens_the_time_to_the_next_look_and_never_lengthens_it() {
        let text = include_str!("../../samples/minimal.yaml");
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        assert_eq!(requeue_after(&pipeline), POLL_INTERVAL);
        pipeline.spec.worker.autoscaling.poll_interval = crate::crd::time_span::TimeSpan::from_secs(1);
        assert_eq!(requeue_after(&pipeline), Duration::from_secs(1));
    }
}
