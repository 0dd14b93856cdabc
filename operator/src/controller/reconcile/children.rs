//! Builds the children and applies them.
//!
//! Takes: the resource and what was observed. Gives: the children as they should be, and what came of applying them.
//! Does not: apply anything while something is missing, or touch pods.

use super::{
    super::{
        Context,
        apply::{LastApplied, apply, differ, restarts},
        endpoints,
        observe::Observed,
        reason::{self, Finding},
        status::report,
        validate::validate,
    },
    PipelineState, ReconcileError,
};
use crate::{
    build::{
        self,
        child::{Child, Kind},
    },
    crd::SignupPipeline,
};
use kube::{ResourceExt, runtime::events::EventType};
use pipeline::{document::InvalidDocument, hash};

/// The children as they should be, without those that another pipeline's, or somebody else's, stand in the way of.
pub(super) async fn desired(
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
pub(super) fn image<'a>(context: &'a Context, observed: &'a Observed) -> &'a str {
    observed.image.as_deref().unwrap_or(&context.image)
}

/// What came of an attempt to apply the children.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) findings: Vec<Finding>,
    pub(super) held_back: bool,
    pub(super) best_effort: Vec<(Kind, Finding)>,
    pub(super) failure: Option<ReconcileError>,
}

/// Nothing is applied while something is missing, or the children cannot be built.
pub(super) async fn apply_children(
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
