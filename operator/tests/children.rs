//! The children of the samples, byte for byte, and what has to hold for all of them.
//!
//! The golden files show what an upgrade of the operator would change in running clusters: a changed pod template restarts
//! every pod.

use kube::ResourceExt;
use operator::{
    build::{self, Inputs, child::Child, child::Kind},
    manifest::{self, Manifest},
    render,
};
use serde_json::Value;
use std::path::Path;

const MINIMAL: &str = include_str!("../../samples/minimal.yaml");
const PRODUCTION: &str = include_str!("../../samples/production.yaml");

fn parse(text: &str) -> Manifest {
    manifest::parse(text).expect("the sample is valid")
}

fn children(text: &str) -> Vec<Child> {
    let inputs = Inputs { image: "signup:test".into(), ..Inputs::default() };
    build::children(&parse(text).pipeline, &inputs).expect("the sample can be built")
}

fn template<'a>(children: &'a [Child], name: &str) -> &'a Value {
    let deployment = children.iter().find(|child| child.kind == Kind::Deployment && child.name() == name);
    &deployment.expect("the Deployment is there").object.data["spec"]["template"]
}

fn assert_golden(name: &str, text: &str) {
    let manifest = parse(text);
    let printed = render::render(&manifest.pipeline, &manifest.objects, "signup:test").expect("it has a YAML form");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(
        printed, golden,
        "{name} changed; `UPDATE_GOLDEN=1 cargo test -p operator --test children` writes it anew"
    );
}

#[test]
fn the_children_of_the_minimal_sample_are_the_golden_ones() {
    assert_golden("minimal.children.yaml", MINIMAL);
}

#[test]
fn the_children_of_the_production_sample_are_the_golden_ones() {
    assert_golden("production.children.yaml", PRODUCTION);
}

#[test]
fn an_edit_of_a_live_setting_changes_the_config_map_and_no_pod_template() {
    let edited = MINIMAL.replace(
        "spec:\n",
        "spec:\n  task: {delay: 1s, maxRetries: 2}\n  queues: [{name: critical, priority: 1, paused: true}]\n  worker: {concurrency: 2}\n  signup: {perMinutePerIP: 1}\n  observability: {logLevel: debug}\n",
    );
    let (before, after) = (children(MINIMAL), children(&edited));
    assert_ne!(before[0], after[0], "the ConfigMap comes first");
    for name in ["demo-api", "demo-worker"] {
        assert_eq!(template(&before, name), template(&after, name));
    }
}

#[test]
fn an_edit_that_running_processes_cannot_take_changes_one_annotation_of_both_templates() {
    let edited = MINIMAL.replace("spec:\n", "spec:\n  observability: {logFormat: Text}\n");
    let (before, after) = (children(MINIMAL), children(&edited));
    for name in ["demo-api", "demo-worker"] {
        let mut expected = template(&before, name).clone();
        expected["metadata"]["annotations"]["signup.dev/restart-on-logs"] = "Text".into();
        assert_eq!(&expected, template(&after, name));
    }
}

#[test]
fn the_api_never_sees_the_credentials_of_the_mail_server() {
    let children = children(PRODUCTION);
    let names = |name| {
        let volumes = template(&children, name)["spec"]["volumes"].as_array().expect("volumes").iter();
        volumes.map(|volume| volume["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert!(names("signup-worker").contains(&"smtp".to_owned()));
    assert!(!names("signup-api").contains(&"smtp".to_owned()));
}

#[test]
fn a_single_pod_has_no_disruption_budget_and_an_unexposed_pipeline_no_ingress() {
    let kinds = |text| children(text).iter().map(|child| (child.kind, child.object.name_any())).collect::<Vec<_>>();
    let minimal = kinds(MINIMAL);
    assert!(minimal.contains(&(Kind::PodDisruptionBudget, "demo-api".into())));
    assert!(!minimal.contains(&(Kind::PodDisruptionBudget, "demo-worker".into())));
    assert!(minimal.iter().all(|(kind, _)| !matches!(kind, Kind::Ingress | Kind::HttpRoute)));
    assert!(kinds(PRODUCTION).contains(&(Kind::Ingress, "signup".into())));
}

#[test]
fn a_gateway_gets_a_route_that_removes_the_path() {
    let gateway = "expose: {host: shop.test, path: /signup, gateway: {parentRefs: [{name: edge, namespace: infra}]}}";
    let children = children(&MINIMAL.replace("spec:\n", &format!("spec:\n  {gateway}\n")));
    let route = children.iter().find(|child| child.kind == Kind::HttpRoute).expect("the route is there");
    let spec = &route.object.data["spec"];
    assert_eq!(spec["parentRefs"], serde_json::json!([{"name": "edge", "namespace": "infra"}]));
    assert_eq!(spec["rules"][0]["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"], "/");
}

#[test]
fn labels_of_the_resource_do_not_replace_the_operators_own() {
    let pod = "api: {pod: {labels: {app.kubernetes.io/instance: other, team: a}}}";
    let children = children(&MINIMAL.replace("spec:\n", &format!("spec:\n  {pod}\n")));
    let labels = &template(&children, "demo-api")["metadata"]["labels"];
    assert_eq!((&labels["app.kubernetes.io/instance"], &labels["team"]), (&"demo".into(), &"a".into()));
}
