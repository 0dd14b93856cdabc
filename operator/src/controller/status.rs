//! The status of a pipeline.
//!
//! Takes: [`Facts`], what a look at the cluster, the pods and Redis gave. Gives: the whole status. Pure: the time is a
//! parameter. Does not: write it (`report` does).

use super::{
    condition::{Draft, Holds, conditions},
    configuration::{config_applied, config_status},
    exposure::exposure,
    facts::Facts,
    figures::{autoscaling, queue_status, scaling_active, sum},
    reachability::{database, mail, redis},
    readiness::{ready, wrong},
    reason::{self, Finding, condition as kind},
};
use crate::crd::{
    SignupPipeline,
    status::{QueueStatus, SignupPipelineStatus},
};
use jiff::Timestamp;

/// Puts the status together.
pub fn status(facts: &Facts<'_>, now: Timestamp) -> SignupPipelineStatus {
    let previous = facts.pipeline.status.as_ref();
    let (exposed, url) = exposure(facts.pipeline, facts.observed, facts.leaves);
    let generation = facts.pipeline.metadata.generation;
    let drafts = drafts(facts, exposed, now);
    let before = previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let queues: Vec<QueueStatus> = facts.scaling.queues.iter().flatten().map(queue_status).collect();
    let figures = facts.scaling.queues.is_ok();
    SignupPipelineStatus {
        observed_generation: generation,
        conditions: conditions(drafts, before, generation, now),
        api: Some(facts.api.replicas.clone()),
        worker: Some(facts.worker.replicas.clone()),
        tasks: if figures { Some(sum(&queues)) } else { previous.and_then(|status| status.tasks.clone()) },
        queues: if figures { queues } else { previous.map(|status| status.queues.clone()).unwrap_or_default() },
        autoscaling: autoscaling(facts, now),
        config: Some(config_status(facts, now)),
        url,
    }
}

fn drafts(facts: &Facts<'_>, exposed: Draft, now: Timestamp) -> Vec<Draft> {
    let wrong = wrong(facts);
    let state = |condition, finding: Option<&Finding>, otherwise: &str| match finding {
        Some(finding) => Draft::from_finding(condition, Holds::True, finding),
        None => Draft::new(condition, Holds::False, reason::AS_DESIRED, otherwise),
    };
    let waits = facts.findings.first().filter(|finding| finding.reason != reason::API_ERROR);
    let [database, migrations] = database(facts);
    vec![
        ready(facts, wrong.as_ref(), now),
        progressing(facts),
        state(kind::DEGRADED, wrong.as_ref(), "nothing is known to be wrong"),
        state(kind::STALLED, waits, "nothing waits for a person"),
        database,
        redis(facts),
        mail(facts),
        migrations,
        config_applied(facts),
        scaling_active(facts),
        exposed,
        paused(facts.pipeline),
    ]
}

fn progressing(facts: &Facts<'_>) -> Draft {
    if facts.pipeline.spec.paused {
        return Draft::from_finding(kind::PROGRESSING, Holds::False, &Finding::paused());
    }
    let is_rolling = !(facts.api.is_complete && facts.worker.is_complete);
    match (is_rolling, facts.findings.first()) {
        (_, Some(finding)) => Draft::from_finding(kind::PROGRESSING, Holds::False, finding),
        (true, None) => {
            Draft::new(kind::PROGRESSING, Holds::True, reason::ROLLING_OUT, "pods are starting or being replaced")
        }
        (false, None) => {
            let newer =
                facts.newer_image.map(|image| format!("; newer than their image is the operator's own, {image}"));
            let message = format!("every pod runs as the resource says{}", newer.unwrap_or_default());
            Draft::new(kind::PROGRESSING, Holds::False, reason::AS_DESIRED, message)
        }
    }
}

fn paused(pipeline: &SignupPipeline) -> Draft {
    if pipeline.spec.paused {
        return Draft::from_finding(kind::PAUSED, Holds::True, &Finding::paused());
    }
    let message = "the operator keeps the children as the resource says";
    Draft::new(kind::PAUSED, Holds::False, reason::NOT_PAUSED, message)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            case::{Case, pods},
            reason::Reason,
        },
        *,
    };

    /// What a condition says with what was `found` to be missing.
    fn told(draft: fn(&Facts<'_>) -> Draft, case: &Case, found: &[Finding]) -> (Holds, Reason) {
        let draft = draft(&Facts { findings: found, ..case.facts() });
        (draft.holds, draft.reason)
    }

    #[test]
    fn a_paused_pipeline_does_not_progress_whatever_its_pods_do_and_whatever_is_missing() {
        let mut case = Case::works();
        case.worker = pods(2, 1);
        let missing = [Finding::usual(reason::API_ERROR, "the API server does not answer")];
        assert_eq!(told(progressing, &case, &[]), (Holds::True, reason::ROLLING_OUT));
        assert_eq!(told(progressing, &case, &missing), (Holds::False, reason::API_ERROR));
        case.pipeline.spec.paused = true;
        for (worker, found) in [(pods(2, 1), &[][..]), (pods(2, 1), &missing), (pods(1, 1), &[])] {
            case.worker = worker;
            assert_eq!(told(progressing, &case, found), (Holds::False, reason::PAUSED), "{:?}", case.worker);
        }
    }

    #[test]
    fn a_configuration_that_waits_for_a_paused_pipeline_is_told_as_such_and_not_as_spreading() {
        let mut case = Case::works();
        for (hash, refused, is_paused, expected) in [
            ("0", None, false, (Holds::False, reason::SPREADING)),
            ("0", None, true, (Holds::False, reason::PAUSED)),
            ("1", None, true, (Holds::True, reason::AS_DESIRED)),
            ("0", Some("why"), true, (Holds::False, reason::CONFIG_REFUSED)),
        ] {
            (case.reports[0].hash, case.reports[0].refused) = (Some(hash.to_owned()), refused.map(str::to_owned));
            case.pipeline.spec.paused = is_paused;
            assert_eq!(told(config_applied, &case, &[]), expected, "{hash} {refused:?} {is_paused}");
        }
        case.reports.clear();
        assert_eq!(told(config_applied, &case, &[]), (Holds::Unknown, reason::NOT_KNOWN), "there are no pods");
    }
}
