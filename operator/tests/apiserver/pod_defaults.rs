//! An operator with a new default of pods finds those of an older one.

use super::{
    api_server::{audit, until},
    operator_run::{MINIMAL, Run},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodTemplateSpec};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

const DEFAULTS: &str = "signup.dev/pod-defaults";

fn constraints(deployment: &Deployment) -> usize {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.topology_spread_constraints.as_ref()).map_or(0, Vec::len)
}

fn template(deployment: &Deployment) -> Option<&PodTemplateSpec> {
    Some(&deployment.spec.as_ref()?.template)
}

#[tokio::test]
async fn a_new_default_of_pods_restarts_none_and_comes_with_the_next_restart_of_each_component() {
    let mut run = Run::with_pipeline_and_redis(MINIMAL).await;
    for name in ["demo-api", "demo-worker"] {
        run.wait::<Deployment>(name, |deployment| constraints(deployment) == 2).await;
    }
    run.kill().await;
    // As an operator made them that did not know the default.
    let mut made = Vec::new();
    for name in ["demo-api", "demo-worker"] {
        let template = json!({"spec": {"topologySpreadConstraints": null}});
        let patch = json!({"metadata": {"annotations": {DEFAULTS: null}}, "spec": {"template": template}});
        let params = PatchParams::default();
        let older = run.api::<Deployment>().patch(name, &params, &Patch::Merge(patch)).await.expect("it is there");
        assert_eq!(constraints(&older), 0);
        made.push(older);
    }
    run.start();
    // A live edit is applied, and shows that the Deployments were looked at.
    run.edit(json!({"worker": {"concurrency": 3}, "api": {"replicas": 3}})).await;
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let api = run.wait::<Deployment>("demo-api", |deployment| replicas(deployment) == Some(3)).await;
    assert_eq!((constraints(&api), api.annotations().get(DEFAULTS)), (0, None));
    let polls = || audit(&run.namespace).iter().filter(|(verb, _, name)| verb == "get" && name == "app-db").count();
    let settled = polls() + 3;
    until("it has polled three times", async || (polls() >= settled).then_some(())).await;
    let worker = run.wait::<Deployment>("demo-worker", |_| true).await;
    assert_eq!((template(&api), template(&worker)), (template(&made[0]), template(&made[1])));

    run.edit(json!({"api": {"pod": {"labels": {"team": "a"}}}})).await;
    let api = run.wait::<Deployment>("demo-api", |deployment| constraints(deployment) == 2).await;
    assert_eq!(api.annotations()[DEFAULTS], "2");
    let worker = run.wait::<Deployment>("demo-worker", |_| true).await;
    assert_eq!(template(&worker), template(&made[1]), "it was not replaced");
    run.edit(json!({"observability": {"logFormat": "Text"}})).await;
    run.wait::<Deployment>("demo-worker", |deployment| constraints(deployment) == 2).await;
}
