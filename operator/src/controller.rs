//! The operator in a cluster: keeps every SignupPipeline's children as the resource says, and reports.
//!
//! Takes: a client and a scope. Gives: a reconcile per pipeline at each change of the resource, its children or its pods, and
//! every [`LOOK`], or more often where `pollInterval` says so. Does not: provision PostgreSQL or Redis, or write anything while nothing changes.
//!
//! # Layout, in the order of one reconcile
//!
//! - [`watch`], [`observe`]: what is there
//! - [`validate`], [`endpoints`]: can it work (pure)
//! - [`apply`], [`drift`]: children
//! - [`pods`], `nudge`: live configuration
//! - [`scaler`], `replicas`: number of workers; `redis`: why it cannot be asked
//! - [`rollout`], [`facts`], [`exposure`], `reachability`, `readiness`, `configuration`, `figures`, [`condition`], [`status`], [`reason`]: what to tell
//!   (pure); [`definition`]: whether the resource's own definition is as new as the operator
//! - `reconcile`: all of it in this order, and [`report`] with `events`, which tell it

pub mod apply;
#[cfg(test)]
mod case;
pub mod condition;
mod configuration;
pub mod definition;
pub mod drift;
pub mod endpoints;
pub(crate) mod events;
pub mod exposure;
pub mod facts;
mod figures;
mod known;
mod nudge;
pub mod observe;
pub mod packed;
pub mod pods;
mod reachability;
mod readiness;
pub mod reason;
mod reconcile;
mod redis;
mod replicas;
pub mod report;
pub mod rollout;
pub mod scaler;
pub mod status;
pub mod validate;
pub mod watch;

use crate::crd::SignupPipeline;
use definition::Definition;
use futures::{StreamExt, TryStreamExt};
use known::Known;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        Config, Controller, WatchStreamExt,
        controller::Action,
        events::{Recorder, Reporter},
        predicates,
        reflector::{Store, store::Writer},
        watcher,
    },
};
use pods::Pods;
use reconcile::ReconcileError;
use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};
use watch::View;

/// How often a pipeline is looked at when nothing happens: the queue and the Secrets send no events.
pub const LOOK: Duration = Duration::from_secs(2);

/// First wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The API server may never answer (kube has no read timeout), and the pipeline has to be looked at again.
const RECONCILE_LIMIT: Duration = Duration::from_secs(60);

/// Reconciles at once, each with a connection to the API server. Most of a reconcile is waiting, for Redis up to a second when
/// it is down.
const CONCURRENCY: u16 = 16;

/// What an operator is told at its start.
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
    view: View,
    recorder: Recorder,
    pods: Pods,
    definition: Definition,
    image: String,
    known: Arc<Known>,
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
    let known = Arc::new(Known::default());
    let pipelines = watcher(api, watcher::Config::default().page_size(watch::PAGE)).default_backoff();
    let pipelines = pipelines.modify(|pipeline| pipeline.managed_fields_mut().clear()).reflect(writer);
    let pipelines = pipelines.inspect_ok(forget_the_gone(Arc::clone(&known), reader.clone())).applied_objects();
    // Our own writes to the status are no news.
    let changes = pipelines.predicate_filter(predicates::generation, Default::default());
    let changes = watch::working(changes, &SignupPipeline::plural(&()));
    let controller = Controller::for_stream(changes, reader).with_config(Config::default().concurrency(CONCURRENCY));
    let (controller, view) = watch::watch(controller, &client, scope.namespace.as_deref());
    let reporter = Reporter { controller: "signup-operator".into(), instance: Some(scope.identity) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        pods: Pods::new()?,
        definition: Definition::new(client.clone()),
        client,
        view,
        image: scope.image,
        known,
    });
    let look = Arc::clone(&context);
    let reconciled = controller.graceful_shutdown_on(stop).run(reconcile, error_policy, context);
    tokio::select! {
        () = reconciled.for_each(|_| std::future::ready(())) => {}
        never = look.definition.watch() => match never {},
    }
    Ok(())
}

/// An event tells of one that is deleted, and the end of a list of all that were deleted while nobody watched.
fn forget_the_gone(known: Arc<Known>, pipelines: Store<SignupPipeline>) -> impl Fn(&watcher::Event<SignupPipeline>) {
    move |event| match event {
        watcher::Event::Delete(pipeline) => known.forget(&pipeline.uid().unwrap_or_default()),
        watcher::Event::InitDone => {
            let uids: HashSet<String> = pipelines.state().iter().filter_map(|pipeline| pipeline.uid()).collect();
            known.keep(|uid| uids.contains(uid));
        }
        watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
    }
}

async fn reconcile(pipeline: Arc<SignupPipeline>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let uid = pipeline.uid().unwrap_or_default();
    if pipeline.metadata.deletion_timestamp.is_some() {
        // The children go by their owner references.
        context.known.forget(&uid);
        return Ok(Action::await_change());
    }
    let memory = context.known.memory(&uid);
    let mut memory = memory.lock().await;
    context.view.filled().await;
    metrics::counter!("signup_operator_reconciles_total").increment(1);
    let done = tokio::time::timeout(RECONCILE_LIMIT, reconcile::reconcile(&pipeline, &context, &mut memory));
    done.await.map_err(|_| ReconcileError::TooSlow)??;
    context.known.forget_failures(&uid);
    Ok(Action::requeue(next_look(&pipeline)))
}

/// Time to the next look when nothing happens.
fn next_look(pipeline: &SignupPipeline) -> Duration {
    LOOK.min(pipeline.spec.worker.autoscaling.poll_interval.get())
}

/// Failures are tried again after 1, 2, 4 ... 60 seconds.
fn error_policy(pipeline: Arc<SignupPipeline>, error: &ReconcileError, context: Arc<Context>) -> Action {
    metrics::counter!("signup_operator_reconcile_failures_total").increment(1);
    let failures = context.known.count_failure(&pipeline.uid().unwrap_or_default());
    let source = std::error::Error::source(error).map(pipeline::chain);
    tracing::warn!(pipeline = pipeline.name_any(), namespace = pipeline.namespace(), %error, source, failures, "reconcile failed");
    Action::requeue(wait(failures))
}

fn wait(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_WAIT)
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
        assert_eq!(next_look(&pipeline), LOOK);
        pipeline.spec.worker.autoscaling.poll_interval = crate::crd::time_span::TimeSpan::from_secs(1);
        assert_eq!(next_look(&pipeline), Duration::from_secs(1));
    }
}
