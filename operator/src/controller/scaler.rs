//! The number of workers in a cluster.
//!
//! Takes: the depth of the queues from Redis, and `scaling`'s decision. Gives: the replicas of the workers' Deployment, which
//! `replicas` writes. Does not: shrink anything while Redis does not answer, before a cool-down that began with the first look,
//! or while the pipeline is paused.

use super::{
    observe::Observed,
    reason::{self, Finding},
    redis,
    replicas::{Replicas, Target},
};
use crate::{
    build::{checksum::hash, child::Kind, names::Part},
    crd::{
        SignupPipeline,
        autoscaling::AutoscalingMode,
        stores::{Redis, UriSecret},
        workload::Worker,
    },
    manifest::objects::Content,
    scaling::{Decision, Depth, Limits, Recommendations, decide},
};
use kube::{Client, ResourceExt};
use queue::{Connection, Inspector, QueueState};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What is remembered of one pipeline between looks.
#[derive(Debug, Default)]
pub struct Scaler {
    redis: Option<(String, Inspector)>,
    recommendations: Recommendations,
    replicas: Replicas,
    /// The mode was Auto at the last look.
    decides: bool,
}

/// What a look gave.
#[derive(Debug)]
pub struct Scaling {
    /// The queues, or why Redis could not be asked.
    pub queues: Result<Vec<(String, QueueState)>, Finding>,
    /// The decision; `None` when somebody else decides.
    pub decision: Option<Decision>,
    /// The number was changed: from, to.
    pub changed: Option<(u32, u32)>,
    /// The number that was written, now or just before, while the observed Deployment still has another.
    pub awaited: Option<u32>,
    /// Why a decision does not hold.
    pub trouble: Option<Finding>,
}

impl Scaler {
    /// Looks, decides and writes. Without a Deployment, or while the pipeline is paused, nothing is written.
    pub async fn scale(&mut self, client: &Client, pipeline: &SignupPipeline, observed: &Observed) -> Scaling {
        let spec = &pipeline.spec;
        let queues = self.look(pipeline, &observed.secrets()).await;
        let depths: Option<Vec<Depth>> = queues.as_ref().ok().map(|queues| depths(pipeline, queues));
        let name = Part::Worker.child_name(&pipeline.name_any());
        let running = observed.child(Kind::Deployment, &name).and_then(replicas);
        let decision = self.decide(&spec.worker, depths.as_deref(), running, Instant::now());
        let given_away = spec.worker.autoscaling.mode == AutoscalingMode::External && spec.worker.replicas.is_none();
        let decision = (!given_away).then_some(decision);
        let mut scaling = Scaling { queues, decision, changed: None, awaited: None, trouble: None };
        if let (Some(running), Some(decision)) = (running, &mut scaling.decision) {
            if spec.paused {
                decision.keep(running, "the pipeline is paused, so the number stays as it is");
                return scaling;
            }
            let target = Target { client, namespace: pipeline.namespace().unwrap_or_default(), name };
            match self.replicas.keep(&target, running, decision.desired).await {
                Ok(has_changed) => {
                    let (pipeline, to) = (pipeline.name_any(), decision.desired);
                    scaling.awaited = (running != to).then_some(to);
                    if has_changed {
                        tracing::info!(pipeline, from = running, to, "workers scaled");
                        scaling.changed = Some((running, to));
                    }
                }
                Err(finding) => {
                    if finding.reason == reason::FOREIGN_WRITER {
                        decision.keep(running, "an autoscaler sets the number, so it stays as it is");
                    }
                    scaling.trouble = Some(finding);
                }
            }
        }
        scaling
    }

    /// What runs when the operator begins to decide, or while Redis does not answer, counts as needed until the cool-down is over.
    fn decide(&mut self, worker: &Worker, depths: Option<&[Depth]>, running: Option<u32>, now: Instant) -> Decision {
        let limits = Limits::from(worker);
        let begins = limits.mode == AutoscalingMode::Auto && !self.decides;
        if let Some(running) = running {
            self.decides = limits.mode == AutoscalingMode::Auto;
            if begins || depths.is_none() {
                self.recommendations.add(running, now);
            }
        }
        let recent = self.recommendations.most_within(worker.autoscaling.cooldown_period.get(), now);
        let decision = decide(depths, &limits, running.unwrap_or(limits.min), recent);
        if depths.is_some() {
            self.recommendations.add(decision.recommended, now);
        }
        decision
    }

    async fn look(
        &mut self,
        pipeline: &SignupPipeline,
        secrets: &BTreeMap<String, Content>,
    ) -> Result<Vec<(String, QueueState)>, Finding> {
        let spec = &pipeline.spec;
        let inspector = self.inspector(&spec.redis, secrets)?;
        let look_ahead = &spec.worker.autoscaling.look_ahead;
        let ahead = if look_ahead.enabled { look_ahead.startup_time.get() } else { Duration::ZERO };
        let mut states = Vec::new();
        for queue in &spec.queues {
            match inspector.queue(&queue.name, ahead).await {
                Ok(state) => states.push((queue.name.clone(), state)),
                Err(error) => return Err(redis::trouble(&spec.redis, uri(&spec.redis, secrets), &error).await),
            }
        }
        Ok(states)
    }

    /// One connection per pipeline, opened anew when the Secret changes.
    fn inspector(&mut self, settings: &Redis, secrets: &BTreeMap<String, Content>) -> Result<&Inspector, Finding> {
        let uri = uri(settings, secrets);
        let ca = settings.ca_secret_ref.as_ref().and_then(|ca| secrets.get(&ca.name)?.get(&ca.key));
        let version = hash([uri.as_bytes(), b"\n", ca.unwrap_or_default()]);
        if self.redis.as_ref().is_none_or(|(known, _)| *known != version) {
            let connection = Connection::open(uri, ca).map_err(|_| redis::unusable(settings, uri))?;
            self.redis = Some((version, Inspector::new(connection)));
        }
        self.redis.as_ref().map(|(_, inspector)| inspector).ok_or_else(|| Finding::new(reason::NO_ANSWER, "", ""))
    }
}

fn uri<'a>(redis: &Redis, secrets: &'a BTreeMap<String, Content>) -> &'a str {
    let UriSecret { name, key } = &redis.secret_ref;
    let uri = secrets.get(name).and_then(|content| content.get(key)).unwrap_or_default();
    std::str::from_utf8(uri).unwrap_or_default().trim()
}

fn depths(pipeline: &SignupPipeline, queues: &[(String, QueueState)]) -> Vec<Depth> {
    let paused = |name: &str| pipeline.spec.queues.iter().any(|queue| queue.name == name && queue.paused);
    let depth = |(name, state): &(String, QueueState)| Depth {
        pending: state.pending,
        active: state.active,
        due_soon: state.due_within,
        paused: state.paused || paused(name),
    };
    queues.iter().map(depth).collect()
}

/// `spec.replicas` of a Deployment.
pub fn replicas(deployment: &kube::api::DynamicObject) -> Option<u32> {
    deployment.data.pointer("/spec/replicas")?.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::LimitedBy;

    const IDLE: &[Depth] = &[Depth { pending: 0, active: 0, due_soon: 0, paused: false }];

    /// Workers wanted of 5 that run, at each second with what Redis told.
    fn wanted(scaler: &mut Scaler, worker: &Worker, start: Instant, looks: &[(u64, Option<&[Depth]>)]) -> Vec<u32> {
        let mut look =
            |second, depths| scaler.decide(worker, depths, Some(5), start + Duration::from_secs(second)).desired;
        looks.iter().map(|(second, depths)| look(*second, *depths)).collect()
    }

    #[test]
    fn an_operator_that_starts_anew_lets_the_cool_down_pass_first() {
        let (mut scaler, worker, start) = (Scaler::default(), Worker::default(), Instant::now());
        assert_eq!(worker.autoscaling.cooldown_period.get(), Duration::from_secs(60));
        let looks = [(0, Some(IDLE)), (2, Some(IDLE)), (59, Some(IDLE)), (60, Some(IDLE))];
        assert_eq!(wanted(&mut scaler, &worker, start, &looks), [5, 5, 5, 1]);
        let first = Scaler::default().decide(&worker, Some(IDLE), Some(5), start);
        assert_eq!(first.limited_by, Some(LimitedBy::Cooldown));
    }

    #[test]
    fn the_cool_down_begins_again_when_redis_is_back() {
        let (mut scaler, worker, start) = (Scaler::default(), Worker::default(), Instant::now());
        let looks =
            [(0, Some(IDLE)), (100, None), (200, None), (202, Some(IDLE)), (259, Some(IDLE)), (260, Some(IDLE))];
        assert_eq!(wanted(&mut scaler, &worker, start, &looks), [5, 5, 5, 5, 5, 1]);
    }

    #[test]
    fn the_cool_down_begins_when_the_mode_becomes_auto() {
        let (mut scaler, auto, start) = (Scaler::default(), Worker::default(), Instant::now());
        let mut off = Worker { replicas: Some(5), ..Worker::default() };
        off.autoscaling.mode = AutoscalingMode::Off;
        assert_eq!(wanted(&mut scaler, &off, start, &[(0, Some(IDLE)), (100, Some(IDLE))]), [5, 5]);
        let looks = [(102, Some(IDLE)), (161, Some(IDLE)), (162, Some(IDLE))];
        assert_eq!(wanted(&mut scaler, &auto, start, &looks), [5, 5, 1]);
    }

    #[test]
    fn a_deployment_that_is_not_there_yet_begins_no_cool_down() {
        let (mut scaler, worker, start) = (Scaler::default(), Worker::default(), Instant::now());
        assert_eq!(scaler.decide(&worker, Some(IDLE), None, start).desired, 1);
        assert_eq!(wanted(&mut scaler, &worker, start, &[(50, Some(IDLE)), (60, Some(IDLE))]), [5, 5]);
    }
}
