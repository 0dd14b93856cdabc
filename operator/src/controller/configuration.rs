//! Which configuration do the pods run?
//!
//! Takes: the hashes that the pods report, and the newest. Gives: counts for the status, and condition `ConfigApplied`. Pure.
//! Does not: bring a configuration to a pod (`pods` does).

use super::{
    condition::{Draft, Holds},
    reason::{self, Finding, condition as kind},
    status::Facts,
};
use crate::crd::status::ConfigStatus;

pub(super) fn config_status(facts: &Facts<'_>) -> ConfigStatus {
    let applied = facts.reports.iter().filter(|report| report.hash.as_deref() == Some(facts.config)).count();
    let count = |pods: usize| i32::try_from(pods).unwrap_or(i32::MAX);
    ConfigStatus { hash: facts.config.to_owned(), applied_pods: count(applied), total_pods: count(facts.reports.len()) }
}

pub(super) fn config_applied(facts: &Facts<'_>) -> Draft {
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
