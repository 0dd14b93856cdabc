//! What the resource gives pods, beside what is the operator's; and the lists of what is the operator's, held against
//! the programs and the pods.

use super::spec_cases::{spec, with};
use kube::ResourceExt;
use operator::{
    build::{self, Inputs, child::Child, child::Kind},
    crd::{SignupPipeline, forms::ours},
    manifest,
};
use regex::Regex;
use serde_json::{Value, json};
use std::{fs, path::Path};

fn children(pipeline: &SignupPipeline) -> Vec<Child> {
    build::children(pipeline, &Inputs::default()).expect("it can be built")
}

/// The pod's spec of a component, of a spec that is not asked whether it is valid.
fn pod_spec(changes: Value, component: &str) -> Value {
    let document: Value = serde_json::from_str(&spec(changes)).expect("JSON");
    let pipeline: SignupPipeline = serde_json::from_value(document).expect("a pipeline");
    let name = format!("demo-{component}");
    let mut children = children(&pipeline).into_iter();
    let deployment = children.find(|child| child.kind == Kind::Deployment && child.name() == name);
    deployment.expect("it is there").object.data["spec"]["template"]["spec"].clone()
}

fn source(program: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program).join("src/config.rs");
    fs::read_to_string(path).expect("the settings of the program are there")
}

#[test]
fn the_variables_that_pods_may_not_have_are_those_of_the_programs() {
    let variable = Regex::new(r#"env = "([A-Z_]+)""#).expect("a pattern");
    let sources = source("api") + &source("worker");
    let mut found: Vec<&str> =
        variable.captures_iter(&sources).map(|found| found.get(1).expect("it is there").as_str()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ours::VARIABLES);
}

#[test]
fn what_env_from_may_hold_does_not_change_the_settings_of_the_api() {
    let given = pod_spec(json!({"api": {"pod": {"envFrom": [{"configMapRef": {"name": "team"}}]}}}), "api");
    let args: Vec<&str> =
        given["containers"][0]["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let setting = Regex::new(r#"env = "[A-Z_]+", value_name = "N", default_value_t = ([0-9]+)"#).expect("a pattern");
    let defaults = source("api");
    let defaults: Vec<&str> =
        setting.captures_iter(&defaults).map(|found| found.get(1).expect("it is there").as_str()).collect();
    assert_eq!(
        args[4..],
        ["--max-connections", "--max-waiting-per-core"]
            .iter()
            .zip(defaults)
            .map(|(flag, default)| format!("{flag}={default}"))
            .collect::<Vec<_>>()
    );
    assert_eq!(args.len(), ours::VARIABLES.len(), "a flag for each");
}

#[test]
fn names_and_folders_of_every_volume_of_ours_are_refused_for_others() {
    let ca = || json!({"name": "ca"});
    let all = json!({
        "database": {"caSecretRef": ca(), "migrationsSecretRef": {"name": "direct"}},
        "redis": {"caSecretRef": ca()},
        "mail": {"templatesRef": {"name": "texts"}, "smtp": {"authSecretRef": {"name": "login"}, "caSecretRef": ca()}},
        "signup": {"emailDomains": {"denyListRef": {"name": "domains"}}},
        "webhooks": [{"url": "https://app.example.com/hooks", "secretRef": {"name": "hooks"}}],
    });
    let (mut names, mut folders) = (Vec::new(), Vec::new());
    for component in ["api", "worker"] {
        let pod = pod_spec(all.clone(), component);
        for mount in pod["containers"][0]["volumeMounts"].as_array().expect("a list") {
            names.push(mount["name"].as_str().expect("text").to_owned());
            folders.push(mount["mountPath"].as_str().expect("text").to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ours::VOLUMES);
    for folder in folders {
        let mounted = json!({"volumeMounts": [{"name": "more", "mountPath": folder}]});
        assert!(manifest::parse(&spec(json!({"worker": {"pod": mounted}}))).is_err(), "{folder}");
    }
}

#[test]
fn ours_stay_where_something_given_clashes_that_no_definition_refused() {
    let pod = json!({
        "securityContext": {"runAsNonRoot": false, "runAsUser": 0, "supplementalGroups": [7]},
        "containerSecurityContext": {"readOnlyRootFilesystem": false},
        "volumes": [{"name": "keys", "emptyDir": {}}, {"name": "more", "emptyDir": {}}],
        "volumeMounts": [{"name": "more", "mountPath": "/etc/signup"}, {"name": "more", "mountPath": "/more"}],
    });
    let built = pod_spec(json!({"api": {"pod": pod}}), "api");
    let context = &built["securityContext"];
    assert_eq!((&context["runAsNonRoot"], &context["runAsUser"]), (&json!(true), &json!(65532)));
    assert_eq!(context["supplementalGroups"], json!([7]));
    assert_eq!(built["containers"][0]["securityContext"]["readOnlyRootFilesystem"], json!(true));
    let of = |list: &Value, key: &str, value: &str| {
        list.as_array().expect("a list").iter().filter(|object| object[key] == value).cloned().collect::<Vec<_>>()
    };
    let keys = of(&built["volumes"], "name", "keys");
    assert!(keys.len() == 1 && keys[0]["secret"].is_object(), "{keys:?}");
    let config = of(&built["containers"][0]["volumeMounts"], "mountPath", "/etc/signup");
    assert!(config.len() == 1 && config[0]["name"] == "config", "{config:?}");
    assert_eq!(of(&built["containers"][0]["volumeMounts"], "mountPath", "/more").len(), 1);
}

#[test]
fn pods_spread_over_nodes_and_zones_unless_the_resource_says_otherwise() {
    let spread = |pod: Value| pod_spec(json!({"worker": {"pod": pod}}), "worker")["topologySpreadConstraints"].clone();
    let keys: Vec<Value> =
        spread(json!({})).as_array().expect("a list").iter().map(|one| one["topologyKey"].clone()).collect();
    assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    assert_eq!(spread(json!({"topologySpreadConstraints": []})), Value::Null, "the cluster decides");
    let own = json!({"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}});
    assert_eq!(spread(json!({"topologySpreadConstraints": [own]})), json!([own]), "a selector that is given stays");
}

#[test]
fn an_image_is_named_by_its_digest() {
    let image = format!("registry.example.com/team/signup@sha256:{}", "0".repeat(64));
    let built = pod_spec(json!({"image": image, "imagePullPolicy": "Always"}), "worker");
    let container = &built["containers"][0];
    assert_eq!((&container["image"], &container["imagePullPolicy"]), (&json!(image), &json!("Always")));
}

#[test]
fn a_budget_that_the_resource_gives_is_made_for_a_single_pod_too() {
    let text = with(json!({"spec": {"worker": {"podDisruptionBudget": {"minAvailable": 1}}}}));
    let budgets = children(&manifest::parse(&text).expect("it is valid").pipeline);
    let names: Vec<String> = budgets
        .iter()
        .filter(|child| child.kind == Kind::PodDisruptionBudget)
        .map(|child| child.object.name_any())
        .collect();
    assert_eq!(names, ["demo-api", "demo-worker"]);
}
