//! Tells what a reconcile found.
//!
//! Takes: what was observed, applied and scaled. Gives: the status, written with its events, and the times after which
//! it may say something else although nothing happens. Does not: decide what a condition says (`status`).

use super::{
    super::{
        Context,
        apply::LastApplied,
        observe::{Observed, pods::Report},
        reason::Finding,
        scale::Scaling,
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
    },
    PipelineState, ReconcileError,
    children::{Applied, image},
};
use crate::crd::{SignupPipeline, status::SignupPipelineStatus};
use jiff::Timestamp;
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

/// What the status is made of.
pub(super) struct Outcome {
    pub(super) observed: Observed,
    pub(super) applied: Applied,
    pub(super) reports: Vec<Report>,
    /// Hash of the configuration that the pods should have.
    pub(super) config: String,
    pub(super) scaling: Arc<Scaling>,
}

/// Writes the status, and gives the times after which it may say something else although nothing happens.
pub(super) async fn tell(
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

/// The operator's own image, when pods keep the one that the pipeline began with.
fn newer_image<'a>(pipeline: &SignupPipeline, kept: &str, own: &'a str) -> Option<&'a str> {
    (pipeline.spec.image.is_none() && kept != own).then_some(own)
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
