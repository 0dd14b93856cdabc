//! The children of the samples, byte for byte, and what has to hold for all of them.
//!
//! The golden files show what an upgrade of the operator would change in running clusters: a changed pod template
//! restarts every pod.

use super::golden;
use kube::ResourceExt;
use operator::{
    build::{self, Inputs, child::Child, child::Kind, names::Component},
    manifest::{self, Manifest},
    render,
};
use serde_json::Value;
use std::collections::BTreeMap;

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");
const PRODUCTION: &str = include_str!("../../../samples/production.yaml");

fn parse(text: &str) -> Manifest {
    manifest::parse(text).expect("the sample is valid")
}

fn children(text: &str) -> Vec<Child> {
    children_with(text, BTreeMap::new())
}

fn children_with(text: &str, pod_defaults: BTreeMap<Component, u32>) -> Vec<Child> {
    let inputs = Inputs { image: "signup:test".into(), pod_defaults, ..Inputs::default() };
    build::children(&parse(text).pipeline, &inputs).expect("the sample can be built")
}

fn template<'a>(children: &'a [Child], name: &str) -> &'a Value {
    let deployment = children.iter().find(|child| child.kind == Kind::Deployment && child.name() == name);
    &deployment.expect("the Deployment is there").object.data["spec"]["template"]
}

fn assert_golden(name: &str, text: &str) {
    let manifest = parse(text);
    let printed = render::render(&manifest.pipeline, &manifest.objects, "signup:test").expect("it has a YAML form");
    golden::assert_golden(&format!("tests/golden/{name}"), &printed);
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
        "spec:\n  task: {delay: 1s, maxRetries: 2}\n  queues: [{name: critical, priority: 1, paused: true}]\n  \
            worker: {concurrency: 2}\n  observability: {logLevel: debug}\n",
    );
    let edited = edited.replace("signup: {page: true}", "signup: {perMinutePerIP: 1}");
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

/// Two URLs with one Secret, and a third.
const WEBHOOKS: &str = "spec:
  webhooks:
  - {url: 'https://app.example.com/hooks', secretRef: {name: hooks}}
  - {url: 'http://[fd00::1]/hooks?a=b', secretRef: {name: hooks}, events: [user.created]}
  - {url: 'http://receiver.shop:8443', secretRef: {name: other, key: whsec}, allowLocalAddresses: true}
";

#[test]
fn webhooks_are_the_workers_alone_which_reaches_their_ports() {
    let children = children(&MINIMAL.replace("spec:\n", WEBHOOKS));
    let volumes = |name| template(&children, name)["spec"]["volumes"].to_string();
    let source = |name: &str, key: &str| {
        let items = serde_json::json!([{"key": key, "path": format!("{name}/{key}")}]);
        serde_json::json!({"secret": {"name": name, "items": items}})
    };
    let sources = serde_json::json!([source("hooks", "secret"), source("other", "whsec")]).to_string();
    assert!(volumes("demo-worker").contains(&sources), "{}", volumes("demo-worker"));
    assert!(!volumes("demo-api").contains("webhooks"));
    let reached = |name: &str| {
        let policy = children.iter().find(|child| child.kind == Kind::NetworkPolicy && child.name() == name);
        let egress = policy.expect("a policy").object.data["spec"]["egress"].as_array().cloned().expect("rules");
        // The first is DNS; without ports of servers there is no second.
        let ports = egress.get(1).map(|rule| rule["ports"].as_array().cloned().expect("not all ports"));
        ports.unwrap_or_default().iter().filter_map(|port| port["port"].as_u64()).collect::<Vec<_>>()
    };
    for port in [80, 443, 8443] {
        assert!(reached("demo-worker").contains(&port), "{:?}", reached("demo-worker"));
        assert!(!reached("demo-api").contains(&port));
    }
    let document = children[0].object.data.to_string();
    assert!(document.contains("secretFile: /run/secrets/webhooks/other/whsec"), "{document}");
}

#[test]
fn an_edit_of_a_webhook_changes_no_pod_template() {
    let before = MINIMAL.replace("spec:\n", WEBHOOKS);
    let after = before.replace("/hooks'", "/other'").replace(", events: [user.created]", "");
    for name in ["demo-api", "demo-worker"] {
        assert_eq!(template(&children(&before), name), template(&children(&after), name));
    }
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
fn a_pod_monitor_scrapes_the_admin_port_of_all_pods_when_it_is_asked_for() {
    let children = children(&MINIMAL.replace("spec:\n", "spec:\n  observability: {podMonitor: true}\n"));
    let monitor = children.last().filter(|child| child.kind == Kind::PodMonitor).expect("it comes last");
    let expected = serde_json::json!({
        "selector": {
            "matchLabels": {"app.kubernetes.io/name": "signup-pipeline", "app.kubernetes.io/instance": "demo"},
        },
        "podTargetLabels": ["app.kubernetes.io/component"],
        "podMetricsEndpoints": [{"port": "admin", "path": "/metrics"}],
    });
    assert_eq!((monitor.name(), &monitor.object.data["spec"]), ("demo", &expected));
    let ports = &template(&children, "demo-worker")["spec"]["containers"][0]["ports"];
    assert_eq!(ports[0]["name"], "admin", "the endpoint names a port of the pods");
}

/// Not written by UPDATE_GOLDEN: a change of this file restarts the pods of every pipeline at the next upgrade of the
/// operator. Pods keep the defaults that they were made with; a new one has a number of its own
/// (`build::pod_defaults`).
#[test]
fn an_upgrade_of_the_operator_by_itself_changes_no_pod_template() {
    let first = Component::ALL.map(|component| (component, 1)).into();
    let children = children_with(&PRODUCTION.replace("spec:\n", "spec:\n  image: registry.test/signup:1\n"), first);
    let templates: Vec<_> = ["signup-api", "signup-worker"].map(|name| template(&children, name).clone()).into();
    let printed = serde_yaml::to_string(&templates).expect("they have a YAML form");
    let advice = "an upgrade would restart every pod of every pipeline; if that is meant, say so in CHANGELOG.md and \
        run `RESTART_EVERY_POD=1 cargo test -p operator --test offline`";
    let is_written = std::env::var_os("RESTART_EVERY_POD").is_some();
    golden::assert_file("tests/golden/pod-templates.yaml", &printed, is_written, advice);
}

#[test]
fn a_pipeline_without_an_image_notes_the_one_it_began_with_and_both_components_run_it() {
    let children = children(MINIMAL);
    let image = |name| template(&children, name)["spec"]["containers"][0]["image"].clone();
    assert_eq!((image("demo-api"), image("demo-worker")), ("signup:test".into(), "signup:test".into()));
    let noted = |text: &str| {
        let inputs = Inputs { image: "signup:test".into(), ..Inputs::default() };
        let children = build::children(&parse(text).pipeline, &inputs).expect("it can be built");
        let api = children.into_iter().find(|child| child.kind == Kind::Deployment).expect("the api comes first");
        api.object.annotations().get("signup.dev/image").cloned()
    };
    assert_eq!(noted(MINIMAL).as_deref(), Some("signup:test"));
    assert_eq!(noted(&MINIMAL.replace("spec:\n", "spec:\n  image: signup:mine\n")), None);
}

#[test]
fn a_new_deployment_of_workers_begins_with_the_number_that_the_resource_gives() {
    let first = |worker: &str| {
        let children = children(&MINIMAL.replace("spec:\n", &format!("spec:\n  worker: {worker}\n")));
        let worker = children.iter().find(|child| child.kind == Kind::Deployment && child.name() == "demo-worker");
        let worker = worker.expect("it is there");
        assert!(worker.object.data["spec"].get("replicas").is_none(), "the scaler owns the field");
        worker.first_replicas
    };
    assert_eq!(first("{}"), Some(1));
    assert_eq!(first("{autoscaling: {minReplicas: 0}}"), Some(0));
    assert_eq!(first("{replicas: 7, autoscaling: {mode: 'Off', minReplicas: 2}}"), Some(7));
    assert_eq!(first("{autoscaling: {mode: External}}"), None, "somebody else decides");
}

#[test]
fn a_fixed_number_of_workers_is_rendered_and_one_that_follows_the_queue_is_told() {
    let rendered = |worker: &str| {
        let manifest = parse(&MINIMAL.replace("spec:\n", &format!("spec:\n  worker: {worker}\n")));
        let text = render::render(&manifest.pipeline, &manifest.objects, "signup:test").expect("it has a YAML form");
        let objects: Vec<Value> = serde_yaml::from_multiple(&text).expect("it is YAML");
        let deployment =
            objects.iter().find(|object| object["metadata"]["name"] == "demo-worker" && object["kind"] == "Deployment");
        (deployment.expect("it is there")["spec"]["replicas"].as_u64(), text.contains("as the work that is due needs"))
    };
    assert_eq!(rendered("{replicas: 7, autoscaling: {mode: 'Off'}}"), (Some(7), false));
    assert_eq!(rendered("{replicas: 7, autoscaling: {mode: DryRun}}"), (Some(7), false));
    assert_eq!(rendered("{autoscaling: {minReplicas: 3, maxReplicas: 3}}"), (Some(3), false));
    assert_eq!(rendered("{autoscaling: {mode: External}}"), (None, false), "somebody else decides");
    assert_eq!(rendered("{autoscaling: {minReplicas: 0}}"), (None, true), "0 would be too few without an operator");
}

#[test]
fn labels_of_the_resource_do_not_replace_the_operators_own() {
    let pod = "api: {pod: {labels: {app.kubernetes.io/instance: other, team: a}}}";
    let children = children(&MINIMAL.replace("spec:\n", &format!("spec:\n  {pod}\n")));
    let labels = &template(&children, "demo-api")["metadata"]["labels"];
    assert_eq!((&labels["app.kubernetes.io/instance"], &labels["team"]), (&"demo".into(), &"a".into()));
}
