//! One evaluation: decide and write.
//!
//! Takes: the queues, what the last reconcile knows of the pipeline, and the watched Deployment as it is now. Gives: a
//! [`Scaling`]. Does not: choose when.

use super::{
    API_TIMEOUT, Inputs, Scaling, Surroundings,
    leaving::{Leaving, Number},
    replicas::{Kept, Replicas, Target, Workers},
    source::Seen,
    tally::Tally,
    unserved::Unserved,
};
use crate::{
    build::{child::Kind, names::Component},
    controller::{
        reason::{self, Finding},
        reported_limits,
    },
    crd::{SignupPipeline, autoscaling::AutoscalingMode, task::Queue},
    scaling::{Autoscaler, Decision, Depth, LimitedBy},
};
use jiff::Timestamp;
use kube::ResourceExt;
use queue::QueueReading;
use std::time::{Duration, Instant};

/// A decision is made anew this often when more of the Deployment than its status changes under it; after that at the
/// next evaluation.
const MAX_TRIES: usize = 5;

/// How long a limit counts after the last decision that it changed.
const LIMIT_LASTS: Duration = Duration::from_secs(60);

/// The state of one pipeline's scaling between evaluations.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    autoscaler: Autoscaler,
    replicas: Replicas,
    leaving: Leaving,
    unserved: Unserved,
    /// What kept workers away, and when it last did.
    limited: Option<(LimitedBy, Instant)>,
    scaled_at: Option<Timestamp>,
    tally: Tally,
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    changed: Option<(u32, u32)>,
    awaited: Option<u32>,
    leaving: u32,
    /// Why none of them leaves.
    hindered: Option<Finding>,
}

impl Scaler {
    /// Decides, writes and reports. Without a Deployment, or while the pipeline is paused, nothing is written. `since`:
    /// when that happened which is decided on.
    pub(super) async fn evaluate(
        &mut self,
        surroundings: &Surroundings,
        inputs: &Inputs,
        Seen { queues, partial, untracked, clock_ahead_s }: Seen,
        since: Instant,
    ) -> Scaling {
        let pipeline = &*inputs.pipeline;
        let (name, namespace) = (Component::Worker.child_name(&pipeline.name_any()), pipeline.namespace());
        let namespace = namespace.unwrap_or_default();
        let uid = pipeline.uid().unwrap_or_default();
        let deployment = surroundings.view.child(Kind::Deployment, &namespace, &name, &uid);
        let ready = deployment.as_ref().and_then(|found| found.data.pointer("/status/readyReplicas")?.as_u64());
        let took = self.autoscaler.ready(u32::try_from(ready.unwrap_or(0)).unwrap_or(u32::MAX), Instant::now());
        took.into_iter().for_each(|took| metrics::histogram!("signup_operator_startup_seconds").record(took));
        self.autoscaler.mail_takes(inputs.mail_connections);
        let seen = deployment.as_ref().and_then(|seen| Some(Workers::of(super::replicas(seen)?, &seen.metadata)));
        let mut workers = seen.map(|seen| self.replicas.workers(seen));
        let partial = partial.or(self.unserved.look(surroundings, inputs, queues.as_deref().ok()).await);
        let Surroundings { client, view, .. } = surroundings;
        let target = Target { client, view, pipeline, namespace, name };
        let (decision, written) =
            self.settle(surroundings, inputs, &target, queues.as_deref().ok(), &mut workers).await;
        self.tally.decided(pipeline, decision.as_ref());
        if let Ok(Written { changed: Some((from, to)), .. }) = &written {
            metrics::histogram!("signup_operator_signal_to_write_seconds").record(since.elapsed());
            self.tally.changed(*to > *from);
        }
        let limited = self.limited_by(decision.as_ref(), Instant::now());
        let queues = queues.map(|queues| queues.into_iter().map(|(name, reading)| (name, reading.state)).collect());
        let shared = inputs.shared.clone();
        let known = Scaling { queues, untracked, partial, limited, shared, clock_ahead_s, ..Scaling::not_known() };
        self.report(known, decision, workers, written)
    }

    /// Decides and writes; where the Deployment is no more as it was observed, what is there is decided on.
    async fn settle(
        &mut self,
        surroundings: &Surroundings,
        inputs: &Inputs,
        target: &Target<'_>,
        queues: Option<&[(String, QueueReading)]>,
        workers: &mut Option<Workers>,
    ) -> (Option<Decision>, Result<Written, Finding>) {
        let pipeline = &*inputs.pipeline;
        let mut tries = 0;
        loop {
            let decision = self.decide(pipeline, queues, workers.as_ref());
            let Some(seen) = workers.as_ref() else { return (decision, Ok(Written::default())) };
            let Some(decided) = decision.as_ref().filter(|_| !pipeline.spec.paused) else {
                // Whoever was chosen takes tasks again.
                self.leaving.allowed(surroundings, inputs, Number::unchanged(seen.running)).await;
                return (decision, Ok(Written::default()));
            };
            let allowed = self.allowed(surroundings, inputs, seen.running, decided.desired).await;
            let kept = tokio::time::timeout(API_TIMEOUT, self.write(target, seen, allowed)).await;
            let kept = kept.unwrap_or_else(|_| Err(target.silent()));
            self.replicas.is_refused = kept.is_err();
            match kept {
                Ok(Kept::Stale) if tries < MAX_TRIES => match target.read_in(API_TIMEOUT).await {
                    Ok(found) => *workers = self.replicas.found(found),
                    Err(finding) => return (decision, Err(finding)),
                },
                Ok(kept) => {
                    let awaited = (seen.observed != allowed).then_some(allowed);
                    let changed = matches!(kept, Kept::Changed).then_some((seen.running, allowed));
                    let leaving = allowed.saturating_sub(decided.desired);
                    let hindered = self.leaving.trouble().filter(|_| leaving > 0).cloned();
                    return (decision, Ok(Written { changed, awaited, leaving, hindered }));
                }
                Err(finding) => return (decision, Err(finding)),
            }
            tries += 1;
        }
    }

    /// How far ahead of their time tasks are counted as due.
    pub(super) fn look_ahead(&self, pipeline: &SignupPipeline) -> Duration {
        self.autoscaler.look_ahead(&pipeline.spec.worker.autoscaling)
    }

    /// What was learnt is of another Redis than will be read from now on.
    pub(super) fn moved(&mut self) {
        self.autoscaler.moved();
        (self.unserved, self.leaving) = (Unserved::default(), Leaving::default());
    }

    /// Decides, without I/O; `None` when the number is given to somebody else.
    fn decide(
        &mut self,
        pipeline: &SignupPipeline,
        queues: Option<&[(String, QueueReading)]>,
        workers: Option<&Workers>,
    ) -> Option<Decision> {
        let spec = &pipeline.spec.worker;
        let depths = queues.map(|queues| depths(pipeline, queues, self.unserved.names()));
        let running = workers.map(|workers| workers.running);
        let mut decision = self.autoscaler.decide(&pipeline.spec, depths.as_deref(), running, Instant::now());
        if spec.autoscaling.mode == AutoscalingMode::External && spec.replicas.is_none() {
            return None;
        }
        if let Some(Workers { observed, .. }) = workers.filter(|_| pipeline.spec.paused) {
            self.autoscaler.yield_control();
            decision.keep(*observed, "the pipeline is paused, so the number stays as it is");
        }
        Some(decision)
    }

    /// What is wanted, or of fewer as few as there may be now. While the number cannot be written, perhaps because it
    /// is somebody else's, nobody is asked to leave and none is removed: what runs is written, until that is taken.
    async fn allowed(&mut self, surroundings: &Surroundings, inputs: &Inputs, running: u32, desired: u32) -> u32 {
        let desired = if self.replicas.is_refused { desired.max(running) } else { desired };
        self.leaving.allowed(surroundings, inputs, Number { running, desired }).await
    }

    async fn write(&mut self, target: &Target<'_>, workers: &Workers, desired: u32) -> Result<Kept, Finding> {
        let kept = self.replicas.keep(target, workers, desired).await.inspect_err(|finding| {
            if is_foreign(finding) {
                self.autoscaler.yield_control();
            }
        })?;
        if matches!(kept, Kept::Changed) {
            self.autoscaler.changed(workers.running, desired, Instant::now());
            self.scaled_at = Some(Timestamp::now());
        }
        Ok(kept)
    }

    /// What keeps workers away, now or a moment ago: on the edge of a limit a decision is within it and beyond it in
    /// turns.
    fn limited_by(&mut self, decision: Option<&Decision>, now: Instant) -> Option<LimitedBy> {
        let limit = decision
            .and_then(|decision| decision.limited_by)
            .filter(|limit| reported_limits::reported(*limit).is_some());
        let lasting = self.limited.filter(|(_, at)| now.saturating_duration_since(*at) < LIMIT_LASTS);
        self.limited = limit.map(|limit| (limit, now)).or(lasting);
        self.limited.map(|(limit, _)| limit)
    }

    /// Adds to what is known what came of it.
    fn report(
        &self,
        known: Scaling,
        mut decision: Option<Decision>,
        workers: Option<Workers>,
        written: Result<Written, Finding>,
    ) -> Scaling {
        let (Written { changed, awaited, leaving, hindered }, refused) = match written {
            Ok(written) => (written, None),
            Err(finding) => (Written::default(), Some(finding)),
        };
        let running = workers.as_ref().map(|workers| workers.running);
        let is_foreign = refused.as_ref().is_some_and(is_foreign);
        if let (Some(decision), Some(workers), true) = (&mut decision, workers, is_foreign) {
            decision.keep(workers.observed, "an autoscaler sets the number, so it stays as it is");
        }
        if let (Some(decision), 1..) = (&mut decision, leaving) {
            decision.explanation.push_str("; workers that are too many finish their mails first");
        }
        let (scaled_at, refused, is_drain_forbidden) =
            (self.scaled_at, refused.or(hindered), self.leaving.is_forbidden());
        Scaling { decision, running, changed, scaled_at, awaited, leaving, refused, is_drain_forbidden, ..known }
    }
}

fn is_foreign(finding: &Finding) -> bool {
    finding.reason == reason::FOREIGN_WRITER
}

/// Of every queue of the resource; nothing is known of those that could not be read, or that no worker takes from.
fn depths(pipeline: &SignupPipeline, queues: &[(String, QueueReading)], unserved: &[String]) -> Vec<Depth> {
    let is_known = |name: &String| !unserved.contains(name);
    let of = |name: &String| queues.iter().find(|(known, _)| known == name && is_known(name)).map(|(_, read)| read);
    let depth = |queue: &Queue| of(&queue.name).map_or_else(|| Depth::missing(queue), |read| Depth::new(read, queue));
    pipeline.spec.queues.iter().map(depth).collect()
}
