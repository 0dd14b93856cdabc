//! Makes the kubelet sync the volumes of pods whose files have changed.
//!
//! Takes: pods and what they report. Gives: a changed annotation, upon which the kubelet updates the mounted files at
//! once instead of within minutes. Does not: restart a pod.

use crate::{
    build::names::SYNC,
    controller::observe::pods::{Report, Version, is_live},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Seconds before the second sync for one version; they double with each, and in the end the kubelet syncs by itself.
const MIN_SYNC_INTERVAL_S: i64 = 4;
const MAX_SYNCS: u32 = 6;

/// Patches the annotation of each pod whose volumes have to be synced: of all pods after a change since `before`, and
/// of those that report another configuration; of these a few times more, because a kubelet may sync before it has the
/// newest ConfigMap. Gives the time until the first of these times.
///
/// # Errors
///
/// The API server's, at the first pod that cannot be patched. A pod that is gone is no error.
pub(crate) async fn sync(
    client: &Client,
    pods: &[Arc<Pod>],
    reports: &[Report],
    before: Option<&Version>,
    version: &Version,
) -> Result<Option<Duration>, kube::Error> {
    let mut again: Option<Duration> = None;
    for pod in pods.iter().filter(|pod| is_live(pod)) {
        let report = reports.iter().find(|report| report.pod == pod.name_any());
        let old = report.filter(|report| report.hash.as_ref().is_some_and(|hash| *hash != version.config));
        let state = match old {
            Some(report) if report.refused.is_none() => State::Old,
            Some(_) => State::Refuses,
            None if before.is_some_and(|before| before != version) => State::Changed,
            None => State::Current,
        };
        let (syncs, now) = (pod.annotations().get(SYNC).map(String::as_str), Timestamp::now());
        let token = next_sync(syncs, version, state, now);
        let wait = wait(token.as_deref().or(syncs), version, state, now);
        again = again.into_iter().chain(wait).min();
        let Some(token) = token else { continue };
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {SYNC: token}}}));
        match api.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(again)
}

/// What a pod runs, as far as syncs are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The newest configuration, or it is not known.
    Current,
    /// The same, but a Secret may have changed.
    Changed,
    /// Another configuration, because it has not seen the newest.
    Old,
    /// Another one, because it cannot work with the newest.
    Refuses,
}

/// The annotation to write: the version, how often the pod was synced for it, and when last (Unix time in seconds).
fn next_sync(current: Option<&str>, version: &Version, state: State, now: Timestamp) -> Option<String> {
    let (counted, now) = (counted(current, version), now.as_second());
    let times = match (counted, state) {
        (None, State::Current) => return None,
        (None, _) => 1,
        (Some((times, at)), State::Old) if times < MAX_SYNCS && now.saturating_sub(at) >= interval_s(times) => {
            times + 1
        }
        (Some(_), _) => return None,
    };
    Some(format!("{}-{}-{times}-{now}", version.config, version.secrets))
}

/// How often the pod was synced for this version, and when last.
fn counted(current: Option<&str>, version: &Version) -> Option<(u32, i64)> {
    let version = format!("{}-{}-", version.config, version.secrets);
    let (times, at) = current?.strip_prefix(&version)?.split_once('-')?;
    Some((times.parse().ok()?, at.parse().ok()?))
}

/// Seconds from the sync with that number to the next one.
fn interval_s(times: u32) -> i64 {
    MIN_SYNC_INTERVAL_S << times.saturating_sub(1).min(MAX_SYNCS)
}

/// Time until a pod is synced again although nothing happens.
fn wait(current: Option<&str>, version: &Version, state: State, now: Timestamp) -> Option<Duration> {
    let (times, at) = counted(current, version).filter(|(times, _)| state == State::Old && *times < MAX_SYNCS)?;
    let left = at.saturating_add(interval_s(times)).saturating_sub(now.as_second());
    // A second more, because the times are whole seconds.
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0).saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(current: Option<&str>, state: State, second: i64) -> Option<String> {
        let version = Version { config: "c".into(), secrets: "s".into() };
        next_sync(current, &version, state, Timestamp::from_second(second).expect("a time"))
    }

    #[test]
    fn a_pod_is_synced_once_per_version_when_it_follows() {
        assert_eq!(after(None, State::Current, 100), None);
        for state in [State::Changed, State::Old, State::Refuses] {
            assert_eq!(after(Some("b-s-3-90"), state, 100).as_deref(), Some("c-s-1-100"));
        }
        for state in [State::Current, State::Changed, State::Refuses] {
            assert_eq!(after(Some("c-s-1-100"), state, 1000), None, "{state:?}");
        }
    }

    #[test]
    fn a_pod_that_stays_behind_is_synced_again_ever_more_rarely_and_then_no_more() {
        let (mut value, mut at, mut waits) = (after(None, State::Old, 100), 100, Vec::new());
        for second in 100..1000 {
            if let Some(next) = after(value.as_deref(), State::Old, second) {
                waits.push(second - at);
                (value, at) = (Some(next), second);
            }
        }
        assert_eq!(waits, [4, 8, 16, 32, 64]);
    }

    #[test]
    fn a_look_is_asked_for_while_a_pod_stays_behind_and_until_it_is_synced_no_more() {
        let version = Version { config: "c".into(), secrets: "s".into() };
        let wait = |current, state| wait(Some(current), &version, state, Timestamp::from_second(101).expect("a time"));
        assert_eq!(wait("c-s-1-100", State::Old), Some(Duration::from_secs(4)));
        assert_eq!(wait("c-s-3-90", State::Old), Some(Duration::from_secs(6)));
        assert_eq!(wait("c-s-6-90", State::Old), None);
        assert_eq!(wait("c-s-1-100", State::Current), None);
    }
}
