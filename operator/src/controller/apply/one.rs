//! Brings one child to what is desired.
//!
//! Takes: a child with the hash of all that is desired, and the object as it is observed. Gives: a write only where the
//! two differ; what somebody else wrote is undone, or left alone where the two would fight. Does not: delete anything.

use super::{
    Applied, ApplyError, LastApplied,
    contest::Foreign,
    desired_hash,
    drift::{self, Path},
    hand_over::hand_over,
    key,
    writer::{Writer, writer},
};
use crate::{
    build::{
        child::{Child, Kind},
        names::{DESIRED, FIELD_MANAGER, MANAGED_BY},
    },
    controller::observe::view::MAX_WATCH_LAG,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, ObjectMeta, Patch, PatchParams},
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Instant};

/// Applies a child where it differs.
pub(super) async fn apply_one(
    client: &Client,
    child: &Child,
    observed: Option<&DynamicObject>,
    last: &mut LastApplied,
) -> Result<(), ApplyError> {
    let (key, hash) = (key(child), desired_hash(child));
    let (mut desired, mut differing) = (Desired::new(child), Vec::new());
    if let Some(seen) = observed {
        differing = desired.differences(seen);
        let contest = last.contests.entry(key.clone()).or_default();
        let left = contest.left(seen.uid(), &desired.whole, &differing, Instant::now());
        differing.retain(|path| !left.contains(path));
        desired.leave(&left);
    }
    if !differs(&differing, observed, last.applied.get(&key), &hash) {
        return Ok(());
    }
    let namespace = child.object.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &child.kind.resource());
    let mut undo = Vec::new();
    let object = match observed {
        Some(seen) if is_as_applied(seen, last.applied.get(&key), &hash) => {
            over_others(&api, &mut desired, child, last, &mut undo).await?
        }
        Some(seen) => Some(desired.over(seen)),
        None => unless_current(&api, child).await?,
    };
    let Some(object) = object else { return Ok(()) };
    if child.kind == Kind::Deployment {
        hand_over(client, &namespace, &object).await.map_err(|source| ApplyError::refused(child, source))?;
    }
    let ObjectMeta { uid, resource_version, generation, .. } = write(&api, child, &object).await?.metadata;
    last.contests.entry(key.clone()).or_default().undone(&undo, Instant::now());
    last.undone.extend(sentences(child, &undo));
    last.applied.insert(key, Applied { hash, uid, resource_version, generation, at: Instant::now() });
    Ok(())
}

async fn write(api: &Api<DynamicObject>, child: &Child, object: &DynamicObject) -> Result<DynamicObject, ApplyError> {
    let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
    let applied = api.patch(child.name(), &params, &Patch::Apply(object)).await;
    let applied = applied.map_err(|source| ApplyError::refused(child, source))?;
    let namespace = child.object.namespace().unwrap_or_default();
    tracing::info!(kind = ?child.kind, name = child.name(), namespace, "applied");
    Ok(applied)
}

/// What is desired of a child, without what is left to others.
struct Desired {
    /// All of it.
    whole: Value,
    /// What is applied.
    object: DynamicObject,
    kind: Kind,
    left: Vec<Path>,
}

impl Desired {
    fn new(child: &Child) -> Self {
        let object = child.object.clone();
        Self { whole: value(&object), object, kind: child.kind, left: Vec::new() }
    }

    /// Fields that are not as desired, that it is paused among them.
    fn differences(&self, observed: &DynamicObject) -> Vec<Path> {
        let mut found = drift::differences(&value(&self.object), &value(observed));
        let paused = paused();
        let is_paused = self.kind == Kind::Deployment && drift::is_paused(observed) && !self.left.contains(&paused);
        found.extend(is_paused.then_some(paused));
        found
    }

    fn leave(&mut self, paths: &[Path]) {
        let mut object = value(&self.object);
        paths.iter().for_each(|path| path.remove(&mut object));
        // What was an object with a name before is one still.
        if let Ok(object) = serde_json::from_value(object) {
            self.object = object;
        }
        self.left.extend_from_slice(paths);
    }

    /// What to write over `observed`: what is desired, and an end of its pause.
    fn over(&self, observed: &DynamicObject) -> DynamicObject {
        let mut object = self.object.clone();
        if drift::is_paused(observed) && !self.left.contains(&paused()) {
            object.data["spec"]["paused"] = Value::Bool(false);
        }
        object
    }
}

/// Nothing that is desired says that a Deployment is not paused.
fn paused() -> Path {
    Path::of_spec("paused")
}

fn differs(differing: &[Path], observed: Option<&DynamicObject>, applied: Option<&Applied>, hash: &str) -> bool {
    let applied = applied.filter(|applied| applied.hash == hash);
    let settled = applied.is_none_or(|applied| applied.at.elapsed() > MAX_WATCH_LAG);
    let Some(observed) = observed else { return settled };
    let same_version = applied.is_some_and(|applied| applied.resource_version == observed.metadata.resource_version);
    !same_version && settled && !differing.is_empty()
}

/// Whether all that is desired was applied to it, so that what differs is of somebody else.
fn is_as_applied(observed: &DynamicObject, applied: Option<&Applied>, hash: &str) -> bool {
    let is_known = || applied.is_some_and(|applied| applied.hash == hash && applied.uid == observed.metadata.uid);
    observed.annotations().get(DESIRED).is_some_and(|desired| desired == hash) || is_known()
}

/// What to write where others wrote, and what of theirs that sets back; `None`: there is nothing to set back, or the
/// object is gone. Only the object itself says who wrote: the watch keeps no field managers.
async fn over_others(
    api: &Api<DynamicObject>,
    desired: &mut Desired,
    child: &Child,
    last: &mut LastApplied,
    undo: &mut Vec<Foreign>,
) -> Result<Option<DynamicObject>, ApplyError> {
    let found = api.get_opt(child.name()).await.map_err(|source| ApplyError::refused(child, source))?;
    let Some(found) = found else { return Ok(None) };
    let of = |path: Path| match writer(found.managed_fields(), &path) {
        Writer::Ours => None,
        Writer::Other(writer) => Some(Foreign { path, writer }),
    };
    let differing = desired.differences(&found);
    let foreign: Vec<Foreign> = differing.iter().cloned().filter_map(of).collect();
    metrics::counter!("signup_operator_foreign_writes_total").increment(u64::from(!foreign.is_empty()));
    let contest = last.contests.entry(key(child)).or_default();
    *undo = contest.judge(&desired.whole, foreign.clone(), Instant::now());
    let left: Vec<Path> = foreign.into_iter().filter(|one| !undo.contains(one)).map(|one| one.path).collect();
    desired.leave(&left);
    // What differs and is nobody else's the API server writes in another way: the write shows its version.
    Ok((differing.len() > left.len()).then(|| desired.over(&found)))
}

/// One for each writer.
fn sentences(child: &Child, undo: &[Foreign]) -> Vec<String> {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    undo.iter().for_each(|one| paths.entry(&one.writer).or_default().push(one.path.to_string()));
    let kind = child.kind.resource().kind;
    let sentence = |(writer, paths): (&str, Vec<String>)| {
        format!("{writer} (a field manager) had set {} of {kind} {}; set back", paths.join(", "), child.name())
    };
    paths.into_iter().map(sentence).collect()
}

/// What to write where the watch shows no object: it may lag behind, or the kind was installed after the operator
/// started. `None` when the object is there as desired.
async fn unless_current(api: &Api<DynamicObject>, child: &Child) -> Result<Option<DynamicObject>, ApplyError> {
    let refused = |source| ApplyError::refused(child, source);
    match api.get_opt(child.name()).await.map_err(refused)? {
        Some(found) if is_foreign(&found) => Err(ApplyError::Taken { kind: child.kind, name: child.name().to_owned() }),
        Some(found) if drift::holds(&value(&child.object), &value(&found)) => Ok(None),
        Some(_) => Ok(Some(child.object.clone())),
        None if child.kind.is_optional() => {
            // A read shows that there is no such kind, so that nothing is written at rest.
            api.list_metadata(&ListParams::default().limit(1)).await.map_err(refused)?;
            Ok(Some(child.object.clone()))
        }
        // Whoever sets the number of pods comes after it. Our next apply gives the number up.
        None => Ok(Some(child.as_made())),
    }
}

/// The watch sees our children only, so an object that it does not see and that lacks the label has another owner.
fn is_foreign(object: &DynamicObject) -> bool {
    object.labels().get(MANAGED_BY.0).is_none_or(|manager| manager != MANAGED_BY.1)
}

fn value(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
