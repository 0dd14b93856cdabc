//! Workers whose heartbeat is not in Redis.
//!
//! Takes: the pods of a pipeline, and the heartbeats that there are. Gives: which of the others count as idle: those
//! whose containers have not started, and those that stayed silent for long enough. Does not: take a worker for idle
//! because Redis lost its heartbeat a moment ago: it is back with the next one, and may say that tasks run.

use super::ended;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use queue::ServerInfo;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A heartbeat comes every 5 s and is believed for 10 s.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The silent workers of one pipeline, by their pods' names.
#[derive(Debug, Default)]
pub(super) struct Silent {
    since: HashMap<String, Instant>,
}

impl Silent {
    /// The pods that count as idle.
    pub(super) fn idle(&mut self, pods: &[Arc<Pod>], servers: &[ServerInfo], now: Instant) -> Vec<String> {
        let is_heard = |name: &String| servers.iter().any(|server| server.host == ended::host(name));
        let silent = pods.iter().map(|pod| (pod.name_any(), pod)).filter(|(name, _)| !is_heard(name));
        let mut before = std::mem::take(&mut self.since);
        let mut idle = Vec::new();
        for (name, pod) in silent {
            let since = before.remove(&name).unwrap_or(now);
            self.since.insert(name.clone(), since);
            if !has_started(pod) || now.saturating_duration_since(since) >= TIMEOUT {
                idle.push((has_started(pod), name));
            }
        }
        idle.sort();
        idle.into_iter().map(|(_, name)| name).collect()
    }
}

fn has_started(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase != "Pending")
}

#[cfg(test)]
mod tests {
    use super::{super::ended::tests::server, *};
    use serde_json::json;

    fn pod(name: &str, phase: &str) -> Arc<Pod> {
        let pod = json!({"metadata": {"name": name}, "status": {"phase": phase}});
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn a_worker_without_a_heartbeat_is_waited_for_unless_it_has_not_started() {
        let (mut silent, start) = (Silent::default(), Instant::now());
        let pods = [pod("a", "Running"), pod("b", "Running"), pod("c", "Pending")];
        let heard = [server("b", "id", "2026-11-30T08:00:00Z")];
        let mut idle = |heard: &[ServerInfo], seconds| silent.idle(&pods, heard, start + Duration::from_secs(seconds));
        assert_eq!(idle(&heard, 0), ["c"]);
        assert_eq!(idle(&[], 10), ["c"], "Redis was emptied");
        assert_eq!(idle(&[], 15), ["c", "a"]);
        assert_eq!(idle(&heard, 20), ["c", "a"]);
        assert_eq!(idle(&[], 34), ["c", "a"], "it was heard in between");
        assert_eq!(idle(&[], 49), ["c", "a", "b"]);
    }
}
