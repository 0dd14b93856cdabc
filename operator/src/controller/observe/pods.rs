//! What the running pods report on their admin ports.
//!
//! Takes: pods as their watch shows them. Gives: a [`Report`] per pod, and a turn for its pipeline when it changes: a
//! task per pod has one request there, which the pod holds until something changes (`ask`). Does not: change a pod;
//! `sync` does.

mod ask;
mod ask_old;
mod follow;

use self::follow::{Followed, Pod as Target};
use super::super::turns::{Name, Turns};
use crate::build::names::{ADMIN_PORT, COMPONENT, Component, INSTANCE};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    runtime::{reflector::ObjectRef, watcher},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// A reconcile waits so long for the first answers of pods that came just now, as all do when the operator starts.
const FIRST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that the mail server lets the workers have, as all of them were told; `None` while one of them met no
/// limit.
pub(in crate::controller) fn mail_connections(reports: &[Report]) -> Option<u32> {
    let works = reports.iter().filter_map(|report| match report.mail {
        Some(Mail::Works { connections }) => Some(connections),
        Some(Mail::Fails { .. }) | None => None,
    });
    let all: Vec<u32> = works.collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.iter().sum())
}

/// What a pod reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Name of the pod.
    pub pod: String,
    /// Its component; `None` for a pod without our label.
    pub component: Option<Component>,
    /// Hash of the configuration in force; `None` when the pod does not answer.
    pub hash: Option<String>,
    /// Why a newer configuration was refused.
    pub refused: Option<String>,
    /// Why mail templates were refused.
    pub templates: Option<String>,
    /// Whether it can do its job, or what is missing; `None` when the pod does not answer.
    pub ready: Option<Result<(), String>>,
    /// How the last dialogue with the mail server ended; `None` before the first one.
    pub mail: Option<Mail>,
    /// What its last requests to receivers of webhooks found.
    pub webhooks: Vec<Receiver>,
}

/// A receiver of webhooks, as a worker found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Host of its URL, with its port where one is written.
    pub host: String,
    /// Why it takes nothing; `None`: it does.
    pub failing: Option<NotTaken>,
}

/// Why a receiver takes no webhooks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotTaken {
    /// Since when.
    pub since: Option<Timestamp>,
    /// The worker's word for how far requests come: `connection`, `tls`, `refused`, ...; empty when unknown.
    pub fault: String,
    /// What happened, without what is secret of the URL.
    pub said: String,
}

/// A worker's last dialogue with the mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// The server works.
    Works {
        /// As many connections as it takes from this worker at once; `None` where no limit was met.
        connections: Option<u32>,
    },
    /// It does not.
    Fails {
        /// The step that ended the dialogue: `connect`, `greeting`, `tls`, `auth`, `mail`, ...; empty when unknown.
        phase: String,
        /// What the server said, without addresses and names, or what happened; `None` from a worker that is too old.
        said: Option<String>,
        /// The worker's word for what the server has against us: `helo`, `sender`, ...; `None` where it has none.
        fault: Option<String>,
    },
}

/// Keeps what the pods report.
pub(in crate::controller) struct Pods {
    followed: Mutex<HashMap<ObjectRef<Pod>, Followed>>,
    asker: ask::Asker,
    turns: Arc<Turns>,
}

impl Pods {
    /// # Errors
    ///
    /// The HTTP client's, when it cannot be set up.
    pub(in crate::controller) fn new(turns: Arc<Turns>) -> Result<Self, reqwest::Error> {
        Ok(Self { followed: Mutex::default(), asker: ask::Asker::new()?, turns })
    }

    /// Follows what the watch shows; `all` are the pods after the event.
    pub(super) fn note(&self, event: &watcher::Event<Pod>, all: impl FnOnce() -> Vec<Arc<Pod>>) {
        match event {
            watcher::Event::Apply(pod) => self.see(pod),
            watcher::Event::Delete(pod) => drop(self.followed.lock().remove(&ObjectRef::from_obj(pod))),
            watcher::Event::InitDone => {
                let all = all();
                self.followed.lock().retain(|known, _| all.iter().any(|pod| *known == ObjectRef::from_obj(&**pod)));
                all.iter().for_each(|pod| self.see(pod));
            }
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }

    fn see(&self, pod: &Pod) {
        let (name, mut followed) = (ObjectRef::from_obj(pod), self.followed.lock());
        let Some(target) = target(pod).filter(|_| is_live(pod)) else {
            followed.remove(&name);
            return;
        };
        match followed.get(&name).filter(|known| known.is_of(&target)) {
            Some(known) => known.see(readiness(pod)),
            None => {
                let started = Followed::start(target, readiness(pod), self.asker.clone(), Arc::clone(&self.turns));
                followed.insert(name, started);
            }
        }
    }

    /// What the live ones of these pods report, those without an answer included.
    pub(in crate::controller) async fn reports(&self, pods: &[Arc<Pod>]) -> Vec<Report> {
        let end = Instant::now() + FIRST_ANSWERS_TIMEOUT;
        let mut reports = Vec::new();
        for pod in pods.iter().filter(|pod| is_live(pod)) {
            let answer = self.followed.lock().get(&ObjectRef::from_obj(&**pod)).map(Followed::answer);
            let known = match answer {
                Some(mut answer) => match timeout_at(end, answer.wait_for(Option::is_some)).await {
                    Ok(Ok(known)) => known.clone(),
                    Ok(Err(_)) | Err(_) => None,
                },
                None => None,
            };
            reports.push(known.unwrap_or_else(|| Report::silent(pod)));
        }
        reports
    }
}

impl Report {
    /// Of a pod that does not answer.
    fn silent(pod: &Pod) -> Self {
        Self { pod: pod.name_any(), component: component(pod), ..Self::default() }
    }
}

/// The component of a pod, by its label.
pub(crate) fn component(pod: &Pod) -> Option<Component> {
    let is_it = |component: &Component| pod.labels().get(COMPONENT).is_some_and(|name| name == component.name());
    Component::ALL.into_iter().find(is_it)
}

/// `None` before the pod has an address.
fn target(pod: &Pod) -> Option<Target> {
    let pipeline = Name::new(pod.labels().get(INSTANCE)?).within(&pod.namespace()?);
    Some(Target { uid: pod.uid().unwrap_or_default(), silent: Report::silent(pod), address: address(pod)?, pipeline })
}

/// What the kubelet says of it, which differs after everything that makes another answer likely.
fn readiness(pod: &Pod) -> (bool, i32) {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let containers = status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
    let is_ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    (is_ready, containers.map(|container| container.restart_count).fold(0, i32::saturating_add))
}

/// Whether a pod has neither ended nor been deleted.
pub fn is_live(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn address(pod: &Pod) -> Option<SocketAddr> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(address, ADMIN_PORT))
}

/// Hashes of the configuration and the Secrets that the pods should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As the pods report it.
    pub config: String,
    /// Of all mounted Secrets, salted.
    pub secrets: String,
}
