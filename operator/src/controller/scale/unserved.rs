//! Queues whose tasks no worker takes.
//!
//! Takes: the queues as they were read, the pipeline's pods, and the workers' heartbeats in Redis. Gives: names of
//! queues in which tasks wait although workers live, none of which takes from them. Does not: ask while no task is
//! late; know anything of a pipeline none of whose workers has a heartbeat: those start, and will take from all queues.

use super::{Inputs, Surroundings, ended, redis};
use crate::{
    controller::{observe::pods::is_live, reason::Finding},
    crd::{SignupPipeline, autoscaling::AutoscalingMode},
};
use kube::ResourceExt;
use queue::{Inspector, QueueReading, ServerInfo};
use std::time::{Duration, Instant};

/// Workers take from a new queue as soon as they have the configuration, and say so in a heartbeat every 5 s.
const LATE: Duration = Duration::from_secs(10);

/// A heartbeat says nothing else before the next one.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The queues of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Unserved {
    /// While a task is late.
    inspector: Option<Inspector>,
    looked: Option<Instant>,
    names: Vec<String>,
}

impl Unserved {
    /// Looks for them where it has to; gives what is wrong.
    pub(super) async fn look(
        &mut self,
        surroundings: &Surroundings,
        inputs: &Inputs,
        queues: Option<&[(String, QueueReading)]>,
    ) -> Option<Finding> {
        let late = late(&inputs.pipeline, queues.unwrap_or_default());
        if late.is_empty() {
            *self = Self::default();
            return None;
        }
        let now = Instant::now();
        if self.looked.is_none_or(|at| now.saturating_duration_since(at) >= POLL_INTERVAL) {
            self.looked = Some(now);
            match self.servers(inputs).await {
                Ok(servers) => self.names = unserved(&late, &servers, &hosts(surroundings, &inputs.pipeline)),
                // Whoever reads the queues tells it.
                Err(error) => tracing::debug!(%error, "the workers' heartbeats cannot be read"),
            }
        }
        self.names.retain(|name| late.contains(name));
        self.names.first().map(|name| redis::unserved(name))
    }

    /// The queues whose tasks ask for no worker, because none would take them.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    async fn servers(&mut self, inputs: &Inputs) -> Result<Vec<ServerInfo>, queue::Error> {
        let inspector = match self.inspector.take() {
            Some(inspector) => inspector,
            None => Inspector::new(inputs.endpoint.open()?),
        };
        self.inspector.insert(inspector).servers().await
    }
}

/// Queues of the resource that are not paused, and whose next task has waited for long.
fn late(pipeline: &SignupPipeline, queues: &[(String, QueueReading)]) -> Vec<String> {
    let spec = &pipeline.spec;
    if spec.paused || spec.worker.autoscaling.mode != AutoscalingMode::Auto {
        return Vec::new();
    }
    let is_late = |reading: &QueueReading| {
        let since = reading.state.oldest_pending_since;
        since.is_some_and(|since| Duration::try_from(reading.at.duration_since(since)).is_ok_and(|age| age >= LATE))
    };
    let is_paused = |name: &str| spec.queues.iter().any(|queue| queue.name == name && queue.paused);
    let late = queues.iter().filter(|(name, reading)| is_late(reading) && !reading.state.paused && !is_paused(name));
    late.map(|(name, _)| name.clone()).collect()
}

fn hosts(surroundings: &Surroundings, pipeline: &SignupPipeline) -> Vec<String> {
    let pods = surroundings.view.pods(&pipeline.namespace().unwrap_or_default(), &pipeline.name_any());
    let workers = pods.iter().filter(|pod| ended::is_worker(pod) && is_live(pod));
    workers.map(|pod| ended::host(&pod.name_any())).collect()
}

/// Those of `late` that none of the servers takes from, while one of `hosts` has a server.
fn unserved(late: &[String], servers: &[ServerInfo], hosts: &[String]) -> Vec<String> {
    if !servers.iter().any(|server| hosts.contains(&server.host)) {
        return Vec::new();
    }
    let is_served = |name: &str| servers.iter().any(|server| server.queues.contains_key(name));
    late.iter().filter(|name| !is_served(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{super::ended::tests::server, *};
    use jiff::Timestamp;
    use queue::QueueState;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_queue_is_unserved_when_workers_of_the_pipeline_live_and_nobody_takes_from_it() {
        let taking = |host: &str, queues: &[&str]| {
            let queues = queues.iter().map(|queue| ((*queue).to_owned(), 1)).collect();
            ServerInfo { queues, ..server(host, "id", "2026-11-30T08:00:00Z") }
        };
        let (late, hosts) = (names(&["critical", "low"]), names(&["w-1"]));
        let found = |servers: &[ServerInfo]| unserved(&late, servers, &hosts);
        assert_eq!(found(&[taking("w-1", &["critical"])]), ["low"]);
        assert!(found(&[taking("w-1", &["critical"]), taking("elsewhere", &["low"])]).is_empty());
        assert!(found(&[taking("elsewhere", &["critical"])]).is_empty(), "its own workers start still");
        assert!(found(&[]).is_empty());
    }

    #[test]
    fn only_what_has_waited_for_long_and_may_be_taken_is_late() {
        let mut pipeline =
            crate::manifest::parse(include_str!("../../../../samples/minimal.yaml")).expect("valid").pipeline;
        let at: Timestamp = "2026-11-30T08:00:10Z".parse().expect("a time");
        let waiting = |since: &str| {
            let state = QueueState { pending: 1, oldest_pending_since: since.parse().ok(), ..QueueState::default() };
            QueueReading { state, at, ..QueueReading::default() }
        };
        let queues = [
            ("critical".to_owned(), waiting("2026-11-30T08:00:00Z")),
            ("default".to_owned(), waiting("2026-11-30T08:00:01Z")),
        ];
        assert_eq!(late(&pipeline, &queues), ["critical"]);
        pipeline.spec.queues.iter_mut().for_each(|queue| queue.paused = true);
        assert!(late(&pipeline, &queues).is_empty());
    }
}
