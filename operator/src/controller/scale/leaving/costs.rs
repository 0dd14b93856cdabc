//! The deletion cost of pods whose workers leave, by which a ReplicaSet chooses.
//!
//! Takes: the pods of a pipeline, and those that leave. Gives: a low cost to these, and takes it back from all others,
//! also after a drain that another operator began, or whose end could not be written. Does not: touch a cost that it
//! would not set; hold a drain up: a pod whose cost cannot be set is stopped like any other.

use crate::controller::scale::API_TIMEOUT;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::sync::Arc;
use tokio::time::timeout;

/// A ReplicaSet removes pods of a lower cost first; that of others is 0.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const LEAVES: &str = "-1000";

/// Has exactly the pods named in `leaving` leave first; false while some did not have the cost that they should.
pub(super) async fn set(client: &Client, namespace: &str, pods: &[Arc<Pod>], leaving: &[String]) -> bool {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let is_set = |pod: &Pod| pod.annotations().get(DELETION_COST).is_some_and(|cost| cost == LEAVES);
    let leaves = |pod: &Pod| leaving.contains(&pod.name_any());
    let wrong: Vec<_> = pods.iter().filter(|pod| leaves(pod) != is_set(pod)).collect();
    let all = async {
        for pod in &wrong {
            let cost = leaves(pod).then_some(LEAVES);
            let patch = Patch::Merge(json!({"metadata": {"annotations": {DELETION_COST: cost}}}));
            if let Err(error) = api.patch_metadata(&pod.name_any(), &PatchParams::default(), &patch).await {
                tracing::debug!(pod = pod.name_any(), %error, "the deletion cost of a pod is not set");
            }
        }
    };
    if timeout(API_TIMEOUT, all).await.is_err() {
        tracing::debug!(namespace, "the deletion costs of pods are not set: the API server does not answer");
    }
    wrong.is_empty()
}
