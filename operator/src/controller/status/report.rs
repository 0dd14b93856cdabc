//! Writes what happened: the status, and events on transitions.
//!
//! Takes: a new status. Gives: one patch of the status subresource when something worth reading changed, and the events
//! that `events` chooses. Does not: repeat an event while nothing changes.

use super::{FIGURES_INTERVAL, condition::due, events::Waiting, stored::Stored, webhook_changes::Changes};
use crate::{
    build::names::FIELD_MANAGER,
    controller::recorder::Recorder,
    crd::{SignupPipeline, status::SignupPipelineStatus},
};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use pipeline::hash;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The API server may never answer, and an event is not worth to wait for: workers are scaled after it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The last status written, because the watch may lag behind it.
#[derive(Debug, Default)]
pub struct Written {
    status: Option<SignupPipelineStatus>,
    at: Option<Instant>,
    /// As the API server answered to that write.
    stored: Option<Stored>,
    /// Somebody else has changed it since.
    is_foreign: bool,
    /// When such a change was put right last.
    put_right: Option<Instant>,
    waiting: Waiting,
    webhook_changes: Changes,
}

impl Written {
    /// The newest status known: the one written last, else the one of the resource.
    pub fn latest<'a>(&'a self, pipeline: &'a SignupPipeline) -> Option<&'a SignupPipelineStatus> {
        self.status.as_ref().or(pipeline.status.as_ref())
    }

    /// What the API server has of it, but for others.
    pub(in crate::controller) fn stored(&self) -> Option<Stored> {
        self.stored
    }

    /// Somebody else has changed it, so the next write comes whether or not there is news.
    pub(in crate::controller) fn is_foreign(&mut self) {
        self.is_foreign = true;
    }

    /// When somebody else's change is to be put right: at once, and not more often than figures are written, for they
    /// may write again and again.
    fn due_for_others(&self) -> Option<Duration> {
        let left = |at: Instant| FIGURES_INTERVAL.saturating_sub(at.elapsed());
        self.is_foreign.then(|| self.put_right.map_or(Duration::ZERO, left))
    }

    /// When the condition about webhooks changed lately.
    pub(in crate::controller) fn webhook_changes(&self) -> &Changes {
        &self.webhook_changes
    }

    /// Time until a warning has lasted for long enough to be published, or what is held back of webhooks may be told.
    pub fn next_news(&self) -> Option<Duration> {
        let now = Timestamp::now();
        self.waiting.next(now).into_iter().chain(self.webhook_changes.next_look(now)).min()
    }

    /// Writes `status` when it is worth it; gives the time after which it will be, `None`: it was written, or will not
    /// be.
    ///
    /// # Errors
    ///
    /// The API server's. A resource that is gone is no error.
    pub async fn write(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        status: SignupPipelineStatus,
    ) -> Result<Option<Duration>, kube::Error> {
        let age = self.at.map(|at| at.elapsed());
        let news = due(self.latest(pipeline), &status, age, Timestamp::now());
        match news.into_iter().chain(self.due_for_others()).min() {
            Some(Duration::ZERO) => {}
            later => return Ok(later),
        }
        let api: Api<SignupPipeline> = Api::namespaced(client.clone(), &pipeline.namespace().unwrap_or_default());
        let api_version = SignupPipeline::api_version(&());
        let patch = json!({"apiVersion": api_version, "kind": SignupPipeline::kind(&()), "status": status});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api.patch_status(&pipeline.name_any(), &params, &Patch::Apply(&patch)).await {
            Ok(stored) => self.stored = Stored::of(&stored),
            Err(kube::Error::Api(error)) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        self.webhook_changes.note(self.status.as_ref().or(pipeline.status.as_ref()), &status, Timestamp::now());
        (self.status, self.at) = (Some(status), Some(Instant::now()));
        if std::mem::take(&mut self.is_foreign) {
            self.put_right = self.at;
        }
        Ok(None)
    }
}

/// Publishes what differs from the latest status. An event that fails is logged: it is not worth another reconcile.
pub async fn publish_transitions(
    recorder: &Recorder,
    pipeline: &SignupPipeline,
    written: &mut Written,
    status: &SignupPipelineStatus,
) {
    let before = written.latest(pipeline).map(|status| status.conditions.clone()).unwrap_or_default();
    for (condition, warning) in written.waiting.due(&before, &status.conditions, Timestamp::now()) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let note = format!("{} is {}: {}", condition.type_, condition.status, condition.message);
        let action = format!("{}{}", condition.type_, condition.status);
        publish(recorder, pipeline, type_, &condition.reason, &action, note).await;
    }
}

/// Publishes one event. One with the same reason and action as another of the last minutes is counted as its
/// repetition, with the note of the first, so another note makes another action.
pub async fn publish(
    recorder: &Recorder,
    pipeline: &SignupPipeline,
    type_: EventType,
    reason: &str,
    action: &str,
    note: String,
) {
    // events.k8s.io/v1: at most 1 kB of note and 128 characters of action.
    let note: String = note.chars().take(900).collect();
    let words = hash([note.as_bytes()]);
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: action.chars().take(111).chain(['-']).chain(words.chars()).collect(),
        secondary: None,
    };
    match timeout(TIMEOUT, recorder.publish(&event, &pipeline.object_ref(&()))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, reason, "an event could not be published"),
        Err(_) => tracing::warn!(reason, "an event could not be published: the API server does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{Request, Response};
    use kube::{client::Body, runtime::events::Reporter};
    use std::{convert::Infallible, future::pending};

    #[tokio::test(start_paused = true)]
    async fn an_event_is_not_waited_for_where_the_api_server_does_not_answer() {
        let silent = tower::service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let recorder = Recorder::new(Client::new(silent, "default"), Reporter::from("test"));
        let text = include_str!("../../../../samples/minimal.yaml");
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        pipeline.metadata.namespace = Some("default".to_owned());
        let told = publish(&recorder, &pipeline, EventType::Normal, "Scaled", "Scale1To2", "1 -> 2".to_owned());
        timeout(Duration::from_secs(60), told).await.expect("it ends by itself");
    }
}
