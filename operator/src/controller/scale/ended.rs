//! Workers that are known to have ended, whose mails others send without waiting for a lease to run out.
//!
//! Takes: pods as kubelet reports them, and the workers' heartbeats in Redis. Gives: word of those that ended, in
//! Redis; the living workers act on it. Does not: guess. A pod that is gone, or whose node is silent, may run on; only
//! kubelet sees the end of a container, and says so in the container's `state` or `lastState`.

use super::Endpoint;
use crate::{build::names::Component, controller::observe::pods};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use queue::{Connection, Inspector, ServerInfo, Supervisor};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Heartbeats of who has ended are there for 5 to 10 s, so nothing is gained by waiting longer.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

/// What kubelet writes of a container that it did not find any more: it does not know.
const UNKNOWN: &str = "ContainerStatusUnknown";

/// The longest host name; kubelet shortens a pod's name to it.
const MAX_HOST_LETTERS: usize = 63;

/// The ends that were dealt with.
#[derive(Debug, Default)]
pub(in crate::controller) struct EndedWorkers {
    containers: HashSet<String>,
}

/// The end of one container of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EndedContainer {
    host: String,
    finished_at: Timestamp,
}

impl EndedWorkers {
    /// Has those told, beside the reconcile, that were not there before.
    pub(in crate::controller) fn tell(&mut self, pods: &[Arc<Pod>], endpoint: impl FnOnce() -> Endpoint) {
        let news = self.news(pods);
        if news.is_empty() {
            return;
        }
        // What is wrong with the Secrets is told by whoever reads the queues.
        if let Ok(connection) = endpoint().open() {
            tokio::spawn(tell(connection, news));
        }
    }

    /// Ends that were not there before.
    fn news(&mut self, pods: &[Arc<Pod>]) -> Vec<EndedContainer> {
        let all: Vec<_> = pods.iter().filter(|pod| is_worker(pod)).flat_map(ended).collect();
        let is_new = |(id, _): &&(String, EndedContainer)| !self.containers.contains(id);
        let news = all.iter().filter(is_new).map(|(_, container)| container.clone()).collect();
        self.containers = all.into_iter().map(|(id, _)| id).collect();
        news
    }
}

/// Says which servers were in those containers. Where that fails, leases run out by themselves as they do without us.
async fn tell(connection: Connection, containers: Vec<EndedContainer>) {
    let (inspector, supervisor) = (Inspector::new(connection.clone()), Supervisor::new(connection));
    let telling = async {
        let servers = servers(&inspector.servers().await?, &containers);
        supervisor.ended(&servers).await.map(|()| servers)
    };
    match timeout(TELL_TIMEOUT, telling).await {
        Ok(Ok(servers)) if servers.is_empty() => {}
        Ok(Ok(servers)) => tracing::info!(?servers, "told that workers have ended, others send their mails"),
        Ok(Err(error)) if error.is_unreachable() => {
            tracing::warn!(%error, "mails of a worker that ended wait for its lease, Redis does not answer");
        }
        Ok(Err(error)) => {
            let fix = "allow the operator's user ~asynq:ended, ~asynq:draining and &asynq:wake:*";
            tracing::warn!(%error, fix, "mails of a worker that ended wait for its lease, Redis refuses to be told");
        }
        Err(_) => tracing::warn!("mails of a worker that ended wait for its lease, Redis does not answer in time"),
    }
}

/// Whether a pod is one of the workers.
pub(super) fn is_worker(pod: &Pod) -> bool {
    pods::component(pod) == Some(Component::Worker)
}

fn ended(pod: &Arc<Pod>) -> Vec<(String, EndedContainer)> {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let own = statuses.filter(|status| status.name == Component::Worker.name());
    let states = own.flat_map(|status| [&status.state, &status.last_state]).flatten();
    states.filter_map(|state| ended_container(&pod.name_any(), state.terminated.as_ref()?)).collect()
}

fn ended_container(pod: &str, terminated: &ContainerStateTerminated) -> Option<(String, EndedContainer)> {
    let id = terminated.container_id.clone().filter(|id| !id.is_empty())?;
    if terminated.reason.as_deref() == Some(UNKNOWN) {
        return None;
    }
    Some((id, EndedContainer { host: host(pod), finished_at: terminated.finished_at.as_ref()?.0 }))
}

/// The host name in a pod of this name, as its worker knows it.
pub(super) fn host(pod: &str) -> String {
    let host: String = pod.chars().take(MAX_HOST_LETTERS).collect();
    host.trim_end_matches(['-', '.']).to_owned()
}

/// The servers that had started by the time a container of their host ended. One that started in its place did so
/// later; should the clocks differ by more, it denies its end.
fn servers(alive: &[ServerInfo], containers: &[EndedContainer]) -> Vec<String> {
    let has_ended = |server: &&ServerInfo| {
        let had_started = |end: &EndedContainer| server.started_at.is_some_and(|at| at <= end.finished_at);
        containers.iter().any(|container| container.host == server.host && had_started(container))
    };
    alive.iter().filter(has_ended).map(ServerInfo::identity).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::build::names::COMPONENT;
    use serde_json::{Value, json};

    fn pod(name: &str, component: &str, statuses: Value) -> Arc<Pod> {
        let labels = json!({COMPONENT: component});
        let pod = json!({"metadata": {"name": name, "labels": labels}, "status": {"containerStatuses": statuses}});
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    fn container(name: &str, state: Value, last_state: Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 1, "state": state,
            "lastState": last_state})
    }

    fn terminated(id: &str, reason: &str) -> Value {
        json!({"terminated": {"containerID": id, "exitCode": 137, "reason": reason,
            "finishedAt": "2026-11-30T09:00:10Z"}})
    }

    fn hosts(news: &[EndedContainer]) -> Vec<&str> {
        news.iter().map(|end| end.host.as_str()).collect()
    }

    /// The heartbeat of a worker with that start.
    pub(in crate::controller::scale) fn server(host: &str, id: &str, started: &str) -> ServerInfo {
        ServerInfo {
            host: host.to_owned(),
            pid: 1,
            id: id.to_owned(),
            concurrency: 16,
            queues: [].into(),
            strict_priority: false,
            status: "active".to_owned(),
            started_at: started.parse().ok(),
            running: 1,
        }
    }

    #[test]
    fn each_end_of_a_worker_that_kubelet_saw_is_told_once() {
        let mut known = EndedWorkers::default();
        let killed = [pod("w-1", "worker", json!([container("worker", terminated("c://1", "OOMKilled"), json!({}))]))];
        assert_eq!(hosts(&known.news(&killed)), ["w-1"]);
        let running = json!({"running": {}});
        let again = [pod("w-1", "worker", json!([container("worker", running, terminated("c://1", "OOMKilled"))]))];
        assert_eq!(known.news(&again), []);
        let twice = container("worker", terminated("c://2", "Error"), terminated("c://1", "OOMKilled"));
        assert_eq!(known.news(&[pod("w-1", "worker", json!([twice]))]).len(), 1);
    }

    #[test]
    fn nothing_is_known_of_pods_that_are_gone_or_silent_or_of_containers_that_kubelet_lost() {
        let mut known = EndedWorkers::default();
        let lost = container("worker", terminated("c://1", UNKNOWN), json!({}));
        let sidecar = container("proxy", terminated("c://2", "Error"), json!({}));
        let waiting = container("worker", json!({"waiting": {"reason": "CrashLoopBackOff"}}), json!({}));
        let unnamed = container("worker", json!({"terminated": {"exitCode": 0}}), json!({}));
        let pods = [
            pod("w-1", "worker", json!([lost, sidecar, waiting, unnamed])),
            pod("a-1", "api", json!([container("worker", terminated("c://3", "Error"), json!({}))])),
        ];
        assert_eq!(known.news(&pods), []);
        assert_eq!(known.news(&[]), []);
    }

    #[test]
    fn the_server_that_ended_is_told_from_the_one_that_started_in_its_place() {
        let long = "p".repeat(62) + "-abcde";
        let alive = [
            server("w-1", "dead", "2026-11-30T08:00:00Z"),
            server("w-1", "next", "2026-11-30T09:00:10.7Z"),
            server("w-2", "other", "2026-11-30T08:00:00Z"),
            server(&"p".repeat(62), "long", "2026-11-30T08:00:00Z"),
        ];
        let mut known = EndedWorkers::default();
        let ended =
            |name: &str, id| pod(name, "worker", json!([container("worker", terminated(id, "Error"), json!({}))]));
        let news = known.news(&[ended("w-1", "c://1"), ended(&long, "c://2")]);
        assert_eq!(servers(&alive, &news), ["w-1:1:dead", &format!("{}:1:long", "p".repeat(62))]);
    }
}
