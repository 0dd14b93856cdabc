//! The subresource `scale` of Deployments.
//!
//! Takes: a number of pods, and the version of the Deployment that it was decided on. Gives: the number, written. Does
//! not: decide it.

use crate::build::names::SCALER_FIELD_MANAGER;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

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
