//! One reconcile of one pipeline.
//!
//! Takes: the resource. Gives: observe, validate, build, apply, sync pods, scale, report, in this order; trouble in a
//! step is reported in the status before it is an error. Does not: apply anything while something is missing.

use super::{
    Context,
    apply::{ApplyError, LastApplied, apply, differ, namespace_goes, restarts, sync::sync},
    edge::Edge,
    endpoints,
    namespace::NamespaceUid,
    observe::{
        ObserveError, Observed, Sources, observe,
        pod_events::PodEvents,
        pods::{self, Report, Version},
    },
    reason::{self, Finding},
    scale::{EndedWorkers, Endpoint, Evaluation, Inputs, Scaling, known_as},
    status::{
        autoscaler::inactive,
        events::trouble,
        exposure::next_certificate_poll,
        facts::Facts,
        pods::{calm, steady},
        progress::next_look,
        readiness::end_of_start,
        report::{self, Written},
        rollout::rollouts,
        status,
    },
    turns::Name,
    validate::{Resolved, validate},
};
use crate::{
    build::{
        self,
        child::{Child, Kind},
    },
    crd::{SignupPipeline, status::SignupPipelineStatus},
};
use jiff::Timestamp;
use kube::{Client, ResourceExt, runtime::events::EventType};
use pipeline::{document::InvalidDocument, hash};
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

/// What the status is made of.
struct Outcome {
    observed: Observed,
    applied: Applied,
    reports: Vec<Report>,
    /// Hash of the configuration that the pods should have.
    config: String,
    scaling: Arc<Scaling>,
}

/// Writes the status, and gives the times after which it may say something else although nothing happens.
async fn tell(
    context: &Context,
    pipeline: &SignupPipeline,
    outcome: Outcome,
    state: &mut PipelineState,
) -> Result<Vec<Duration>, ReconcileError> {
    let Outcome { observed, applied, reports, config, scaling } = outcome;
    let (outdated, previous) = (context.definition.finding(), state.written.latest(pipeline).cloned());
    let [api, worker] = rollouts(pipeline, &observed, &state.applied, &scaling);
    let now = Timestamp::now();
    let (inactive, autoscaler_look) = inactive(pipeline, &observed, now);
    let left_alone = left_alone(pipeline, &observed, &state.applied).chain(inactive).collect::<Vec<_>>();
    let facts = Facts {
        pipeline,
        previous: previous.as_ref(),
        findings: &applied.findings,
        held_back: applied.held_back,
        best_effort: &applied.best_effort,
        left_alone: &left_alone,
        outdated: outdated.as_ref(),
        newer_image: newer_image(pipeline, image(context, &observed), &context.image),
        observed: &observed,
        api,
        worker,
        pod_events: &state.pod_events,
        reports: &steady(reports, &observed.pods, now),
        webhook_changes: state.written.webhook_changes(),
        config: &config,
        scaling: &scaling,
    };
    let status = status(&facts, now);
    let looks = looks(pipeline, &observed, &status, now);
    let trouble = trouble(&status.conditions);
    if trouble.is_some() && trouble != state.trouble {
        context.named.doubt(&Name::from_obj(pipeline));
    }
    state.trouble = trouble;
    let written = write_status(context, pipeline, status, &mut state.written).await?;
    Ok(looks.into_iter().chain([autoscaler_look, written, state.written.next_news()]).flatten().collect())
}

/// The times until what was seen says something else.
fn looks(
    pipeline: &SignupPipeline,
    observed: &Observed,
    status: &SignupPipelineStatus,
    now: Timestamp,
) -> [Option<Duration>; 4] {
    [
        next_look(status, pipeline.spec.progress_deadline.get(), now),
        next_certificate_poll(observed, now),
        end_of_start(&status.conditions, now),
        calm(&observed.pods, now),
    ]
}

/// What others set, and what is told of it.
fn left_alone(pipeline: &SignupPipeline, observed: &Observed, applied: &LastApplied) -> impl Iterator<Item = Finding> {
    observed.others.finding(pipeline).into_iter().chain(applied.left_alone())
}

/// The children as they should be, without those that another pipeline's, or somebody else's, stand in the way of.
async fn desired(
    pipeline: &SignupPipeline,
    context: &Context,
    observed: &Observed,
    state: &mut PipelineState,
) -> Result<Result<Vec<Child>, InvalidDocument>, ReconcileError> {
    let namespace_uid = state.namespace.get(&context.client, &pipeline.namespace().unwrap_or_default()).await?;
    let inputs = endpoints::inputs(pipeline, &observed.secrets(), image(context, observed));
    let is_api_scaled_by_others = observed.others.scale_api();
    let inputs = build::Inputs { namespace_uid, is_api_scaled_by_others, ..inputs };
    let mut desired = restarts::with_kept_defaults(pipeline, inputs, &observed.children, &state.templates);
    for children in desired.iter_mut() {
        observed.neighbours.restrict(children);
        observed.others.restrict(children);
    }
    Ok(desired)
}

/// The image of pods whose pipeline names none.
fn image<'a>(context: &'a Context, observed: &'a Observed) -> &'a str {
    observed.image.as_deref().unwrap_or(&context.image)
}

/// What came of an attempt to apply the children.
#[derive(Default)]
struct Applied {
    findings: Vec<Finding>,
    held_back: bool,
    best_effort: Vec<(Kind, Finding)>,
    failure: Option<ReconcileError>,
}

/// Nothing is applied while something is missing, or the children cannot be built.
async fn apply_children(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    desired: Result<Vec<Child>, InvalidDocument>,
    state: &mut PipelineState,
) -> Applied {
    let missing = validate(observed.found.iter().map(|(reference, resolved)| (reference, resolved)));
    let not_made = observed.neighbours.finding(pipeline);
    let mut applied = Applied { findings: missing, best_effort: not_made.into_iter().collect(), ..Applied::default() };
    let desired = match desired {
        Ok(desired) => desired,
        Err(error) => {
            applied.findings.push(Finding::with_default_fix(reason::CONFIG_INVALID, error));
            return applied;
        }
    };
    applied.held_back = pipeline.spec.paused && differ(&desired, &observed.children);
    if !applied.findings.is_empty() || pipeline.spec.paused {
        return applied;
    }
    publish_restarts(context, pipeline, observed, &desired, &state.templates).await;
    let done = apply(&context.client, &desired, &observed.children, &mut state.applied).await;
    publish_undone(context, pipeline, &mut state.applied).await;
    match done {
        Ok(best_effort) => {
            applied.best_effort.extend(best_effort);
            state.templates = restarts::templates(&desired);
        }
        Err(error) => {
            applied.findings.push(error.finding());
            applied.failure = Some(ReconcileError::Apply(error));
        }
    }
    applied
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

/// The operator's own image, when pods keep the one that the pipeline began with.
fn newer_image<'a>(pipeline: &SignupPipeline, kept: &str, own: &'a str) -> Option<&'a str> {
    (pipeline.spec.image.is_none() && kept != own).then_some(own)
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

/// Checksums of Secrets are salted with the uid of the resource, which is another one now.
const TAKEN_OVER: &str = "the pipeline was deleted without its children (--cascade=orphan) and made again: it takes \
    them over";

/// Before pods are replaced, an event names the field that running processes cannot take.
async fn publish_restarts(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    desired: &[Child],
    before: &restarts::Templates,
) {
    for (component, child) in restarts::deployments(desired) {
        let Some(seen) = observed.child(Kind::Deployment, child.name()) else { continue };
        let (template, observed) = (restarts::template(&child.object), restarts::template(seen));
        let causes = restarts::causes(component, template, before.get(&component), observed);
        if causes.is_empty() {
            continue;
        }
        let is_taken_over = seen.owner_references().is_empty();
        let cause = if is_taken_over { TAKEN_OVER.to_owned() } else { format!("{} changed", causes.join(" and ")) };
        let note = format!("pods of {} are replaced, because {cause}", child.name());
        let action = format!("Restart{}{}", child.name(), hash([template.to_string().as_bytes()]));
        report::publish(&context.recorder, pipeline, EventType::Normal, reason::RESTARTING.name(), &action, note).await;
    }
}

/// What somebody else wrote and was set back.
async fn publish_undone(context: &Context, pipeline: &SignupPipeline, applied: &mut LastApplied) {
    for note in applied.take_undone() {
        let reason = reason::FOREIGN_CHANGE_UNDONE.name();
        report::publish(&context.recorder, pipeline, EventType::Normal, reason, "SetBack", note).await;
    }
}

/// Two pipelines in one database would take each other's tasks.
fn shared_redis(context: &Context, pipeline: &SignupPipeline, observed: &Observed) -> Option<Finding> {
    let database = endpoints::redis_identity(pipeline, &observed.secrets());
    let (other, tell) = context.pipelines.share(pipeline, database);
    tell.into_iter().for_each(|name| context.turns.changed(name));
    other.map(|other| Finding::redis_shared(&other))
}

/// Hands over what is known to the evaluation, which the first reconcile begins; gives what came of it.
async fn scaling(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    reports: &[Report],
    state: &mut PipelineState,
) -> Arc<Scaling> {
    let title = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
    let inputs = Inputs {
        pipeline: evaluated(pipeline, &mut state.evaluated),
        endpoint: Endpoint::new(&pipeline.spec.redis, &observed.secrets()),
        known_as: known_as(&title, state.namespace.known()),
        shared: shared_redis(context, pipeline, observed),
        mail_connections: pods::mail_connections(reports),
    };
    state.evaluation.take_if(|evaluation| evaluation.has_ended());
    state.evaluation.get_or_insert_with(|| Evaluation::start(context.surroundings())).evaluate(inputs).await
}

/// The same one as before while the resource is not edited.
fn evaluated(pipeline: &SignupPipeline, known: &mut Option<Arc<SignupPipeline>>) -> Arc<SignupPipeline> {
    let is_same = |known: &Arc<SignupPipeline>| {
        let (known, newest) = (&known.metadata, &pipeline.metadata);
        (&known.uid, known.generation) == (&newest.uid, newest.generation)
    };
    let kept = known.take().filter(is_same).unwrap_or_else(|| {
        let (metadata, spec) = (pipeline.metadata.clone(), pipeline.spec.clone());
        Arc::new(SignupPipeline { metadata, spec, status: None })
    });
    Arc::clone(known.insert(kept))
}

async fn write_status(
    context: &Context,
    pipeline: &SignupPipeline,
    status: SignupPipelineStatus,
    written: &mut Written,
) -> Result<Option<Duration>, ReconcileError> {
    report::publish_transitions(&context.recorder, pipeline, written, &status).await;
    let uid = pipeline.uid().unwrap_or_default();
    if context.pipelines.begin_status(&uid) {
        written.is_foreign();
    }
    let result = written.write(&context.client, pipeline, status).await;
    if context.pipelines.end_status(&uid, written.stored()) {
        context.turns.changed(Name::from_obj(pipeline));
    }
    result.map_err(|error| ReconcileError::Status(Box::new(error)))
}
