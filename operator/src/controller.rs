//! The operator in a cluster: keeps every SignupPipeline's children as the resource says, and reports.
//!
//! Takes: a client and a scope. Gives: a reconcile per pipeline at each change of the resource, its children or its pods, and
//! every [`LOOK`]. Does not: provision PostgreSQL or Redis, or write anything while nothing changes.
//!
//! # Layout, in the order of one reconcile
//!
//! - [`watch`], [`observe`]: what is there
//! - [`validate`], [`endpoints`]: can it work (pure)
//! - [`apply`], [`drift`]: children
//! - [`pods`]: live configuration
//! - [`scaler`]: number of workers
//! - [`rollout`], [`exposure`], `reachability`, [`condition`], [`status`], [`reason`]: what to tell (pure)
//! - `reconcile`: all of it in this order, and [`report`], which tells it

pub mod apply;
pub mod condition;
pub mod drift;
pub mod endpoints;
pub mod exposure;
pub mod observe;
pub mod pods;
mod reachability;
pub mod reason;
mod reconcile;
pub mod report;
pub mod rollout;
pub mod scaler;
pub mod status;
pub mod validate;
pub mod watch;

use crate::{build::child::Kind, crd::SignupPipeline};
use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        Config, Controller, WatchStreamExt,
        controller::Action,
        events::{Recorder, Reporter},
        predicates,
        reflector::store::Writer,
        watcher,
    },
};
use pods::Pods;
use reconcile::{Memory, ReconcileError};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use watch::View;

/// How often a pipeline is looked at when nothing happens: the queue and the Secrets send no events.
pub const LOOK: Duration = Duration::from_secs(2);

/// First wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The API server may never answer (kube has no read timeout), and the pipeline has to be looked at again.
const RECONCILE_LIMIT: Duration = Duration::from_secs(60);

/// Reconciles at once. Most of a reconcile is waiting, for Redis up to a second when it is down.
const CONCURRENCY: u16 = 32;

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
    image: String,
    memories: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    failures: Mutex<HashMap<String, u32>>,
    /// uid -> Redis database, and namespace/name.
    databases: Mutex<HashMap<String, (String, String)>>,
}

impl Context {
    fn memory(&self, uid: &str) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(memories.entry(uid.to_owned()).or_default())
    }

    /// Notes the Redis database of a pipeline; gives another pipeline that has it too.
    fn share(&self, pipeline: &SignupPipeline, database: Option<String>) -> Option<String> {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = pipeline.uid().unwrap_or_default();
        let database = database?;
        let name = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
        let others = databases.iter().filter(|(other, (theirs, _))| **other != uid && *theirs == database);
        let other = others.map(|(_, (_, name))| name.clone()).min();
        databases.insert(uid, (database, name));
        other
    }

    fn forget(&self, uid: &str) {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn count_failure(&self, uid: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn forget_failures(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
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
    let pipelines = watcher(api, watcher::Config::default()).default_backoff().reflect(writer).applied_objects();
    // Our own writes to the status are no news.
    let changes = pipelines.predicate_filter(predicates::generation, Default::default());
    let controller = Controller::for_stream(changes, reader).with_config(Config::default().concurrency(CONCURRENCY));
    let kinds = kinds(&client).await;
    let (controller, view) = watch::watch(controller, &client, scope.namespace.as_deref(), &kinds);
    let reporter = Reporter { controller: "signup-operator".into(), instance: Some(scope.identity) };
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        pods: Pods::new()?,
        client,
        view,
        image: scope.image,
        memories: Mutex::default(),
        failures: Mutex::default(),
        databases: Mutex::default(),
    });
    let reconciled = controller.graceful_shutdown_on(stop).run(reconcile, error_policy, context);
    reconciled.for_each(|_| std::future::ready(())).await;
    Ok(())
}

/// The kinds that this cluster has. The Gateway API may be missing; without an answer it counts as missing.
async fn kinds(client: &Client) -> Vec<Kind> {
    let resource = Kind::HttpRoute.resource();
    let gvk = kube::core::GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
    let has_routes = kube::discovery::pinned_kind(client, &gvk).await.is_ok();
    Kind::ALL.into_iter().filter(|kind| *kind != Kind::HttpRoute || has_routes).collect()
}

async fn reconcile(pipeline: Arc<SignupPipeline>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let uid = pipeline.uid().unwrap_or_default();
    if pipeline.metadata.deletion_timestamp.is_some() {
        // The children go by their owner references.
        context.forget(&uid);
        return Ok(Action::await_change());
    }
    let memory = context.memory(&uid);
    let mut memory = memory.lock().await;
    metrics::counter!("signup_operator_reconciles_total").increment(1);
    let done = tokio::time::timeout(RECONCILE_LIMIT, reconcile::reconcile(&pipeline, &context, &mut memory));
    done.await.map_err(|_| ReconcileError::TooSlow)??;
    context.forget_failures(&uid);
    Ok(Action::requeue(LOOK))
}

/// Failures are tried again after 1, 2, 4 ... 60 seconds.
fn error_policy(pipeline: Arc<SignupPipeline>, error: &ReconcileError, context: Arc<Context>) -> Action {
    metrics::counter!("signup_operator_reconcile_failures_total").increment(1);
    let failures = context.count_failure(&pipeline.uid().unwrap_or_default());
    let source = std::error::Error::source(error).map(ToString::to_string);
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
}
