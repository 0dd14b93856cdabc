//! Writes what happened: the status, and events on transitions.
//!
//! Takes: a new status. Gives: one patch of the status subresource when something worth reading changed, and an event for
//! each condition that changed. Does not: repeat an event while nothing changes.

use super::{
    condition::{is_worth_writing, transitions},
    reason::condition::is_good_when_true,
};
use crate::{
    build::names::FIELD_MANAGER,
    crd::{SignupPipeline, status::SignupPipelineStatus},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::json;
use std::time::Instant;

/// The last status written, because the watch may lag behind it.
#[derive(Debug, Default)]
pub struct Written {
    status: Option<SignupPipelineStatus>,
    at: Option<Instant>,
}

impl Written {
    /// The newest status known: the one written last, else the one of the resource.
    pub fn latest<'a>(&'a self, pipeline: &'a SignupPipeline) -> Option<&'a SignupPipelineStatus> {
        self.status.as_ref().or(pipeline.status.as_ref())
    }

    /// Writes `status` when it is worth it; gives the conditions that changed.
    ///
    /// # Errors
    ///
    /// The API server's. A resource that is gone is no error.
    pub async fn write(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        status: SignupPipelineStatus,
    ) -> Result<(), kube::Error> {
        let age = self.at.map(|at| at.elapsed());
        if !is_worth_writing(self.latest(pipeline), &status, age) {
            return Ok(());
        }
        let api: Api<SignupPipeline> = Api::namespaced(client.clone(), &pipeline.namespace().unwrap_or_default());
        let api_version = SignupPipeline::api_version(&());
        let patch = json!({"apiVersion": api_version, "kind": SignupPipeline::kind(&()), "status": status});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api.patch_status(&pipeline.name_any(), &params, &Patch::Apply(&patch)).await {
            Ok(_) => {}
            Err(kube::Error::Api(error)) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        (self.status, self.at) = (Some(status), Some(Instant::now()));
        Ok(())
    }
}

/// Tells the conditions that differ from `previous`. What cannot be told is logged: an event is not worth a reconcile.
pub async fn tell_transitions(
    recorder: &Recorder,
    pipeline: &SignupPipeline,
    previous: Option<&SignupPipelineStatus>,
    status: &SignupPipelineStatus,
) {
    let before = previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
    for condition in transitions(before, &status.conditions) {
        let type_ = match (is_good_when_true(&condition.type_), condition.status.as_str()) {
            (true, "False") | (false, "True") if condition.message.contains("Fix:") => EventType::Warning,
            _ => EventType::Normal,
        };
        // A first status tells everything once; only what is wrong is worth an event then.
        if before.is_empty() && type_ == EventType::Normal {
            continue;
        }
        let note = format!("{} is {}: {}", condition.type_, condition.status, condition.message);
        tell(recorder, pipeline, type_, &condition.reason, &format!("{}{}", condition.type_, condition.status), note)
            .await;
    }
}

/// Publishes one event.
pub async fn tell(
    recorder: &Recorder,
    pipeline: &SignupPipeline,
    type_: EventType,
    reason: &str,
    action: &str,
    note: String,
) {
    // events.k8s.io/v1: at most 1 kB of note and 128 characters of action.
    let note = note.chars().take(900).collect();
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: action.chars().take(128).collect(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &pipeline.object_ref(&())).await {
        tracing::warn!(%error, reason, "an event could not be published");
    }
}
