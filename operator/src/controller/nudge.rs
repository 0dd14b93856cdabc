//! A nudge for pods whose files have changed.
//!
//! Takes: pods and what they report. Gives: a changed annotation, upon which the kubelet brings the mounted files up to date at
//! once instead of within minutes. Does not: restart a pod.

use super::pods::{Report, Version, is_live};
use crate::build::names::SYNC;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::sync::Arc;

/// Wait before the second nudge for one version, in seconds; it doubles with each, and the kubelet comes by itself in the end.
const NUDGE_WAIT_S: i64 = 4;
const MOST_NUDGES: u32 = 6;

/// Patches the annotation of each pod that has to look at its files: all of them after a change since `before`, and those
/// that report another configuration; these a few times more, because a kubelet may look before it knows the newest ConfigMap.
///
/// # Errors
///
/// The API server's, at the first pod that cannot be patched. A pod that is gone is no error.
pub(super) async fn nudge(
    client: &Client,
    pods: &[Arc<Pod>],
    reports: &[Report],
    before: Option<&Version>,
    version: &Version,
) -> Result<(), kube::Error> {
    for pod in pods.iter().filter(|pod| is_live(pod)) {
        let report = reports.iter().find(|report| report.pod == pod.name_any());
        let old = report.filter(|report| report.hash.as_ref().is_some_and(|hash| *hash != version.config));
        let state = match old {
            Some(report) if report.refused.is_none() => State::Old,
            Some(_) => State::Refuses,
            None if before.is_some_and(|before| before != version) => State::Changed,
            None => State::Current,
        };
        let nudges = pod.annotations().get(SYNC).map(String::as_str);
        let Some(token) = next_nudge(nudges, version, state, Timestamp::now()) else { continue };
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {SYNC: token}}}));
        match api.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a pod runs, as far as nudges go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The newest configuration, or nobody knows.
    Current,
    /// The same, but a Secret may have changed.
    Changed,
    /// Another configuration, because it does not know the newest.
    Old,
    /// Another one, because it cannot work with the newest.
    Refuses,
}

/// The annotation to write: the version, how often the pod was nudged for it, and when last (Unix time in seconds).
fn next_nudge(current: Option<&str>, version: &Version, state: State, now: Timestamp) -> Option<String> {
    let (version, now) = (format!("{}-{}", version.config, version.secrets), now.as_second());
    let counted = current.and_then(|value| value.strip_prefix(&version)?.strip_prefix('-')?.split_once('-'));
    let counted = counted.and_then(|(times, at)| Some((times.parse::<u32>().ok()?, at.parse::<i64>().ok()?)));
    let times = match (counted, state) {
        (None, State::Current) => return None,
        (None, _) => 1,
        (Some((times, at)), State::Old)
            if times < MOST_NUDGES && now.saturating_sub(at) >= NUDGE_WAIT_S << (times - 1) =>
        {
            times + 1
        }
        (Some(_), _) => return None,
    };
    Some(format!("{version}-{times}-{now}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(current: Option<&str>, state: State, second: i64) -> Option<String> {
        let version = Version { config: "c".into(), secrets: "s".into() };
        next_nudge(current, &version, state, Timestamp::from_second(second).expect("a time"))
    }

    #[test]
    fn a_pod_is_nudged_once_per_version_when_it_follows() {
        assert_eq!(after(None, State::Current, 100), None);
        for state in [State::Changed, State::Old, State::Refuses] {
            assert_eq!(after(Some("b-s-3-90"), state, 100).as_deref(), Some("c-s-1-100"));
        }
        for state in [State::Current, State::Changed, State::Refuses] {
            assert_eq!(after(Some("c-s-1-100"), state, 1000), None, "{state:?}");
        }
    }

    #[test]
    fn a_pod_that_stays_behind_is_nudged_again_ever_more_rarely_and_then_no_more() {
        let (mut value, mut at, mut waits) = (after(None, State::Old, 100), 100, Vec::new());
        for second in 100..1000 {
            if let Some(next) = after(value.as_deref(), State::Old, second) {
                waits.push(second - at);
                (value, at) = (Some(next), second);
            }
        }
        assert_eq!(waits, [4, 8, 16, 32, 64]);
    }
}
