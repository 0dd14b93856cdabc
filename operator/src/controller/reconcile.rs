//! One reconcile of one pipeline.
//!
//! Takes: the resource. Gives: observe, validate, build, apply, sync pods, scale, report, in this order; trouble in a
//! step is reported in the status before it is an error. Does not: apply anything while something is missing.

mod children;
mod scaling;
mod tell;

use self::{
    children::{apply_children, desired},
    scaling::scaling,
    tell::{Outcome, tell},
};
use super::{
    Context,
    apply::{ApplyError, LastApplied, namespace_goes, restarts, sync::sync},
    edge::Edge,
    namespace::NamespaceUid,
    observe::{
        ObserveError, Observed, Sources, observe,
        pod_events::PodEvents,
        pods::{Report, Version},
    },
    scale::{EndedWorkers, Endpoint, Evaluation},
    status::report::Written,
    validate::Resolved,
};
use crate::{build, crd::SignupPipeline};
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use pipeline::hash;
use std::{sync::Arc, time::Duration};

/// The state of a pipeline between reconciles.
#[derive(Default)]
pub(super) struct PipelineState {
    applied: LastApplied,
    templates: restarts::Templates,
    version: Option<Version>,
    ended: EndedWorkers,
    evaluation: Option<Evaluation>,
    /// As the evaluation knows it: without its status, which is kept elsewhere.
    evaluated: Option<Arc<SignupPipeline>>,
    written: Written,
    /// Of the last look.
    generation: Option<Option<i64>>,
    /// What was wrong at the last look.
    trouble: Option<String>,
    pod_events: PodEvents,
    edge: Edge,
    namespace: NamespaceUid,
    /// The pipeline is this operator's.
    pub(super) is_claimed: bool,
}

impl PipelineState {
    /// The pipeline is gone, and its Redis database is free for others.
    pub(super) fn leave_redis(&mut self) {
        if let Some(evaluation) = self.evaluation.take() {
            evaluation.leave();
        }
    }
}

/// A reconcile that has to be done again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// Whose the pipeline is could not be read or written.
    #[error("failed to find out which operator the pipeline belongs to")]
    Claim(#[source] Box<kube::Error>),
    /// The cluster could not be observed.
    #[error("failed to observe")]
    Observe(#[from] ObserveError),
    /// A child could not be applied.
    #[error("failed to apply")]
    Apply(#[from] ApplyError),
    /// The volumes of a pod could not be synced.
    #[error("failed to patch a pod")]
    Sync(#[source] Box<kube::Error>),
    /// A step did not end in time.
    #[error("failed to end in time: the API server does not answer")]
    TooSlow,
    /// The status could not be written.
    #[error("failed to write the status")]
    Status(#[source] Box<kube::Error>),
}

impl ReconcileError {
    /// The namespace is being deleted: nothing can be made there, and nothing has to be.
    pub(super) fn is_of_a_namespace_that_goes(&self) -> bool {
        match self {
            Self::Observe(ObserveError::CreateKey(source)) => namespace_goes(source),
            Self::Apply(error) => error.is_of_a_namespace_that_goes(),
            _ => false,
        }
    }
}

/// Observe, validate, build, apply, scale, and report all of it in the status. Gives the time after which to do so
/// again although nothing happens; `None`: never.
pub(super) async fn reconcile(
    pipeline: &SignupPipeline,
    context: &Context,
    state: &mut PipelineState,
) -> Result<Option<Duration>, ReconcileError> {
    let client = &context.client;
    let is_edited = state.generation.replace(pipeline.metadata.generation) != Some(pipeline.metadata.generation);
    let sources = Sources { client, view: &context.view, named: &context.named, all: &context.all };
    let mut observed = observe(sources, pipeline, is_edited).await?;
    // First: their mails wait for it.
    state.ended.tell(&observed.pods, || Endpoint::new(&pipeline.spec.redis, &observed.secrets()));
    let desired = desired(pipeline, context, &observed, state).await?;
    let version = version(pipeline, &observed);
    let mut looks: Vec<Duration> = Vec::new();
    looks.extend(state.pod_events.look(client, &observed.pods, Timestamp::now()).await);
    looks.extend(state.edge.look(client, pipeline, &mut observed).await);
    let mut applied = apply_children(context, pipeline, &observed, desired, state).await;
    if applied.failure.as_ref().is_some_and(ReconcileError::is_of_a_namespace_that_goes) {
        return Ok(None);
    }
    let reports = context.pods.reports(&observed.pods).await;
    if applied.findings.is_empty() && !pipeline.spec.paused {
        match sync_pods(client, &observed, &reports, &version, state).await {
            Ok(again) => looks.extend(again),
            Err(failure) => applied.failure = Some(failure),
        }
    }
    looks.extend(state.applied.next_look());
    let scaling = scaling(context, pipeline, &observed, &reports, state).await;
    let failure = applied.failure.take();
    let outcome = Outcome { observed, applied, reports, config: version.config, scaling };
    looks.extend(tell(context, pipeline, outcome, state).await?);
    failure.map_or(Ok(looks.into_iter().min()), Err)
}

async fn sync_pods(
    client: &Client,
    observed: &Observed,
    reports: &[Report],
    version: &Version,
    state: &mut PipelineState,
) -> Result<Option<Duration>, ReconcileError> {
    let synced = sync(client, &observed.pods, reports, state.version.as_ref(), version).await;
    let again = synced.map_err(|error| ReconcileError::Sync(Box::new(error)))?;
    state.version = Some(version.clone());
    Ok(again)
}

/// Covers all files of the pods but the document: Secrets, and the ConfigMap with the texts of the mails.
fn version(pipeline: &SignupPipeline, observed: &Observed) -> Version {
    let uid = pipeline.uid().unwrap_or_default();
    let content = observed.found.iter().filter_map(|(_, resolved)| match resolved {
        Resolved::Found(content) => Some(content),
        Resolved::Missing | Resolved::Forbidden => None,
    });
    let chunks = content.flat_map(|content| content.iter()).flat_map(|(key, value)| [key.as_bytes(), value]);
    // A document that cannot be built is a finding already.
    let config = build::configuration(pipeline).map(|(_, hash)| hash).unwrap_or_default();
    Version { config, secrets: hash(std::iter::once(uid.as_bytes()).chain(chunks)) }
}
