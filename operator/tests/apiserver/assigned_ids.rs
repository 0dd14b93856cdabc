//! A cluster that gives pods ids by namespace, as OpenShift does: an admission policy on the real API server refuses
//! all others.

use super::{
    api_server::until,
    operator_run::{FakePod, MINIMAL, Run},
};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, PodSecurityContext},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

const POLICY: &str = include_str!("restricted-v2.yaml");

/// The policy, in force in the namespace of the run.
async fn restrict(run: &Run) {
    async fn apply<K>(run: &Run, object: &Value)
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams::apply("test").force().validation_strict();
        Api::<K>::all(run.client.clone()).patch(name, &params, &Patch::Apply(object)).await.expect("it is accepted");
    }
    let objects: Vec<Value> = serde_yaml::from_multiple(POLICY).expect("it is YAML");
    apply::<ValidatingAdmissionPolicy>(run, &objects[0]).await;
    apply::<ValidatingAdmissionPolicyBinding>(run, &objects[1]).await;
    let namespace = json!({"metadata": {"labels": {"scc": "restricted-v2"},
        "annotations": {"openshift.io/sa.scc.uid-range": "1000650000/10000"}}});
    let namespaces: Api<Namespace> = Api::all(run.client.clone());
    let params = PatchParams::default();
    namespaces.patch(&run.namespace, &params, &Patch::Merge(namespace)).await.expect("it is there");
}

/// What admission says to a pod of the Deployment's template.
async fn admitted(run: &Run, deployment: &Deployment) -> Result<(), String> {
    let template = deployment.spec.clone().expect("it has a spec").template;
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, ..Pod::default() };
    pod.metadata.name = Some("a-pod".into());
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match run.api::<Pod>().create(&params, &pod).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

fn context(deployment: &Deployment) -> Option<&PodSecurityContext> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.security_context.as_ref()
}

#[tokio::test]
async fn a_policy_as_restricted_v2_refuses_pods_with_fixed_ids_and_admits_those_whose_ids_are_assigned() {
    let run = Run::with_pipeline_and_redis(MINIMAL).await;
    restrict(&run).await;
    for name in ["demo-api", "demo-worker"] {
        let deployment = run.wait::<Deployment>(name, |_| true).await;
        let refusal = until("the policy is in force", async || admitted(&run, &deployment).await.err()).await;
        assert!(refusal.contains("runAsUser must be in the range 1000650000 to 1000659999"), "{refusal}");
    }
    run.edit(json!({"podSecurity": "Assigned"})).await;
    for name in ["demo-api", "demo-worker"] {
        let has_none =
            |deployment: &Deployment| context(deployment).is_some_and(|context| context.run_as_user.is_none());
        let deployment = run.wait::<Deployment>(name, has_none).await;
        let context = context(&deployment).expect("it has one");
        assert_eq!((context.run_as_group, context.fs_group, context.run_as_non_root), (None, None, Some(true)));
        assert_eq!(admitted(&run, &deployment).await, Ok(()));
        // The container's context and the volumes are judged as well.
        run.pod(name, &FakePod::new().await).await;
        let spec = deployment.spec.expect("it has one").template.spec.expect("it has one");
        let mut modes = spec.volumes.into_iter().flatten().filter_map(|volume| volume.secret?.default_mode);
        assert!(modes.all(|mode| mode == 0o444), "files can be read whoever reads them");
    }
    run.edit(json!({"api": {"pod": {"securityContext": {"runAsUser": 7, "fsGroup": 1000650000}}}})).await;
    let with_seven =
        |deployment: &Deployment| context(deployment).is_some_and(|context| context.run_as_user == Some(7));
    let deployment = run.wait::<Deployment>("demo-api", with_seven).await;
    assert!(admitted(&run, &deployment).await.is_err(), "7 is not of the namespace's");
}
