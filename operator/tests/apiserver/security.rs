//! The children of the samples in a namespace that enforces Pod Security `restricted`, by dry-run on the API server.

use super::operator_run::Run;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use operator::{
    build::{self, Inputs, child::Child, child::Kind},
    manifest,
};
use serde_json::{Value, json};

const SAMPLES: [&str; 3] = [
    super::operator_run::MINIMAL,
    include_str!("../../../samples/production.yaml"),
    include_str!("../../../samples/company.yaml"),
];

/// The children of a sample, in the run's namespace.
pub(crate) fn children(run: &Run, text: &str) -> Vec<Child> {
    let mut pipeline = manifest::parse(text).expect("the sample is valid").pipeline;
    pipeline.metadata.namespace = Some(run.namespace.clone());
    let inputs = Inputs {
        image: "signup:test".into(),
        database_ports: vec![5432],
        redis_ports: vec![6379],
        ..Inputs::default()
    };
    build::children(&pipeline, &inputs).expect("the sample can be built")
}

#[tokio::test]
async fn the_api_server_takes_every_child_of_the_samples_strictly() {
    let run = Run::new().await;
    for child in SAMPLES.iter().flat_map(|text| children(&run, text)) {
        assert!(!matches!(child.kind, Kind::HttpRoute | Kind::PodMonitor), "this server has no such kinds");
        take(&run, &child).await;
    }
}

/// Shows that the API server takes a child strictly.
pub(crate) async fn take(run: &Run, child: &Child) {
    let api: Api<DynamicObject> = Api::namespaced_with(run.client.clone(), &run.namespace, &child.kind.resource());
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test").force().validation_strict() };
    let applied = api.patch(child.name(), &params, &Patch::Apply(&child.object)).await;
    assert!(applied.is_ok(), "{:?} {}: {applied:?}", child.kind, child.name());
}

/// What the admission of pods says to a pod of that template.
async fn admitted(run: &Run, template: &Value) -> Result<(), String> {
    let mut pod = template.clone();
    pod["metadata"]["name"] = "a-pod".into();
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match run.api::<Pod>().create(&params, &pod).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

#[tokio::test]
async fn pods_of_the_samples_pass_pod_security_restricted_and_each_part_of_it_is_needed() {
    let run = Run::new().await;
    let deployments = SAMPLES.iter().flat_map(|text| children(&run, text));
    for child in deployments.filter(|child| child.kind == Kind::Deployment) {
        let object = serde_json::to_value(&child.object).expect("JSON");
        serde_json::from_value::<Deployment>(object).expect("a Deployment");
        let template = &child.object.data["spec"]["template"];
        assert_eq!(admitted(&run, template).await, Ok(()), "{}", child.name());
        for (pointer, field) in [
            ("/spec/securityContext", "runAsNonRoot"),
            ("/spec/securityContext", "seccompProfile"),
            ("/spec/containers/0/securityContext", "allowPrivilegeEscalation"),
            ("/spec/containers/0/securityContext", "capabilities"),
        ] {
            let mut weaker = template.clone();
            let removed = weaker.pointer_mut(pointer).and_then(Value::as_object_mut).and_then(|all| all.remove(field));
            assert!(removed.is_some(), "{pointer}/{field}");
            let refusal = admitted(&run, &weaker).await.expect_err(field);
            assert!(refusal.contains("restricted") && refusal.contains(field), "{refusal}");
        }
        let container = &template["spec"]["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], json!(true), "beyond `restricted`");
        assert!(container["resources"]["requests"].is_object() && container["resources"]["limits"].is_object());
        assert_eq!(template["spec"]["automountServiceAccountToken"], json!(false));
    }
}
