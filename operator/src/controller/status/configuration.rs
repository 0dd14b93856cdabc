//! Which configuration do the pods run?
//!
//! Takes: the hashes that the pods report, and the newest. Gives: counts and the time for the status, and condition
//! `ConfigApplied`. Pure. Does not: bring a configuration to a pod (`sync` does).

use super::{
    condition::{
        ConditionStatus::{False, True, Unknown},
        UntimedCondition, whole_second,
    },
    facts::Facts,
};
use crate::{
    controller::reason::{self, Finding, condition as kind},
    crd::status::ConfigStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(super) fn config_status(facts: &Facts<'_>, now: Timestamp) -> ConfigStatus {
    let (applied_pods, total_pods) = counts(facts);
    let before = facts.previous.and_then(|status| status.config.as_ref());
    let status = ConfigStatus { hash: facts.config.to_owned(), applied_pods, total_pods, applied_at: None };
    ConfigStatus { applied_at: applied_at(before, &status, now), ..status }
}

/// The time stays while the hash does: pods that come later start with it.
fn applied_at(before: Option<&ConfigStatus>, status: &ConfigStatus, now: Timestamp) -> Option<Time> {
    let known = before.filter(|before| before.hash == status.hash).and_then(|before| before.applied_at.clone());
    let runs_now = status.total_pods > 0 && status.applied_pods == status.total_pods;
    known.or_else(|| runs_now.then(|| Time(whole_second(now))))
}

/// Pods that run the newest configuration, and all pods.
fn counts(facts: &Facts<'_>) -> (i32, i32) {
    let applied = facts.reports.iter().filter(|report| report.hash.as_deref() == Some(facts.config)).count();
    let count = |pods: usize| i32::try_from(pods).unwrap_or(i32::MAX);
    (count(applied), count(facts.reports.len()))
}

pub(super) fn config_applied(facts: &Facts<'_>) -> UntimedCondition {
    if let Some((pod, why)) = facts.reports.iter().find_map(|report| Some((&report.pod, report.refused.as_ref()?))) {
        let problem = format!("pod {pod} keeps its older configuration: {}", why.trim_end_matches('.'));
        return UntimedCondition::from_finding(
            kind::CONFIG_APPLIED,
            False,
            &Finding::with_default_fix(reason::CONFIG_REFUSED, problem),
        );
    }
    if let Some((pod, why)) = facts.reports.iter().find_map(|report| Some((&report.pod, report.templates.as_ref()?))) {
        let problem = format!("pod {pod} keeps its older mail templates: {}", why.trim_end_matches('.'));
        return UntimedCondition::from_finding(
            kind::CONFIG_APPLIED,
            False,
            &Finding::with_default_fix(reason::TEMPLATES_REFUSED, problem),
        );
    }
    match counts(facts) {
        (_, 0) => UntimedCondition::new(kind::CONFIG_APPLIED, Unknown, reason::NOT_KNOWN, "there are no pods"),
        (applied, total) if applied == total => UntimedCondition::new(
            kind::CONFIG_APPLIED,
            True,
            reason::AS_DESIRED,
            "all pods run the newest configuration",
        ),
        _ if facts.pipeline.spec.paused => {
            UntimedCondition::from_finding(kind::CONFIG_APPLIED, False, &Finding::paused())
        }
        _ => {
            let problem = "some pods do not report the newest configuration yet; status.config counts them";
            UntimedCondition::from_finding(
                kind::CONFIG_APPLIED,
                False,
                &Finding::with_default_fix(reason::SPREADING, problem),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_at_which_all_pods_first_ran_a_configuration() {
        let mut before = None;
        for (second, hash, applied_pods, total_pods, expected) in [
            (1, "a", 0, 0, None),
            (2, "a", 1, 2, None),
            (3, "a", 2, 2, Some(3)),
            (4, "a", 2, 3, Some(3)),
            (5, "a", 3, 3, Some(3)),
            (6, "b", 0, 3, None),
            (7, "b", 3, 3, Some(7)),
            (8, "a", 3, 3, Some(8)),
        ] {
            let status = ConfigStatus { hash: hash.to_owned(), applied_pods, total_pods, applied_at: None };
            let at = applied_at(before.as_ref(), &status, Timestamp::from_second(second).expect("a time"));
            assert_eq!(at.as_ref().map(|at| at.0.as_second()), expected, "at second {second}");
            before = Some(ConfigStatus { applied_at: at, ..status });
        }
    }
}
