//! The number of api pods follows the CPU that hashing takes: in mode Auto by the operator's own
//! HorizontalPodAutoscaler, with figures of a real metrics server.

use crate::harness::{Namespace, PATIENCE, Pipeline, assert_all_acknowledged, holds, until};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::Api;
use serde_json::json;
use std::time::Duration;

/// About 10 signups a second: more CPU than two pods are to use, and less than two cores have.
const PAUSE: Duration = Duration::from_millis(100);

async fn deployment(namespace: &Namespace) -> Deployment {
    let api: Api<Deployment> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    api.get("demo-api").await.expect("it is there")
}

async fn autoscaler(namespace: &Namespace) -> HorizontalPodAutoscaler {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(namespace.cluster.client.clone(), &namespace.name);
    api.get("demo-api").await.expect("the operator made it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_mode_auto_more_signups_bring_more_api_pods_and_none_fails() {
    let namespace = Namespace::create("autoscaled-api").await;
    let autoscaling = json!({"mode": "Auto", "minReplicas": 2, "maxReplicas": 4, "targetCPUUtilizationPercentage": 50});
    let api = json!({"autoscaling": autoscaling, "resources": {"requests": {"cpu": "100m"}}});
    let pipeline = Pipeline::apply(&namespace, json!({"api": api})).await;
    pipeline.ready().await;
    until("the autoscaler has figures", PATIENCE, async || {
        let conditions = autoscaler(&namespace).await.status.and_then(|status| status.conditions).unwrap_or_default();
        let is_active = conditions.iter().any(|known| known.type_ == "ScalingActive" && known.status == "True");
        if is_active { Ok(()) } else { Err(format!("{conditions:?}")) }
    })
    .await;
    let clients = pipeline.clients();
    let load = clients.steadily(PAUSE);
    until("the api has more pods, which are ready", PATIENCE, async || {
        let status = deployment(&namespace).await.status.unwrap_or_default();
        if status.ready_replicas >= Some(3) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    load.stop().await;
    assert_all_acknowledged(&clients);
    namespace.settle().await;
    namespace.check(&clients).await.assert_exactly_one_mail_each();
    let object = pipeline.wait_for("Ready", "True").await;
    assert!(holds(&object, "Degraded", "False"), "{}", object["status"]);
}
