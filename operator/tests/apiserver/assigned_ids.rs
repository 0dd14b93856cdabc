//! A cluster that gives pods ids by namespace, as OpenShift does: admission policies on the real API server refuse all
//! others, and give ids to pods that name none.

use super::{
    api_server::until,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, PodSecurityContext},
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

const POLICIES: &str = include_str!("../../../tests/cluster/restricted-v2.yaml");

/// First of the namespace's range.
const FIRST: i64 = 1_000_650_000;

/// MutatingAdmissionPolicy is served by itself from this minor version of Kubernetes on.
const GIVES_IDS_FROM: u32 = 36;

/// The policies, in force in the namespace of the run; whether they give ids.
async fn restrict(run: &Run) -> bool {
    let version = run.client.apiserver_version().await.expect("it answers");
    let gives_ids = version.minor.parse::<u32>().expect("a number") >= GIVES_IDS_FROM;
    for object in serde_yaml::from_multiple::<Value>(POLICIES).expect("it is YAML") {
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]].map(|field| field.as_str().expect("text"));
        if kind.starts_with("Mutating") && !gives_ids {
            continue;
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
        let params = PatchParams::apply("test").force().validation_strict();
        let api: Api<DynamicObject> = Api::all_with(run.client.clone(), &resource);
        api.patch(name, &params, &Patch::Apply(&object)).await.expect("it is accepted");
    }
    let namespace = json!({"metadata": {"labels": {"scc": "restricted-v2"},
        "annotations": {"openshift.io/sa.scc.uid-range": format!("{FIRST}/10000")}}});
    let namespaces: Api<Namespace> = Api::all(run.client.clone());
    let params = PatchParams::default();
    namespaces.patch(&run.namespace, &params, &Patch::Merge(namespace)).await.expect("it is there");
    gives_ids
}

/// What admission makes of a pod of the Deployment's template, or why it refuses it.
async fn admitted(run: &Run, deployment: &Deployment) -> Result<Pod, String> {
    let template = deployment.spec.clone().expect("it has a spec").template;
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, ..Pod::default() };
    pod.metadata.name = Some("a-pod".into());
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match run.api::<Pod>().create(&params, &pod).await {
        Ok(pod) => Ok(pod),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

fn context(deployment: &Deployment) -> Option<&PodSecurityContext> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.security_context.as_ref()
}

/// Group of its files, and who its container runs as by the container's own word.
fn ids(pod: &Pod) -> (Option<i64>, Option<i64>) {
    let spec = pod.spec.as_ref().expect("it has a spec");
    let user = spec.containers[0].security_context.as_ref().and_then(|context| context.run_as_user);
    (spec.security_context.as_ref().and_then(|context| context.fs_group), user)
}

/// What the ReplicaSet's controller was told, as the Deployment's writes it down; `None`: pods can be made.
async fn pods_are_refused(run: &Run, name: &str, refusal: Option<&str>) {
    let failure = refusal.map(
        |message| json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}),
    );
    let status = Patch::Merge(json!({"status": {"conditions": failure.into_iter().collect::<Vec<_>>()}}));
    run.api::<Deployment>().patch_status(name, &PatchParams::default(), &status).await.expect("it is there");
}

#[tokio::test]
async fn a_policy_as_restricted_v2_refuses_pods_with_fixed_ids_and_admits_those_whose_ids_are_assigned() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    let gives_ids = restrict(&run).await;
    for name in ["demo-api", "demo-worker"] {
        let deployment = run.wait::<Deployment>(name, |_| true).await;
        let refusal = until("the policy is in force", async || admitted(&run, &deployment).await.err()).await;
        assert!(refusal.contains("runAsUser must be in the range 1000650000 to 1000659999"), "{refusal}");
        pods_are_refused(&run, name, Some(&refusal)).await;
        let told = run.condition_saying("Reconciling", "True", &refusal).await;
        let fix = "spec.podSecurity: Assigned leaves user ids to the cluster";
        assert!(told.reason == "PodsRefused" && told.message.contains(fix), "{told:?}");
        pods_are_refused(&run, name, None).await;
    }
    run.edit(json!({"podSecurity": "Assigned"})).await;
    for (name, pods) in [("demo-api", 2), ("demo-worker", 1)] {
        let has_none =
            |deployment: &Deployment| context(deployment).is_some_and(|context| context.run_as_user.is_none());
        let deployment = run.wait::<Deployment>(name, has_none).await;
        let context = context(&deployment).expect("it has one");
        assert_eq!((context.run_as_group, context.fs_group, context.run_as_non_root), (None, None, Some(true)));
        let given = gives_ids.then_some(FIRST);
        until("ids are given", async || admitted(&run, &deployment).await.ok().filter(|pod| ids(pod).1 == given)).await;
        // The container's context and the volumes are judged as well.
        let pod = run.pod(name, &FakePod::new().await).await;
        let pod = run.api::<Pod>().get(&pod).await.expect("it was made");
        assert_eq!(ids(&pod), (given, given));
        let spec = deployment.spec.expect("it has one").template.spec.expect("it has one");
        let mut modes = spec.volumes.into_iter().flatten().filter_map(|volume| volume.secret?.default_mode);
        assert!(modes.all(|mode| mode == 0o444), "files can be read whoever reads them");
        run.deployment_is_complete(name, pods).await;
    }
    run.condition("Ready", "True", "AsDesired").await;
    run.edit(json!({"api": {"pod": {"securityContext": {"runAsUser": 7, "fsGroup": FIRST}}}})).await;
    let with_seven =
        |deployment: &Deployment| context(deployment).is_some_and(|context| context.run_as_user == Some(7));
    let deployment = run.wait::<Deployment>("demo-api", with_seven).await;
    assert!(admitted(&run, &deployment).await.is_err(), "7 is not of the namespace's");
}
