//! The status of a pipeline.
//!
//! Takes: [`Facts`], what is known of the cluster, the pods and Redis. Gives: the whole status. Pure: the time is a
//! parameter. Does not: write it (`report` does).

pub mod condition;
mod configuration;
pub(crate) mod events;
pub mod exposure;
pub mod facts;
mod figures;
mod mail;
mod reachability;
mod readiness;
pub mod report;
pub mod rollout;

use self::{
    condition::{
        ConditionStatus::{False, True},
        UntimedCondition, with_times,
    },
    configuration::{config_applied, config_status},
    exposure::exposure,
    facts::Facts,
    figures::{autoscaling, queue_status, scaling_active, sum},
    reachability::{database, redis},
    readiness::Readiness,
};
use super::reason::{self, Finding, condition as kind};
use crate::crd::{
    SignupPipeline,
    status::{QueueStatus, SignupPipelineStatus},
};
use jiff::Timestamp;

/// Computes the status.
pub fn status(facts: &Facts<'_>, now: Timestamp) -> SignupPipelineStatus {
    let previous = facts.previous;
    let generation = facts.pipeline.metadata.generation;
    let (exposed, url) = exposure(facts.pipeline, facts.observed, facts.best_effort);
    let conditions = Conditions::new(facts, exposed).with_derived(facts, now);
    let before = previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let queues: Vec<QueueStatus> = facts.scaling.queues.iter().flatten().map(queue_status).collect();
    let has_figures = facts.scaling.queues.is_ok();
    SignupPipelineStatus {
        observed_generation: generation,
        conditions: with_times(conditions, before, generation, now),
        api: Some(facts.api.replicas.clone()),
        worker: Some(facts.worker.replicas.clone()),
        tasks: if has_figures { Some(sum(&queues)) } else { previous.and_then(|status| status.tasks.clone()) },
        queues: if has_figures { queues } else { previous.map(|status| status.queues.clone()).unwrap_or_default() },
        autoscaling: autoscaling(facts, now),
        config: Some(config_status(facts, now)),
        url,
    }
}

/// The conditions that each follow from one source. Ready, Degraded and Stalled are derived from them.
struct Conditions {
    progressing: UntimedCondition,
    database: UntimedCondition,
    migrations: UntimedCondition,
    redis: UntimedCondition,
    mail: UntimedCondition,
    config_applied: UntimedCondition,
    scaling_active: UntimedCondition,
    exposed: UntimedCondition,
    paused: UntimedCondition,
}

impl Conditions {
    fn new(facts: &Facts<'_>, exposed: UntimedCondition) -> Self {
        let [database, migrations] = database(facts);
        Self {
            progressing: progressing(facts),
            database,
            migrations,
            redis: redis(facts),
            mail: mail::reachable(facts),
            config_applied: config_applied(facts),
            scaling_active: scaling_active(facts),
            exposed,
            paused: paused(facts.pipeline),
        }
    }

    /// All conditions, in the order of the table of types.
    fn with_derived(self, facts: &Facts<'_>, now: Timestamp) -> Vec<UntimedCondition> {
        let Readiness { ready, wrong } = Readiness::new(facts, &self, now);
        let state = |kind, finding: Option<&Finding>, otherwise: &str| match finding {
            Some(finding) => UntimedCondition::from_finding(kind, True, finding),
            None => UntimedCondition::new(kind, False, reason::AS_DESIRED, otherwise),
        };
        let waits = facts.findings.first().filter(|finding| finding.reason != reason::API_ERROR);
        vec![
            ready,
            self.progressing,
            state(kind::DEGRADED, wrong.as_ref(), "nothing is known to be wrong"),
            state(kind::STALLED, waits, "nothing waits for a person"),
            self.database,
            self.redis,
            self.mail,
            self.migrations,
            self.config_applied,
            self.scaling_active,
            self.exposed,
            self.paused,
        ]
    }
}

fn progressing(facts: &Facts<'_>) -> UntimedCondition {
    if facts.pipeline.spec.paused {
        return UntimedCondition::from_finding(kind::PROGRESSING, False, &Finding::paused());
    }
    let is_rolling = !(facts.api.is_complete && facts.worker.is_complete);
    match (is_rolling, facts.findings.first()) {
        (_, Some(finding)) => UntimedCondition::from_finding(kind::PROGRESSING, False, finding),
        (true, None) => {
            let message = "pods are starting or being replaced";
            UntimedCondition::new(kind::PROGRESSING, True, reason::ROLLING_OUT, message)
        }
        (false, None) => {
            let newer =
                facts.newer_image.map(|image| format!("; newer than their image is the operator's own, {image}"));
            let message = format!("every pod runs as the resource says{}", newer.unwrap_or_default());
            UntimedCondition::new(kind::PROGRESSING, False, reason::AS_DESIRED, message)
        }
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
        fixture::{Fixture, pods},
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
    fn a_paused_pipeline_does_not_progress_whatever_its_pods_do_and_whatever_is_missing() {
        let mut fixture = Fixture::healthy();
        fixture.worker = pods(2, 1);
        let missing = [Finding::with_default_fix(reason::API_ERROR, "the API server does not answer")];
        assert_eq!(reported(progressing, &fixture, &[]), (True, reason::ROLLING_OUT));
        assert_eq!(reported(progressing, &fixture, &missing), (False, reason::API_ERROR));
        fixture.pipeline.spec.paused = true;
        for (worker, found) in [(pods(2, 1), &[][..]), (pods(2, 1), &missing), (pods(1, 1), &[])] {
            fixture.worker = worker;
            assert_eq!(reported(progressing, &fixture, found), (False, reason::PAUSED), "{:?}", fixture.worker);
        }
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
        fixture.reports.clear();
        assert_eq!(reported(config_applied, &fixture, &[]), (Unknown, reason::NOT_KNOWN), "there are no pods");
    }
}
