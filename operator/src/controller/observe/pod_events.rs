//! What the kubelet and others say of pods in Events alone: probes that fail, volumes that cannot be mounted.
//!
//! Takes: pods. Gives: the events of those that have waited for a while, read by the pod they are about. Does not:
//! watch events, read those of pods that are ready, or keep them once a pod is.

use super::pods::is_live;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A pod that is not ready after this time is worth a look.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// Time between two looks at one pod.
const INTERVAL: Duration = Duration::from_secs(10);
/// A roll-out has one cause, and the events of the first pods tell it.
const MAX_PODS: usize = 3;
/// Events of one pod in one answer.
const MAX_EVENTS: u32 = 100;

/// One event of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Such as `Unhealthy` or `FailedMount`.
    pub reason: String,
    /// The words of who wrote it.
    pub message: String,
    /// When it last happened.
    pub at: Option<Timestamp>,
    /// The container that it is about.
    pub container: Option<String>,
}

/// Warnings about pods that are not ready, by the pod's uid, newest first.
#[derive(Debug, Default)]
pub struct PodEvents {
    by_pod: BTreeMap<String, (Instant, Vec<Told>)>,
    /// The right to list events is missing.
    pub is_forbidden: bool,
}

impl PodEvents {
    /// Of one pod.
    pub(crate) fn of(&self, pod: &Pod) -> &[Told] {
        self.by_pod.get(pod.metadata.uid.as_deref().unwrap_or_default()).map_or(&[], |(_, told)| told)
    }

    /// Reads what is not known yet, or no longer. A look that fails is made again at the next one. Gives the time to
    /// the next look; `None`: no pod waits.
    pub(crate) async fn look(&mut self, client: &Client, pods: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
        let unready: Vec<&Arc<Pod>> = pods.iter().filter(|pod| is_live(pod) && !is_ready(pod)).collect();
        self.by_pod.retain(|uid, _| unready.iter().any(|pod| pod.metadata.uid.as_deref() == Some(uid)));
        for pod in unready.iter().filter(|pod| waited(pod, now) >= WAIT).take(MAX_PODS) {
            let uid = pod.uid().unwrap_or_default();
            if self.by_pod.get(&uid).is_some_and(|(at, _)| at.elapsed() < INTERVAL) {
                continue;
            }
            match list(client, pod, &uid).await {
                Ok(told) => {
                    self.is_forbidden = false;
                    self.by_pod.insert(uid, (Instant::now(), told));
                }
                Err(kube::Error::Api(status)) if status.is_forbidden() => self.is_forbidden = true,
                Err(error) => tracing::debug!(%error, "the events of a pod could not be listed"),
            }
        }
        (!unready.is_empty()).then_some(INTERVAL)
    }

    #[cfg(test)]
    pub(crate) fn told(uid: &str, told: Vec<Told>) -> Self {
        Self { by_pod: BTreeMap::from([(uid.to_owned(), (Instant::now(), told))]), is_forbidden: false }
    }
}

/// How long a pod has not been ready.
pub(crate) fn waited(pod: &Pod, now: Timestamp) -> Duration {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let since = ready.and_then(|ready| ready.last_transition_time.clone()).or(pod.metadata.creation_timestamp.clone());
    since.map_or(Duration::ZERO, |since| now.duration_since(since.0).unsigned_abs())
}

/// Whether its condition Ready is True.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn list(client: &Client, pod: &Pod, uid: &str) -> Result<Vec<Told>, kube::Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MAX_EVENTS);
    let mut told: Vec<Told> = api
        .list(&params)
        .await?
        .items
        .into_iter()
        .filter(|event| event.type_.as_deref() == Some("Warning"))
        .map(read)
        .collect();
    told.sort_by_key(|told| std::cmp::Reverse(told.at));
    Ok(told)
}

fn read(event: Event) -> Told {
    let last = event.series.and_then(|series| series.last_observed_time).or(event.event_time).map(|at| at.0);
    let path = event.involved_object.field_path.unwrap_or_default();
    let container = path.split_once('{').map(|(_, name)| name.trim_end_matches('}').to_owned());
    Told {
        reason: event.reason.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
        at: last.max(event.last_timestamp.map(|at| at.0)),
        container,
    }
}
