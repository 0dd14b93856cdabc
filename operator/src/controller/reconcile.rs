//! One reconcile of one pipeline.
//!
//! Takes: the resource. Gives: observe, validate, build, apply, configure pods, scale, report, in this order; trouble in a
//! step is reported in the status before it is an error. Does not: apply anything while something is missing.

mod restarts;

use super::{
    Context,
    apply::{self, ApplyError},
    endpoints,
    facts::{self, Facts},
    nudge::nudge,
    observe::{ObserveError, Observed, observe},
    pods::Version,
    reason::{self, Finding},
    report::{self, Written},
    scaler::{Scaler, Scaling},
    status::status,
    validate::{Lookup, validate},
};
use crate::{
    build::{
        self, Inputs,
        checksum::hash,
        child::{Child, Kind},
    },
    crd::SignupPipeline,
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::events::EventType};

/// What is remembered of a pipeline between reconciles.
#[derive(Debug, Default)]
pub(super) struct Memory {
    applied: apply::Memory,
    templates: restarts::Templates,
    version: Option<Version>,
    scaler: Scaler,
    written: Written,
}

/// A reconcile that has to be done again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// The cluster could not be observed.
    #[error("failed to observe")]
    Observe(#[from] ObserveError),
    /// A child could not be applied.
    #[error("failed to apply")]
    Apply(#[from] ApplyError),
    /// A pod could not be told to look at its files.
    #[error("failed to patch a pod")]
    Nudge(#[source] Box<kube::Error>),
    /// A step did not end in time.
    #[error("failed to end in time: the API server does not answer")]
    TooSlow,
    /// The status could not be written.
    #[error("failed to write the status")]
    Status(#[source] Box<kube::Error>),
}

pub(super) async fn reconcile(
    pipeline: &SignupPipeline,
    context: &Context,
    memory: &mut Memory,
) -> Result<(), ReconcileError> {
    let client = &context.client;
    let observed = observe(client, &context.view, pipeline).await?;
    let image = observed.image.as_ref().unwrap_or(&context.image);
    let inputs = endpoints::inputs(pipeline, &observed.secrets(), image);
    let version = version(pipeline, &observed);
    let mut applied = apply_children(context, pipeline, &observed, &inputs, memory).await;
    let reports = context.pods.ask(&observed.pods).await;
    if applied.findings.is_empty() && !pipeline.spec.paused {
        let nudged = nudge(client, &observed.pods, &reports, memory.version.as_ref(), &version).await;
        match nudged {
            Ok(()) => memory.version = Some(version.clone()),
            Err(error) => applied.failure = Some(ReconcileError::Nudge(Box::new(error))),
        }
    }
    let mut scaling = memory.scaler.scale(client, pipeline, &observed).await;
    tell_scaling(context, pipeline, &scaling).await;
    scaling.trouble = scaling.trouble.or_else(|| shared_redis(context, pipeline, &observed));
    let outdated = context.definition.finding().await;
    let facts = Facts {
        findings: &applied.findings,
        leaves: &applied.leaves,
        outdated: outdated.as_ref(),
        newer_image: newer_image(pipeline, image, &context.image),
        reports: &reports,
        config: &version.config,
        ..facts::of_the_cluster(pipeline, &observed, &memory.applied, &scaling)
    };
    write_status(context, pipeline, &facts, &mut memory.written).await?;
    applied.failure.map_or(Ok(()), Err)
}

/// What came of an attempt to apply the children.
#[derive(Default)]
struct Applied {
    findings: Vec<Finding>,
    leaves: Vec<(Kind, Finding)>,
    failure: Option<ReconcileError>,
}

/// Nothing is applied while something is missing.
async fn apply_children(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    inputs: &Inputs,
    memory: &mut Memory,
) -> Applied {
    let findings = validate(observed.found.iter().map(|(demand, lookup)| (demand, lookup)));
    let mut applied = Applied { findings, ..Applied::default() };
    let desired = match build::children(pipeline, inputs) {
        Ok(desired) => desired,
        Err(error) => {
            applied.findings.push(Finding::usual(reason::CONFIG_INVALID, error));
            return applied;
        }
    };
    if applied.findings.is_empty() && !pipeline.spec.paused {
        tell_restarts(context, pipeline, observed, &desired, &memory.templates).await;
        match apply::apply(&context.client, &desired, &observed.children, &mut memory.applied).await {
            Ok(leaves) => {
                applied.leaves = leaves;
                memory.templates = restarts::templates(&desired);
            }
            Err(error) => {
                applied.findings.push(error.finding());
                applied.failure = Some(ReconcileError::Apply(error));
            }
        }
    }
    applied
}

/// The operator's own image, when pods keep the one that the pipeline began with.
fn newer_image<'a>(pipeline: &SignupPipeline, kept: &str, own: &'a str) -> Option<&'a str> {
    (pipeline.spec.image.is_none() && kept != own).then_some(own)
}

/// Covers all files of the pods but the document: Secrets, and the ConfigMap with the texts of the mails.
fn version(pipeline: &SignupPipeline, observed: &Observed) -> Version {
    let uid = pipeline.uid().unwrap_or_default();
    let content = observed.found.iter().filter_map(|(_, lookup)| match lookup {
        Lookup::Found(content) => Some(content),
        Lookup::Missing | Lookup::Forbidden => None,
    });
    let parts = content.flat_map(|content| content.iter()).flat_map(|(key, value)| [key.as_bytes(), value]);
    // A document that cannot be built is a finding already.
    let config = build::configuration(pipeline).map(|(_, hash)| hash).unwrap_or_default();
    Version { config, secrets: hash(std::iter::once(uid.as_bytes()).chain(parts)) }
}

/// Before pods are replaced, an event names the field that running processes cannot take.
async fn tell_restarts(
    context: &Context,
    pipeline: &SignupPipeline,
    observed: &Observed,
    desired: &[Child],
    before: &restarts::Templates,
) {
    for (part, child) in restarts::deployments(desired) {
        let Some(seen) = observed.child(Kind::Deployment, child.name()) else { continue };
        let (template, observed) = (restarts::template(&child.object), restarts::template(seen));
        let causes = restarts::causes(part, template, before.get(&part), observed);
        if causes.is_empty() {
            continue;
        }
        let note = format!("pods of {} are replaced, because {} changed", child.name(), causes.join(" and "));
        let action = format!("Restart{}{}", child.name(), hash([template.to_string().as_bytes()]));
        report::tell(&context.recorder, pipeline, EventType::Normal, reason::RESTARTING.name(), &action, note).await;
    }
}

/// Two pipelines in one database would take each other's tasks.
fn shared_redis(context: &Context, pipeline: &SignupPipeline, observed: &Observed) -> Option<Finding> {
    let database = endpoints::redis_identity(pipeline, &observed.secrets());
    let other = context.known.share(pipeline, database)?;
    Some(Finding::redis_shared(&other))
}

async fn tell_scaling(context: &Context, pipeline: &SignupPipeline, scaling: &Scaling) {
    if let (Some((from, to)), Some(decision)) = (scaling.changed, &scaling.decision) {
        let note = format!("workers: {from} -> {to} ({})", decision.explanation);
        let action = format!("Scale{from}To{to}");
        report::tell(&context.recorder, pipeline, EventType::Normal, reason::SCALED.name(), &action, note).await;
    }
}

async fn write_status(
    context: &Context,
    pipeline: &SignupPipeline,
    facts: &Facts<'_>,
    written: &mut Written,
) -> Result<(), ReconcileError> {
    let previous = written.latest(pipeline).cloned();
    let mut known = pipeline.clone();
    known.status.clone_from(&previous);
    let new = status(
        &Facts { pipeline: &known, api: facts.api.clone(), worker: facts.worker.clone(), ..*facts },
        Timestamp::now(),
    );
    report::tell_transitions(&context.recorder, pipeline, written, &new).await;
    let result = written.write(&context.client, pipeline, new).await;
    result.map_err(|error| ReconcileError::Status(Box::new(error)))
}
