//! Workers that leave one by one, so that none is stopped amid a mail.
//!
//! Takes: how many workers run and how many are wanted, their pods, and their heartbeats in Redis. Gives: marks in
//! Redis, by which chosen workers take no more mails; a deletion cost on the pods of those that are idle, by which the
//! ReplicaSet takes them; and how many workers there may be now. Does not: write the number; `scaling::Drain` chooses.
//!
//! An operator that ends leaves marks that last for a minute: the next one goes on with them, or they end.

mod events;

use self::events::Told;
use super::{Inputs, Surroundings, ended};
use crate::{
    controller::observe::pods::is_live,
    crd::autoscaling::AutoscalingMode,
    scaling::{Drain, Step},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use queue::{Inspector, ServerInfo, Supervisor};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A ReplicaSet removes pods of a lower cost first; that of others is 0.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const LEAVES: &str = "-1000";

/// Marks are renewed long before they end.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);

/// The workers of one pipeline that are leaving.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    drain: Drain,
    /// While some are.
    redis: Option<(Inspector, Supervisor)>,
    /// What was marked last, and when.
    marked: Option<(Vec<String>, Instant)>,
    told: Told,
}

/// How many workers there are, and should be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) running: u32,
    pub(super) desired: u32,
}

impl Leaving {
    /// How many workers there may be now. Where Redis cannot be told, as many as are wanted, or as many as run where
    /// the number follows the queue: then nothing is known that would allow to remove one.
    pub(super) async fn allowed(&mut self, surroundings: &Surroundings, inputs: &Inputs, number: Number) -> u32 {
        let Number { running, desired } = number;
        if self.redis.is_none() && desired >= running {
            return desired;
        }
        match self.go_on(surroundings, inputs, number).await {
            Ok(allowed) => allowed,
            Err(error) => {
                tracing::warn!(pipeline = inputs.pipeline.name_any(), %error, "workers cannot be asked to leave");
                let follows = inputs.pipeline.spec.worker.autoscaling.mode == AutoscalingMode::Auto;
                if follows && error.is_unreachable() { running.max(desired) } else { desired }
            }
        }
    }

    async fn go_on(
        &mut self,
        surroundings: &Surroundings,
        inputs: &Inputs,
        Number { running, desired }: Number,
    ) -> Result<u32, queue::Error> {
        let pipeline = &inputs.pipeline;
        let (namespace, name) = (pipeline.namespace().unwrap_or_default(), pipeline.name_any());
        let owner = format!("{namespace}/{name}");
        let now = Instant::now();
        let (inspector, supervisor) = self.connected(inputs, &owner, now).await?;
        let mut pods = surroundings.view.pods(&namespace, &name);
        pods.retain(|pod| ended::is_worker(pod) && is_live(pod));
        // Pods that go are there for a while when the number has fallen already.
        let total = count(pods.len()).max(running);
        let servers = newest(inspector.servers().await?, &pods);
        let surplus = total.saturating_sub(desired);
        let unknown = total.saturating_sub(count(servers.len())).min(surplus);
        let timeout = pipeline.spec.worker.autoscaling.drain.timeout.get();
        let step = self.drain.step(&servers, (surplus - unknown) as usize, timeout, now);
        self.mark(&supervisor, &owner, &step.marked, now).await?;
        self.set_costs(surroundings, &namespace, &pods, &step).await;
        for left in &step.left {
            metrics::histogram!("signup_operator_drain_seconds").record(left.after);
            if left.after >= timeout {
                metrics::counter!("signup_operator_tasks_interrupted_total").increment(left.running.into());
            }
        }
        self.told.step(&surroundings.recorder, pipeline, &step, total).await;
        if surplus == 0 {
            *self = Self::default();
        }
        Ok((total - unknown - count(step.leaving.len())).min(running.max(desired)).max(desired))
    }

    /// Connects when the first has to leave, and goes on with whom an earlier operator asked.
    async fn connected(
        &mut self,
        inputs: &Inputs,
        owner: &str,
        now: Instant,
    ) -> Result<(Inspector, Supervisor), queue::Error> {
        if let Some(redis) = &self.redis {
            return Ok(redis.clone());
        }
        let connection = inputs.endpoint.open()?;
        let redis = (Inspector::new(connection.clone()), Supervisor::new(connection));
        self.drain.adopt(redis.1.draining(owner).await?, now);
        self.redis = Some(redis.clone());
        Ok(redis)
    }

    async fn mark(
        &mut self,
        supervisor: &Supervisor,
        owner: &str,
        servers: &[String],
        now: Instant,
    ) -> Result<(), queue::Error> {
        let is_known = self.marked.as_ref().is_some_and(|(marked, at)| marked == servers && now < *at + RENEW_INTERVAL);
        if !is_known {
            supervisor.drain(owner, servers).await?;
            self.marked = Some((servers.to_vec(), now));
        }
        Ok(())
    }

    /// The ReplicaSet does its best by the cost; a pod whose cost cannot be set is stopped like any other.
    async fn set_costs(&self, surroundings: &Surroundings, namespace: &str, pods: &[Arc<Pod>], step: &Step) {
        let api: Api<Pod> = Api::namespaced(surroundings.client.clone(), namespace);
        for pod in pods {
            let host = ended::host(&pod.name_any());
            let leaves = step.leaving.iter().any(|server| server.split(':').next() == Some(&*host));
            let is_set = pod.annotations().get(DELETION_COST).is_some_and(|cost| cost == LEAVES);
            if leaves == is_set {
                continue;
            }
            let cost = leaves.then_some(LEAVES);
            let patch = Patch::Merge(json!({"metadata": {"annotations": {DELETION_COST: cost}}}));
            if let Err(error) = api.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await {
                tracing::debug!(pod = pod.name_any(), %error, "the deletion cost of a pod is not set");
            }
        }
    }
}

/// The server of each pod; of two, the one that started last: the other is the last heartbeat of a container before.
fn newest(mut servers: Vec<ServerInfo>, pods: &[Arc<Pod>]) -> Vec<ServerInfo> {
    let hosts: Vec<String> = pods.iter().map(|pod| ended::host(&pod.name_any())).collect();
    servers.retain(|server| hosts.contains(&server.host));
    servers.sort_by(|a, b| a.host.cmp(&b.host).then(b.started_at.cmp(&a.started_at)));
    servers.dedup_by(|a, b| a.host == b.host);
    servers
}

/// Pods of one Deployment, which the schema keeps below 2^32.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::ended::tests::server, *};

    #[test]
    fn each_pod_has_the_server_that_started_last_and_other_servers_are_nobody_s() {
        let pod = |name: &str| -> Arc<Pod> {
            serde_json::from_value(json!({"metadata": {"name": name}})).map(Arc::new).expect("a pod")
        };
        let [first, later, last] = ["2026-11-30T08:00:10Z", "2026-11-30T08:00:20Z", "2026-11-30T08:00:30Z"];
        let servers = vec![server("a", "old", first), server("a", "new", later), server("elsewhere", "x", last)];
        let found = newest(servers, &[pod("a"), pod("b")]);
        assert_eq!(found.iter().map(ServerInfo::identity).collect::<Vec<_>>(), ["a:1:new"]);
    }
}
