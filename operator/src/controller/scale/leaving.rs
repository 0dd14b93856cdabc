//! Workers that leave one by one, so that none is stopped amid a mail.
//!
//! Takes: how many workers run and how many are wanted, their pods, and their heartbeats in Redis. Gives: marks in
//! Redis, by which chosen workers take no more mails; a deletion cost on the pods of those that are idle, by which the
//! ReplicaSet takes them; and how many workers there may be now. Does not: write the number; `scaling::Drain` chooses.
//!
//! An operator that ends leaves marks that last for a minute: the next one goes on with them, or they end. Costs last,
//! so each operator takes back what it finds.

mod costs;
mod events;
mod hindered;
mod silent;

use self::{events::Told, hindered::Hindered, silent::Silent};
use super::{Inputs, Surroundings, ended};
use crate::{
    controller::{observe::pods::is_live, reason::Finding},
    crd::SignupPipeline,
    scaling::{Drain, Step},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use queue::{Inspector, ServerInfo, Supervisor};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Marks are renewed long before they end.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);

/// The workers of one pipeline that are leaving.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    drain: Drain,
    silent: Silent,
    /// While some are.
    redis: Option<(Inspector, Supervisor)>,
    /// What was marked last, and when.
    marked: Option<(Vec<String>, Instant)>,
    told: Told,
    /// No pod has a deletion cost that it should not have.
    has_no_costs: bool,
    hindered: Option<Hindered>,
}

/// How many workers there are, and should be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) running: u32,
    pub(super) desired: u32,
}

impl Number {
    /// As many as there are.
    pub(super) fn unchanged(running: u32) -> Self {
        Self { running, desired: running }
    }
}

impl Leaving {
    /// How many workers there may be now. Where the access list of Redis forbids to ask them, as many as are wanted.
    /// Any other error is waited for: without its word on a worker nothing is known that would allow to remove it.
    pub(super) async fn allowed(&mut self, surroundings: &Surroundings, inputs: &Inputs, number: Number) -> u32 {
        let Number { running, desired } = number;
        if self.redis.is_none() && desired >= running {
            self.take_costs_back(surroundings, &inputs.pipeline).await;
            self.hindered.take_if(|hindered| !hindered.is_forbidden);
            return desired;
        }
        match self.go_on(surroundings, inputs, number).await {
            Ok(allowed) => {
                self.hindered = None;
                allowed
            }
            Err(error) => self.hinder(inputs, &error, number).await,
        }
    }

    /// Why no worker leaves although some should.
    pub(super) fn trouble(&self) -> Option<&Finding> {
        self.hindered.as_ref().filter(|hindered| !hindered.is_forbidden).map(|hindered| &hindered.finding)
    }

    /// Whether workers are stopped without being asked to take no more mails first.
    pub(super) fn is_forbidden(&self) -> bool {
        self.hindered.as_ref().is_some_and(|hindered| hindered.is_forbidden)
    }

    /// Takes note of an error; gives how many workers there may be all the same.
    async fn hinder(&mut self, inputs: &Inputs, error: &queue::Error, Number { running, desired }: Number) -> u32 {
        let hindered = Hindered::after(self.hindered.take(), inputs, error).await;
        let (settings, now) = (&inputs.pipeline.spec.worker.autoscaling, Instant::now());
        self.drain.is_not_marked(now);
        if hindered.is_forbidden {
            *self = Self::default();
        }
        let is_waited_for = hindered.is_waited_for(settings.mode, settings.drain.timeout.get(), now);
        self.hindered = Some(hindered);
        if is_waited_for { running.max(desired) } else { desired }
    }

    async fn go_on(
        &mut self,
        surroundings: &Surroundings,
        inputs: &Inputs,
        Number { running, desired }: Number,
    ) -> Result<u32, queue::Error> {
        let pipeline = &inputs.pipeline;
        let owner = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
        let now = Instant::now();
        let (inspector, supervisor) = self.connected(inputs, &owner, now).await?;
        let pods = workers(surroundings, pipeline);
        // Pods that go are there for a while when the number has fallen already.
        let total = count(pods.len()).max(running);
        let servers = newest(inspector.servers().await?, &pods);
        let surplus = total.saturating_sub(desired);
        // The ReplicaSet takes those first that have no pod yet, or whose pod is not ready.
        let unknown = total.saturating_sub(count(servers.len())).min(surplus);
        let (absent, mut silent) = (total - count(pods.len()), self.silent.idle(&pods, &servers, now));
        silent.truncate(unknown.saturating_sub(absent) as usize);
        let timeout = pipeline.spec.worker.autoscaling.drain.timeout.get();
        let step = self.drain.step(&servers, (surplus - unknown) as usize, timeout, now);
        self.mark(&supervisor, &owner, &step.marked, now).await?;
        self.set_costs(surroundings, pipeline, &pods, &step, &silent).await;
        count_left(&step, timeout);
        self.told.step(&surroundings.recorder, pipeline, &step, total).await;
        if surplus == 0 {
            *self = Self { has_no_costs: self.has_no_costs, ..Self::default() };
        }
        let gone = absent.min(unknown) + count(silent.len()) + count(step.leaving.len());
        Ok((total - gone).min(running.max(desired)).max(desired))
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
            // Without an answer nobody knows what Redis has.
            self.marked = None;
            supervisor.drain(owner, servers).await?;
            self.marked = Some((servers.to_vec(), now));
            self.drain.is_marked(now);
        }
        Ok(())
    }

    async fn set_costs(
        &mut self,
        surroundings: &Surroundings,
        pipeline: &SignupPipeline,
        pods: &[Arc<Pod>],
        step: &Step,
        silent: &[String],
    ) {
        let is_leaving = |pod: &str| {
            let host = ended::host(pod);
            step.leaving.iter().any(|server| server.split(':').next() == Some(&*host))
        };
        let names = pods.iter().map(|pod| pod.name_any());
        let leaving: Vec<String> = names.filter(|pod| silent.contains(pod) || is_leaving(pod)).collect();
        let namespace = pipeline.namespace().unwrap_or_default();
        let are_right = costs::set(&surroundings.client, &namespace, pods, &leaving).await;
        self.has_no_costs = are_right && leaving.is_empty();
    }

    /// Nobody leaves, so no pod keeps a cost.
    async fn take_costs_back(&mut self, surroundings: &Surroundings, pipeline: &SignupPipeline) {
        if !self.has_no_costs {
            let pods = workers(surroundings, pipeline);
            self.set_costs(surroundings, pipeline, &pods, &Step::default(), &[]).await;
        }
    }
}

fn count_left(step: &Step, timeout: Duration) {
    for left in &step.left {
        metrics::histogram!("signup_operator_drain_seconds").record(left.after);
        if left.after >= timeout {
            metrics::counter!("signup_operator_tasks_interrupted_total").increment(left.running.into());
        }
    }
}

/// The pods of the workers.
fn workers(surroundings: &Surroundings, pipeline: &SignupPipeline) -> Vec<Arc<Pod>> {
    let mut pods = surroundings.view.pods(&pipeline.namespace().unwrap_or_default(), &pipeline.name_any());
    pods.retain(|pod| ended::is_worker(pod) && is_live(pod));
    pods
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
    use serde_json::json;

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
