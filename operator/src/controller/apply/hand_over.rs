//! Gives the number of a Deployment's pods to others.
//!
//! Takes: a Deployment as it is about to be applied. Gives: before it is applied without a number for the first time,
//! the number that runs gets the field manager of numbers as its owner. Without one the API server would take it away
//! with our own claim, and the Deployment would have Kubernetes' default, 1, until an autoscaler writes (Kubernetes,
//! Server-Side Apply, "Transferring ownership"). Does not: change the number.

use super::{drift::Path, writer::is_only_ours};
use crate::controller::scale_subresource::write_replicas;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt, api::DynamicObject};

/// An autoscaler may write between our read and our write; each of them reads anew.
const TRIES: usize = 3;

/// Hands the number over where it is the operator's alone and the object says none.
///
/// # Errors
///
/// The API server's.
pub(super) async fn hand_over(client: &Client, namespace: &str, object: &DynamicObject) -> Result<(), kube::Error> {
    if object.data.pointer("/spec/replicas").is_some() {
        return Ok(());
    }
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let name = object.name_any();
    for tries in 1..=TRIES {
        let Some(found) = deployments.get_opt(&name).await? else { return Ok(()) };
        let version = found.resource_version();
        let number = found.spec.as_ref().and_then(|spec| u32::try_from(spec.replicas?).ok());
        let is_ours = is_only_ours(found.managed_fields(), &Path::of_spec("replicas"));
        let written = match number.filter(|_| is_ours) {
            Some(number) => write_replicas(&deployments, &name, number, version.as_deref(), false).await,
            None => Ok(None),
        };
        match written {
            Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => {}
            written => return written.map(drop),
        }
    }
    Ok(())
}
