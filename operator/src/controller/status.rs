//! The status of a pipeline.
//!
//! Takes: [`Facts`], what is known of the cluster, the pods and Redis. Gives: the whole status. Pure: the time is a
//! parameter. Does not: write it (`report` does).

pub(super) mod autoscaler;
mod autoscaling;
pub mod condition;
mod configuration;
mod container;
pub(crate) mod events;
pub mod exposure;
pub mod facts;
pub(super) mod figures;
mod mail;
pub(crate) mod pods;
pub(crate) mod progress;
mod reachability;
pub(super) mod readiness;
pub mod report;
pub mod rollout;
pub(super) mod scaling;
mod steps;
pub(super) mod stored;
mod webhook_changes;
pub mod webhooks;

use self::{
    autoscaling::autoscaling,
    condition::{
        ConditionStatus::{False, True},
        UntimedCondition, with_times,
    },
    configuration::{config_applied, config_status},
    exposure::exposure,
    facts::Facts,
    figures::{queue_status, sum},
    progress::Progress,
    reachability::{database, redis},
    readiness::Readiness,
    scaling::{able_to_scale, scaling_active, scaling_limited},
};
use super::reason::{self, Finding, condition as kind};
use crate::crd::{
    SignupPipeline,
    status::{QueueStatus, SignupPipelineStatus},
};
use jiff::Timestamp;
use std::time::Duration;

/// Figures alone are written at most this often.
pub(crate) const FIGURES_INTERVAL: Duration = Duration::from_secs(30);

/// Computes the status.
pub fn status(facts: &Facts<'_>, now: Timestamp) -> SignupPipelineStatus {
    let previous = facts.previous;
    let generation = facts.pipeline.metadata.generation;
    let (exposed, url) = exposure(facts.pipeline, facts.observed, facts.best_effort, now);
    let conditions = Conditions::new(facts, exposed, now);
    let readiness = Readiness::new(facts, &conditions, now);
    let progress = Progress::new(facts, &conditions, readiness, now);
    let before = previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let seen = facts.scaling.queues.iter().flatten();
    let queues: Vec<QueueStatus> = seen.map(|queue| queue_status(queue, now)).collect();
    let has_figures = facts.scaling.queues.is_ok();
    SignupPipelineStatus {
        observed_generation: generation,
        served_generation: progress.served_generation,
        progressing_since: progress.since.clone(),
        conditions: with_times(conditions.with_derived(progress), before, generation, now),
        api: Some(facts.api.replicas.clone()),
        worker: Some(facts.worker.replicas.clone()),
        tasks: if has_figures { Some(sum(&queues)) } else { previous.and_then(|status| status.tasks.clone()) },
        queues: if has_figures { queues } else { previous.map(|status| status.queues.clone()).unwrap_or_default() },
        autoscaling: autoscaling(facts, now),
        config: Some(config_status(facts, now)),
        url,
        operator: None,
    }
}

/// The conditions that each follow from one source. Ready, Reconciling, Degraded and Stalled are derived from them.
struct Conditions {
    database: UntimedCondition,
    migrations: UntimedCondition,
    redis: UntimedCondition,
    mail: UntimedCondition,
    webhooks: UntimedCondition,
    config_applied: UntimedCondition,
    able_to_scale: UntimedCondition,
    scaling_active: UntimedCondition,
    scaling_limited: UntimedCondition,
    exposed: UntimedCondition,
    paused: UntimedCondition,
}

impl Conditions {
    fn new(facts: &Facts<'_>, exposed: UntimedCondition, now: Timestamp) -> Self {
        let [database, migrations] = database(facts);
        Self {
            database,
            migrations,
            redis: redis(facts),
            mail: mail::reachable(facts),
            webhooks: webhooks::delivered(facts, now),
            config_applied: config_applied(facts),
            able_to_scale: able_to_scale(facts),
            scaling_active: scaling_active(facts),
            scaling_limited: scaling_limited(facts),
            exposed,
            paused: paused(facts.pipeline),
        }
    }

    /// All conditions, in the order of the table of types.
    fn with_derived(self, progress: Progress) -> Vec<UntimedCondition> {
        vec![
            progress.ready,
            progress.reconciling,
            progress.degraded,
            progress.stalled,
            self.database,
            self.redis,
            self.mail,
            self.webhooks,
            self.migrations,
            self.config_applied,
            self.able_to_scale,
            self.scaling_active,
            self.scaling_limited,
            self.exposed,
            self.paused,
        ]
    }
}

fn paused(pipeline: &SignupPipeline) -> UntimedCondition {
    if pipeline.spec.paused {
        return UntimedCondition::from_finding(kind::PAUSED, True, &Finding::paused());
    }
    let message = "the operator keeps the children as the resource says";
    UntimedCondition::new(kind::PAUSED, False, reason::NOT_PAUSED, message)
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::{
        super::reason::Reason,
        condition::ConditionStatus::{self, Unknown},
        fixture::Fixture,
        *,
    };

    /// What a condition says with what was `found` to be missing.
    fn reported(
        condition: fn(&Facts<'_>) -> UntimedCondition,
        fixture: &Fixture,
        found: &[Finding],
    ) -> (ConditionStatus, Reason) {
        let condition = condition(&Facts { findings: found, ..fixture.facts() });
        (condition.status, condition.reason)
    }

    #[test]
    fn a_configuration_that_waits_for_a_paused_pipeline_is_told_as_such_and_not_as_spreading() {
        let mut fixture = Fixture::healthy();
        for (hash, refused, is_paused, expected) in [
            ("0", None, false, (False, reason::SPREADING)),
            ("0", None, true, (False, reason::PAUSED)),
            ("1", None, true, (True, reason::AS_DESIRED)),
            ("0", Some("why"), true, (False, reason::CONFIG_REFUSED)),
        ] {
            (fixture.reports[0].hash, fixture.reports[0].refused) = (Some(hash.to_owned()), refused.map(str::to_owned));
            fixture.pipeline.spec.paused = is_paused;
            assert_eq!(reported(config_applied, &fixture, &[]), expected, "{hash} {refused:?} {is_paused}");
        }
        fixture.reports[0].refused = None;
        fixture.reports[0].templates = Some("body.de.txt: line 3".to_owned());
        assert_eq!(reported(config_applied, &fixture, &[]), (False, reason::TEMPLATES_REFUSED));
        fixture.reports.clear();
        assert_eq!(reported(config_applied, &fixture, &[]), (Unknown, reason::NOT_KNOWN), "there are no pods");
    }
}
