//! The status of a pipeline.
//!
//! Takes: [`Facts`], what a look at the cluster, the pods and Redis gave. Gives: the whole status. Pure: the time is a
//! parameter. Does not: write it (`report` does).

use super::{
    condition::{Draft, Holds, conditions, whole_second},
    exposure::exposure,
    observe::Observed,
    pods::Report,
    reachability::{database, mail, redis},
    reason::{self, Finding, condition as kind},
    rollout::{Rollout, pod_trouble},
    scaler::Scaling,
};
use crate::{
    crd::{
        SignupPipeline,
        autoscaling::AutoscalingMode,
        status::{AutoscalingStatus, ConfigStatus, QueueStatus, SignupPipelineStatus, TaskCounts},
    },
    scaling::{Decision, LimitedBy},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use queue::QueueState;

/// What is known of a pipeline.
pub struct Facts<'a> {
    /// The resource.
    pub pipeline: &'a SignupPipeline,
    /// What is missing or failed; nothing was applied after the first one.
    pub findings: &'a [Finding],
    /// What is there.
    pub observed: &'a Observed,
    /// Deployment of the api.
    pub api: Rollout,
    /// Deployment of the workers.
    pub worker: Rollout,
    /// What the pods tell.
    pub reports: &'a [Report],
    /// Hash of the configuration that the pods shall run.
    pub config: &'a str,
    /// The queues and the number of workers.
    pub scaling: &'a Scaling,
}

/// Puts the status together.
pub fn status(facts: &Facts<'_>, now: Timestamp) -> SignupPipelineStatus {
    let previous = facts.pipeline.status.as_ref();
    let (exposed, url) = exposure(facts.pipeline, facts.observed);
    let generation = facts.pipeline.metadata.generation;
    let drafts = drafts(facts, exposed);
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
        autoscaling: facts.scaling.decision.as_ref().map(|decision| autoscaling(decision, previous, now)),
        config: Some(config_status(facts)),
        url,
    }
}

fn drafts(facts: &Facts<'_>, exposed: Draft) -> Vec<Draft> {
    let paused = facts.pipeline.spec.paused;
    let wrong = wrong(facts);
    let is_rolling = !(facts.api.is_complete && facts.worker.is_complete);
    let state = |condition, finding: Option<&Finding>, otherwise: &str| match finding {
        Some(finding) => Draft::from_finding(condition, Holds::True, finding),
        None => Draft::new(condition, Holds::False, reason::AS_DESIRED, otherwise),
    };
    let progressing = match (is_rolling, facts.findings.first()) {
        (_, Some(finding)) => Draft::from_finding(kind::PROGRESSING, Holds::False, finding),
        (true, None) => {
            Draft::new(kind::PROGRESSING, Holds::True, reason::ROLLING_OUT, "pods are starting or being replaced")
        }
        (false, None) => {
            Draft::new(kind::PROGRESSING, Holds::False, reason::AS_DESIRED, "every pod runs as the resource says")
        }
    };
    let pause = if paused {
        let finding = Finding::usual(reason::PAUSED, "the operator leaves the children as they are");
        Draft::from_finding(kind::PAUSED, Holds::True, &finding)
    } else {
        Draft::new(
            kind::PAUSED,
            Holds::False,
            reason::NOT_PAUSED,
            "the operator keeps the children as the resource says",
        )
    };
    let [database, migrations] = database(facts);
    vec![
        ready(facts, wrong.as_ref()),
        progressing,
        state(kind::DEGRADED, wrong.as_ref(), "nothing is known to be wrong"),
        state(
            kind::STALLED,
            facts.findings.first().filter(|finding| finding.reason != reason::API_ERROR),
            "nothing waits for a person",
        ),
        database,
        redis(facts),
        mail(facts),
        migrations,
        config_applied(facts),
        scaling_active(facts),
        exposed,
        pause,
    ]
}

/// The first thing that is wrong, the cause before its effects.
fn wrong(facts: &Facts<'_>) -> Option<Finding> {
    let found = facts.findings.first().cloned();
    let pods = || facts.api.trouble.clone().or_else(|| facts.worker.trouble.clone());
    found.or_else(pods).or_else(|| pod_trouble(&facts.observed.pods)).or_else(|| facts.scaling.trouble.clone())
}

fn ready(facts: &Facts<'_>, wrong: Option<&Finding>) -> Draft {
    let serves = |rollout: &Rollout| rollout.replicas.ready_replicas > 0 || rollout.wanted == 0;
    if serves(&facts.api) && serves(&facts.worker) && facts.findings.is_empty() {
        return Draft::new(kind::READY, Holds::True, reason::AS_DESIRED, "signups are accepted and mails are sent");
    }
    if let Some(wrong) = wrong {
        return Draft::from_finding(kind::READY, Holds::False, wrong);
    }
    let [database, migrations] = database(facts);
    match [database, migrations].into_iter().find(|draft| draft.holds == Holds::False) {
        Some(cause) => Draft { condition: kind::READY, ..cause },
        None => {
            let finding = Finding::usual(reason::ROLLING_OUT, "no pod of api or worker is ready yet");
            Draft::from_finding(kind::READY, Holds::False, &finding)
        }
    }
}

fn config_status(facts: &Facts<'_>) -> ConfigStatus {
    let applied = facts.reports.iter().filter(|report| report.hash.as_deref() == Some(facts.config)).count();
    let count = |pods: usize| i32::try_from(pods).unwrap_or(i32::MAX);
    ConfigStatus { hash: facts.config.to_owned(), applied_pods: count(applied), total_pods: count(facts.reports.len()) }
}

fn config_applied(facts: &Facts<'_>) -> Draft {
    let ConfigStatus { hash: _, applied_pods, total_pods } = config_status(facts);
    if let Some((pod, why)) = facts.reports.iter().find_map(|report| Some((&report.pod, report.refused.as_ref()?))) {
        let problem = format!("pod {pod} keeps its older configuration: {}", why.trim_end_matches('.'));
        return Draft::from_finding(
            kind::CONFIG_APPLIED,
            Holds::False,
            &Finding::usual(reason::CONFIG_REFUSED, problem),
        );
    }
    match (applied_pods, total_pods) {
        (_, 0) => Draft::new(kind::CONFIG_APPLIED, Holds::Unknown, reason::NOT_KNOWN, "there are no pods"),
        (applied, total) if applied == total => {
            Draft::new(kind::CONFIG_APPLIED, Holds::True, reason::AS_DESIRED, "all pods run the newest configuration")
        }
        _ => {
            let problem = "some pods do not report the newest configuration yet; status.config counts them";
            Draft::from_finding(kind::CONFIG_APPLIED, Holds::False, &Finding::usual(reason::SPREADING, problem))
        }
    }
}

fn scaling_active(facts: &Facts<'_>) -> Draft {
    let active = |holds, reason, message: &str| Draft::new(kind::SCALING_ACTIVE, holds, reason, message);
    let mode = facts.pipeline.spec.worker.autoscaling.mode;
    if let Some(finding) = &facts.scaling.trouble {
        return Draft::from_finding(kind::SCALING_ACTIVE, Holds::False, finding);
    }
    match (mode, &facts.scaling.queues) {
        (AutoscalingMode::Auto, Ok(_)) => {
            active(Holds::True, reason::FOLLOWS_QUEUE, "the number of workers follows the work that is due")
        }
        (AutoscalingMode::Auto, Err(finding)) => Draft::from_finding(kind::SCALING_ACTIVE, Holds::False, finding),
        (AutoscalingMode::DryRun, _) => {
            active(Holds::False, reason::MODE, "mode DryRun: what would be done is in status.autoscaling only")
        }
        (AutoscalingMode::External, _) => {
            active(Holds::False, reason::MODE, "mode External: somebody else sets the number of workers")
        }
        (AutoscalingMode::Off, _) => {
            active(Holds::False, reason::MODE, "mode Off: the number of workers is spec.worker.replicas")
        }
    }
}

fn autoscaling(decision: &Decision, previous: Option<&SignupPipelineStatus>, now: Timestamp) -> AutoscalingStatus {
    let count = |workers: u32| i32::try_from(workers).unwrap_or(i32::MAX);
    let before = previous.and_then(|status| status.autoscaling.as_ref());
    let last_scale_time = match before {
        Some(before) if before.desired == count(decision.desired) => before.last_scale_time.clone(),
        _ => Some(Time(whole_second(now))),
    };
    let limited_by = decision.limited_by.map(|limit| match limit {
        LimitedBy::MinReplicas => "minReplicas",
        LimitedBy::MaxReplicas => "maxReplicas",
        LimitedBy::Cooldown => "cooldownPeriod",
        LimitedBy::Busy => "busy",
    });
    AutoscalingStatus {
        desired: count(decision.desired),
        recommended: count(decision.recommended),
        limited_by: limited_by.map(str::to_owned),
        explanation: decision.explanation.clone(),
        last_scale_time,
    }
}

fn queue_status((name, state): &(String, QueueState)) -> QueueStatus {
    let count = |tasks: u64| i64::try_from(tasks).unwrap_or(i64::MAX);
    let time = |at: Timestamp| Time(whole_second(at));
    let counts = TaskCounts {
        due: count(state.pending.saturating_add(state.due)),
        scheduled: count(state.scheduled),
        retry: count(state.retry),
        active: count(state.active),
        archived: count(state.archived),
        oldest_due_at: state.oldest_pending_since.map(time),
        next_due_at: state.next_due_at.map(time),
    };
    QueueStatus { name: name.clone(), counts }
}

fn sum(queues: &[QueueStatus]) -> TaskCounts {
    let total =
        |count: fn(&TaskCounts) -> i64| queues.iter().map(|queue| count(&queue.counts)).fold(0, i64::saturating_add);
    let earliest = |at: fn(&TaskCounts) -> Option<&Time>| {
        queues.iter().filter_map(|queue| at(&queue.counts)).min_by_key(|time| time.0).cloned()
    };
    TaskCounts {
        due: total(|counts| counts.due),
        scheduled: total(|counts| counts.scheduled),
        retry: total(|counts| counts.retry),
        active: total(|counts| counts.active),
        archived: total(|counts| counts.archived),
        oldest_due_at: earliest(|counts| counts.oldest_due_at.as_ref()),
        next_due_at: earliest(|counts| counts.next_due_at.as_ref()),
    }
}
