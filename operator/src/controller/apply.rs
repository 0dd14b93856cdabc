//! Brings the children to what is desired, by server-side apply.
//!
//! Takes: desired and observed children. Gives: writes only where the two differ; children that are no longer desired
//! are deleted; a finding for each best-effort child (one that no other needs) that could not be applied, which is
//! retried at an interval, because its API may be installed later. Does not: take over an object of the same name that
//! has another owner.
//!
//! # Whose a field is
//!
//! One rule for every kind, which docs/ownership.md says kind by kind: fields that are desired are the operator's, all
//! others are not. `drift` finds those that differ, `writer` who wrote them, and `contest` decides: undone once, with
//! an event that names the writer, and left alone when that writer does it again within a minute. The number of pods is
//! desired only where nobody else decides it, and `hand_over` gives it up without a step to 1.
//!
//! # Why nothing is written while nothing changes
//!
//! Four mechanisms together find what differs. Each catches what the others miss:
//!
//! | mechanism | what it catches |
//! |---|---|
//! | [`DESIRED`]: annotation, hash of all that is desired | a removed setting, although all that is desired is there |
//! | [`drift::holds`]: every desired field is there | a foreign change; what others added stays |
//! | resource version of our last write | values that the API server respells (`1000m`, `1`): no write |
//! | `MAX_WATCH_LAG` since our last write | a watch that shows the object before it: no write |

pub(super) mod contest;
pub mod drift;
mod failure;
mod hand_over;
mod one;
pub(super) mod restarts;
pub(super) mod sync;
mod writer;

pub use self::failure::ApplyError;
pub(super) use self::failure::namespace_goes;

use self::{contest::Contest, one::apply_one};
use super::{observe::view::MAX_WATCH_LAG, reason::Finding};
use crate::build::{
    child::{Child, Kind},
    names::DESIRED,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Preconditions},
};
use pipeline::hash;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Time between attempts to apply a best-effort child that failed, while it stays the same, at least; where nothing
/// else happens it doubles up to the longest.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// What was applied last.
#[derive(Debug, Clone)]
struct Applied {
    hash: String,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    at: Instant,
}

/// A best-effort child that could not be applied.
#[derive(Debug, Clone)]
struct Failed {
    hash: String,
    finding: Finding,
    at: Instant,
    wait: Duration,
}

/// What was applied, so that values that the API server writes differently (`1000m`, `1`) cause no second write.
#[derive(Debug, Default)]
pub struct LastApplied {
    applied: BTreeMap<(Kind, String), Applied>,
    failed: BTreeMap<(Kind, String), Failed>,
    contests: BTreeMap<(Kind, String), Contest>,
    /// What others had written and was set back, in words, since it was asked for.
    undone: Vec<String>,
}

impl LastApplied {
    /// Time until it has to be looked at again although nothing happens: a child that failed is tried again, and what
    /// was written just now counts no longer than the watch may lag behind.
    pub fn next_look(&self) -> Option<Duration> {
        let left = |at: Instant, wait: Duration| wait.saturating_sub(at.elapsed());
        let failed = self.failed.values().map(|failed| left(failed.at, failed.wait));
        let written = self.applied.values().map(|applied| left(applied.at, MAX_WATCH_LAG));
        failed.chain(written.filter(|left| !left.is_zero())).min()
    }

    /// What was set back since the last call, one sentence for each writer and child.
    pub fn take_undone(&mut self) -> Vec<String> {
        std::mem::take(&mut self.undone)
    }

    /// What is left to others.
    pub fn left_alone(&self) -> impl Iterator<Item = Finding> + '_ {
        let told = |((kind, name), contest): (&(Kind, String), &Contest)| {
            contest.finding(&format!("{} {name}", kind.resource().kind))
        };
        self.contests.iter().filter_map(told)
    }

    /// True when `observed` is from before our last write of its spec.
    pub fn is_ahead_of(&self, kind: Kind, observed: &DynamicObject) -> bool {
        let applied = self.applied.get(&(kind, observed.name_any()));
        let same = applied.filter(|applied| applied.uid == observed.metadata.uid);
        same.is_some_and(|applied| observed.metadata.generation < applied.generation)
    }
}

/// Applies what differs and deletes what is no longer desired. Stops at the first child that fails and is not
/// best-effort, so that pods never get ahead of their configuration. Gives the findings of best-effort children.
///
/// # Errors
///
/// [`ApplyError`] of the first child that failed and is not best-effort.
pub async fn apply(
    client: &Client,
    desired: &[Child],
    observed: &[(Kind, Arc<DynamicObject>)],
    last: &mut LastApplied,
) -> Result<Vec<(Kind, Finding)>, ApplyError> {
    let mut findings = Vec::new();
    for child in &desired.iter().map(with_desired_hash).collect::<Vec<_>>() {
        let seen = observed.iter().find(|(kind, object)| *kind == child.kind && object.name_any() == child.name());
        let seen = seen.map(|(_, object)| object.as_ref());
        if child.kind.is_best_effort() {
            let finding = apply_best_effort(client, child, seen, last).await;
            findings.extend(finding.map(|finding| (child.kind, finding)));
        } else {
            apply_one(client, child, seen, last).await?;
        }
    }
    // An address that works is kept until the one that takes its place is there.
    let exposure_failed = findings.iter().any(|(kind, _)| kind.is_exposure());
    for (kind, object) in observed {
        let wanted = desired.iter().any(|child| child.kind == *kind && child.name() == object.name_any());
        // What has no owner may be somebody's own.
        let stays = object.owner_references().is_empty() || (kind.is_exposure() && exposure_failed);
        if !wanted && !stays && object.metadata.deletion_timestamp.is_none() {
            delete(client, *kind, object, last).await?;
        }
    }
    Ok(findings)
}

/// Adds a hash of all that is desired. An object that still has a removed setting holds everything that is desired, and
/// more, just as one to which others added something; only the hash distinguishes them.
fn with_desired_hash(child: &Child) -> Child {
    let hash = hash([serde_json::to_vec(&child.object).unwrap_or_default().as_slice()]);
    let mut child = child.clone();
    child.object.annotations_mut().insert(DESIRED.to_owned(), hash);
    child
}

/// Whether a child is not there as desired, were it applied now. What others changed in it does not count.
pub fn differ(desired: &[Child], observed: &[(Kind, Arc<DynamicObject>)]) -> bool {
    let is_current = |child: &Child| {
        let seen = observed.iter().find(|(kind, object)| *kind == child.kind && object.name_any() == child.name());
        seen.and_then(|(_, object)| object.annotations().get(DESIRED)) == Some(&desired_hash(child))
    };
    desired.iter().filter(|child| !child.kind.is_best_effort()).map(with_desired_hash).any(|child| !is_current(&child))
}

/// The hash that [`with_desired_hash`] added.
fn desired_hash(child: &Child) -> String {
    child.object.annotations().get(DESIRED).cloned().unwrap_or_default()
}

/// A failure is reported until an attempt succeeds, without an attempt at every reconcile.
async fn apply_best_effort(
    client: &Client,
    child: &Child,
    observed: Option<&DynamicObject>,
    last: &mut LastApplied,
) -> Option<Finding> {
    let (key, hash) = (key(child), desired_hash(child));
    let before = last.failed.get_mut(&key).filter(|failed| failed.hash == hash);
    let wait = match before {
        Some(failed) if failed.at.elapsed() < RETRY_INTERVAL => {
            // What led to this reconcile may have mended it.
            failed.wait = RETRY_INTERVAL;
            return Some(failed.finding.clone());
        }
        Some(failed) => (failed.wait * 2).min(MAX_RETRY_INTERVAL),
        None => RETRY_INTERVAL,
    };
    let Err(error) = apply_one(client, child, observed, last).await else {
        last.failed.remove(&key);
        return None;
    };
    let finding = error.finding();
    last.failed.insert(key, Failed { hash, finding: finding.clone(), at: Instant::now(), wait });
    Some(finding)
}

fn key(child: &Child) -> (Kind, String) {
    (child.kind, child.name().to_owned())
}

async fn delete(client: &Client, kind: Kind, object: &DynamicObject, last: &mut LastApplied) -> Result<(), ApplyError> {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind.resource());
    let same = Preconditions { uid: object.uid(), resource_version: None };
    match api.delete(&name, &DeleteParams::background().preconditions(same)).await {
        Ok(_) => tracing::info!(kind = ?kind, name, namespace, "deleted, no longer desired"),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
        Err(source) => return Err(ApplyError::Refused { kind, name, source: Box::new(source) }),
    }
    last.applied.remove(&(kind, name));
    Ok(())
}
