//! Brings the children to what is desired, by server-side apply.
//!
//! Takes: desired and observed children. Gives: writes only where the two differ; children that are no longer desired are
//! deleted; a finding for each leaf (a child that no other needs) that could not be applied, which is tried again now and then,
//! because its API may come to the cluster later. Does not: take over an object of the same name that is somebody else's.

mod failure;

pub use self::failure::ApplyError;

use super::{drift, reason::Finding};
use crate::build::{
    checksum::hash,
    child::{Child, Kind},
    names::{DESIRED, FIELD_MANAGER, MANAGED_BY},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, Preconditions},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A watch may lag behind our own write; within this time the write is believed.
const SETTLE: Duration = Duration::from_secs(3);

/// Time between attempts to apply a leaf that failed, while it stays the same.
const LEAF_WAIT: Duration = Duration::from_secs(10);

/// What was applied last.
#[derive(Debug, Clone)]
struct Applied {
    hash: String,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    at: Instant,
}

/// A leaf that could not be applied.
#[derive(Debug, Clone)]
struct Failed {
    hash: String,
    finding: Finding,
    at: Instant,
}

/// Remembers what was applied, so that values that the API server writes differently (`1000m`, `1`) cause no second write.
#[derive(Debug, Default)]
pub struct Memory {
    applied: BTreeMap<(Kind, String), Applied>,
    failed: BTreeMap<(Kind, String), Failed>,
}

impl Memory {
    /// True when `observed` is from before our last write of its spec.
    pub fn is_ahead_of(&self, kind: Kind, observed: &DynamicObject) -> bool {
        let applied = self.applied.get(&(kind, observed.name_any()));
        let same = applied.filter(|applied| applied.uid == observed.metadata.uid);
        same.is_some_and(|applied| observed.metadata.generation < applied.generation)
    }
}

/// Applies what differs and deletes what is no longer desired. Stops at the first child that fails and is no leaf, so that
/// pods never get ahead of their configuration. Gives the findings of leaves.
///
/// # Errors
///
/// [`ApplyError`] of the first child that failed and is no leaf.
pub async fn apply(
    client: &Client,
    desired: &[Child],
    observed: &[(Kind, Arc<DynamicObject>)],
    memory: &mut Memory,
) -> Result<Vec<(Kind, Finding)>, ApplyError> {
    let mut findings = Vec::new();
    for child in &desired.iter().map(marked).collect::<Vec<_>>() {
        let seen = observed.iter().find(|(kind, object)| *kind == child.kind && object.name_any() == child.name());
        let seen = seen.map(|(_, object)| object.as_ref());
        if child.kind.is_leaf() {
            let finding = apply_leaf(client, child, seen, memory).await;
            findings.extend(finding.map(|finding| (child.kind, finding)));
        } else {
            apply_one(client, child, seen, memory).await?;
        }
    }
    // An address that works is kept until the one that takes its place is there.
    let exposure_failed = findings.iter().any(|(kind, _)| kind.is_exposure());
    for (kind, object) in observed {
        let wanted = desired.iter().any(|child| child.kind == *kind && child.name() == object.name_any());
        let stays = kind.is_exposure() && exposure_failed;
        if !wanted && !stays && object.metadata.deletion_timestamp.is_none() {
            delete(client, *kind, object, memory).await?;
        }
    }
    Ok(findings)
}

/// With a mark of all that is desired. An object from which a setting is to be taken holds everything that is desired, and more,
/// just as one to which others added something; only the mark tells them apart.
fn marked(child: &Child) -> Child {
    let mark = hash([serde_json::to_vec(&child.object).unwrap_or_default().as_slice()]);
    let mut child = child.clone();
    child.object.annotations_mut().insert(DESIRED.to_owned(), mark);
    child
}

/// The mark of a marked child.
fn mark(child: &Child) -> String {
    child.object.annotations().get(DESIRED).cloned().unwrap_or_default()
}

/// What keeps a leaf from being applied is told until an attempt succeeds, and not tried at every look.
async fn apply_leaf(
    client: &Client,
    child: &Child,
    observed: Option<&DynamicObject>,
    memory: &mut Memory,
) -> Option<Finding> {
    let (key, hash) = (key(child), mark(child));
    if let Some(failed) = memory.failed.get(&key)
        && failed.hash == hash
        && failed.at.elapsed() < LEAF_WAIT
    {
        return Some(failed.finding.clone());
    }
    let Err(error) = apply_one(client, child, observed, memory).await else {
        memory.failed.remove(&key);
        return None;
    };
    let finding = error.finding();
    memory.failed.insert(key, Failed { hash, finding: finding.clone(), at: Instant::now() });
    Some(finding)
}

async fn apply_one(
    client: &Client,
    child: &Child,
    observed: Option<&DynamicObject>,
    memory: &mut Memory,
) -> Result<(), ApplyError> {
    let (key, hash) = (key(child), mark(child));
    if !differs(child, observed, memory.applied.get(&key), &hash) {
        return Ok(());
    }
    let (kind, name) = key.clone();
    let refused = |source| ApplyError::Refused { kind, name: name.clone(), source: Box::new(source) };
    let namespace = child.object.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind.resource());
    let mut object = child.object.clone();
    if observed.is_none() {
        match api.get_opt(&name).await.map_err(refused)? {
            Some(unseen) if is_foreign(&unseen) => return Err(ApplyError::Taken { kind, name }),
            // The watch lags behind, or the kind came to the cluster after the operator did.
            Some(unseen) if drift::holds(&value(&child.object), &value(&unseen)) => return Ok(()),
            Some(_) => {}
            // A read tells that there is no such kind, and at rest nothing is written.
            None if kind.is_optional() => {
                api.list_metadata(&ListParams::default().limit(1)).await.map_err(refused)?;
            }
            // The scaler comes after it. Our next apply gives the number of pods up, and by then the scaler owns it.
            None => object = child.as_made(),
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
    let applied = api.patch(&name, &params, &Patch::Apply(&object)).await.map_err(refused)?;
    tracing::info!(kind = ?kind, name, namespace, "applied");
    let ObjectMeta { uid, resource_version, generation, .. } = applied.metadata;
    memory.applied.insert(key, Applied { hash, uid, resource_version, generation, at: Instant::now() });
    Ok(())
}

fn key(child: &Child) -> (Kind, String) {
    (child.kind, child.name().to_owned())
}

fn differs(child: &Child, observed: Option<&DynamicObject>, applied: Option<&Applied>, hash: &str) -> bool {
    let applied = applied.filter(|applied| applied.hash == hash);
    let settled = applied.is_none_or(|applied| applied.at.elapsed() > SETTLE);
    let Some(observed) = observed else { return settled };
    let same_version = applied.is_some_and(|applied| applied.resource_version == observed.metadata.resource_version);
    !same_version && settled && !drift::holds(&value(&child.object), &value(observed))
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// The watch sees objects with our label only, so one that it does not see and that lacks the label is somebody else's.
fn is_foreign(object: &DynamicObject) -> bool {
    object.labels().get(MANAGED_BY.0).is_none_or(|manager| manager != MANAGED_BY.1)
}

async fn delete(client: &Client, kind: Kind, object: &DynamicObject, memory: &mut Memory) -> Result<(), ApplyError> {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind.resource());
    let same = Preconditions { uid: object.uid(), resource_version: None };
    match api.delete(&name, &DeleteParams::background().preconditions(same)).await {
        Ok(_) => tracing::info!(kind = ?kind, name, namespace, "deleted, no longer desired"),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
        Err(source) => return Err(ApplyError::Refused { kind, name, source: Box::new(source) }),
    }
    memory.applied.remove(&(kind, name));
    Ok(())
}
