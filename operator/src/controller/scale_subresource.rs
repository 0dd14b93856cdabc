//! The subresource `scale` of Deployments.
//!
//! Takes: a number of pods, and the version of the Deployment that it was decided on. Gives: the number, written into
//! that version, or into a later one of which only the status is another. Does not: decide it.

use crate::build::names::SCALER_FIELD_MANAGER;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::Status,
};
use serde_json::json;

/// The Deployment controller writes the status again and again while pods come; so often is the number written anew
/// before the next look at the whole.
const MAX_STATUSES: usize = 20;

/// The Deployment that a number was decided on.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecidedOn<'a> {
    pub(super) version: &'a str,
    pub(super) replicas: u32,
    /// `None`: that of our own last write, which is not known.
    pub(super) generation: Option<i64>,
}

/// Writes the number as [`write_replicas`] does, also where the status has changed since, on which no number depends.
///
/// # Errors
///
/// Those of [`write_replicas`]: a conflict when the Deployment has another number or generation than was decided on.
pub(super) async fn write_decided(
    deployments: &Api<Deployment>,
    name: &str,
    wanted: u32,
    decided_on: DecidedOn<'_>,
    force: bool,
) -> Result<Option<String>, kube::Error> {
    let mut version = decided_on.version.to_owned();
    let mut tries = 0;
    loop {
        let refusal = match write_replicas(deployments, name, wanted, Some(&version), force).await {
            Err(kube::Error::Api(status)) if is_of_version(&status) && tries < MAX_STATUSES => status,
            written => return written,
        };
        let found = deployments.get_opt(name).await.ok().flatten().filter(|found| decided_on.is_still(found));
        let Some(newer) = found.and_then(|found| found.resource_version()) else {
            return Err(kube::Error::Api(refusal));
        };
        version = newer;
        tries += 1;
    }
}

impl DecidedOn<'_> {
    fn is_still(self, found: &Deployment) -> bool {
        let replicas = found.spec.as_ref().and_then(|spec| u32::try_from(spec.replicas?).ok());
        let is_same_generation = self.generation.is_none() || self.generation == found.metadata.generation;
        replicas == Some(self.replicas) && is_same_generation
    }
}

/// Server-side apply names each field that has another owner; a version that is not the newest has no such cause.
pub(super) fn is_owned_by_another(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_conflict() && causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

fn is_of_version(status: &Status) -> bool {
    status.is_conflict() && !is_owned_by_another(status)
}

/// Writes the number into that version of a Deployment, under the field manager of numbers; gives the next version.
///
/// # Errors
///
/// The API server's: a conflict when the version is not the newest, or, without `force`, the number is somebody else's.
pub(super) async fn write_replicas(
    deployments: &Api<Deployment>,
    name: &str,
    wanted: u32,
    version: Option<&str>,
    force: bool,
) -> Result<Option<String>, kube::Error> {
    let mut metadata = json!({"name": name});
    if let Some(version) = version {
        metadata["resourceVersion"] = version.into();
    }
    let scale =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": {"replicas": wanted}});
    let params = PatchParams { force, ..PatchParams::apply(SCALER_FIELD_MANAGER) };
    let written = deployments.patch_scale(name, &params, &Patch::Apply(&scale)).await?;
    Ok(written.metadata.resource_version)
}

#[cfg(test)]
mod tests;
