//! The CRD: what it prints, and what its schema and rules let through.

use super::{
    golden::assert_golden,
    spec_cases::{self, spec, with},
};
use kube::CustomResourceExt;
use operator::{
    crd::{SignupPipeline, workload::Resources},
    manifest,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");

/// The problems of a file, one line each.
fn problems(text: &str) -> Vec<String> {
    match manifest::parse(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_printed_crd_is_the_one_in_the_golden_file() {
    assert_golden("tests/golden/crd.yaml", &operator::crd::to_yaml().expect("the CRD has a YAML form"));
}

#[test]
fn the_printed_crd_reads_back_as_the_same_object() {
    let printed = operator::crd::to_yaml().expect("the CRD has a YAML form");
    let read: Value = serde_yaml::from_str(&printed).expect("it is YAML");
    assert_eq!(read, serde_json::to_value(SignupPipeline::crd()).expect("the CRD has a JSON form"));
}

/// Client-side `kubectl apply` keeps the whole object as JSON in the annotation `last-applied-configuration`, and the
/// API server lets all annotations of an object together hold 256 KiB; the rest is left to others.
#[test]
fn the_printed_crd_fits_into_the_annotation_of_kubectl_apply() {
    const MAX_BYTES: usize = 200 * 1024;
    let size = serde_json::to_vec(&SignupPipeline::crd()).expect("the CRD has a JSON form").len();
    assert!(size < MAX_BYTES, "{size} bytes of {MAX_BYTES}");
}

/// Walks all schemas of the CRD.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
            walk(&format!("{path}[]"), inner, visit);
        }
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(SignupPipeline::crd()).expect("the CRD has a JSON form");
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema").expect("it has a schema").clone()
}

/// GitOps tools compare a list as a whole: a default inside one is a difference that stays.
#[test]
fn no_default_stands_inside_a_list() {
    walk("spec", &schema()["properties"]["spec"], &mut |path, schema| {
        assert!(!path.contains("[]") || schema.get("default").is_none(), "{path} has one");
    });
}

#[test]
fn an_object_without_a_status_has_one_that_speaks_of_no_generation() {
    assert_eq!(schema()["properties"]["status"]["default"], json!({"observedGeneration": -1}));
}

#[test]
fn every_field_of_spec_and_status_has_a_description() {
    for part in ["spec", "status"] {
        walk(part, &schema()["properties"][part], &mut |path, schema| {
            assert!(path.ends_with("[]") || schema["description"].is_string(), "{path} has none");
        });
    }
}

#[test]
fn the_description_of_resources_has_the_amounts_that_pods_get_without_them() {
    for (component, resources) in [("api", Resources::api()), ("worker", Resources::worker())] {
        let field = schema()["properties"]["spec"]["properties"][component]["properties"]["resources"].clone();
        let description = field["description"].as_str().expect("it has one");
        for amount in resources.requests.values().chain(resources.limits.values()) {
            let amount = serde_json::to_value(amount).expect("JSON");
            assert!(description.contains(amount.as_str().expect("text")), "{component}: {amount} in {description}");
        }
    }
}

#[test]
fn the_api_server_knows_every_format_and_finds_every_pattern_valid() {
    walk("", &schema(), &mut |path, schema| {
        let format = schema["format"].as_str();
        assert!(format.is_none_or(|format| ["int32", "int64", "date-time"].contains(&format)), "{path}: {format:?}");
        if let Some(pattern) = schema["pattern"].as_str() {
            assert!(regex::Regex::new(pattern).is_ok(), "{path}: {pattern}");
        }
    });
}

#[test]
fn the_validator_of_files_implements_every_keyword_that_the_schema_uses() {
    const IMPLEMENTED: [&str; 22] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    ];
    walk("", &schema()["properties"]["spec"], &mut |path, schema| {
        for keyword in schema.as_object().expect("a schema is an object").keys() {
            let known = IMPLEMENTED.contains(&keyword.as_str()) || keyword == "x-kubernetes-preserve-unknown-fields";
            assert!(known, "{path}: {keyword}");
        }
    });
}

#[test]
fn every_rule_has_a_message_and_bounded_strings() {
    walk("", &schema(), &mut |path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            assert!(rule["message"].is_string(), "{path}: {rule}");
            // An unbounded string makes the API server refuse the rule for its cost.
            assert!(schema["type"] != "string" || schema["maxLength"].is_u64(), "{path}: no maxLength");
        }
    });
}

#[test]
fn each_rule_over_several_fields_refuses_and_lets_pass() {
    for (refused, message, accepted) in spec_cases::rules() {
        let found = problems(&spec(refused.clone()));
        assert!(found.len() == 1 && found[0].contains(message), "{refused}: {found:?}");
        assert_eq!(problems(&spec(accepted.clone())), Vec::<String>::new(), "{accepted}");
    }
}

#[test]
fn a_name_of_41_characters_is_refused_and_one_of_40_is_not() {
    let named = |length| with(json!({"metadata": {"name": "a".repeat(length)}}));
    let found = problems(&named(41));
    assert!(found.len() == 1 && found[0].contains("40 characters at most"), "{found:?}");
    assert_eq!(problems(&named(40)), Vec::<String>::new());
}

#[test]
fn the_form_of_each_text_is_held_by_a_rule_with_words() {
    for (change, message) in spec_cases::malformed() {
        let found = problems(&spec(change.clone()));
        assert!(!found.is_empty() && found.iter().any(|line| line.contains(message)), "{change}: {found:?}");
    }
    for change in spec_cases::well_formed() {
        assert_eq!(problems(&spec(change.clone())), Vec::<String>::new(), "{change}");
    }
}

proptest! {
    #[test]
    fn a_network_is_valid_in_the_schema_when_the_processes_can_read_it(
        text in prop_oneof![
            "([0-9]{1,3}[.]){3}[0-9]{1,3}(/[0-9]{1,2})?",
            "([0-9a-f]{0,4}:){1,8}[0-9a-f]{0,4}(/[0-9]{1,3})?",
            any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits & bits << 40 & bits >> 13).to_string()),
        ].prop_filter("IPv6 that ends in IPv4 is left out", |text| !(text.contains(':') && text.contains('.')))
    ) {
        let is_valid = problems(&spec(json!({"api": {"http": {"trustedProxies": [text]}}}))).is_empty();
        prop_assert_eq!(is_valid, text.parse::<pipeline::Network>().is_ok(), "{}", text);
    }

    #[test]
    fn an_origin_is_valid_in_the_schema_when_the_processes_can_read_it(
        text in prop_oneof![
            "(https?|a[b+.A-]{0,2})://([*][.])?[a-zA-Z0-9_.-]{0,8}(:[0-9]{0,6})?/?",
            "http://\\[([0-9a-f]{0,4}:){1,8}[0-9a-f]{0,4}\\](:[0-9]{1,5})?",
        ]
    ) {
        let is_valid = problems(&spec(json!({"signup": {"allowedOrigins": [text]}}))).is_empty();
        prop_assert_eq!(is_valid, text.parse::<pipeline::Origin>().is_ok(), "{}", text);
    }

    #[test]
    fn a_sender_is_valid_in_the_schema_when_the_worker_can_read_it(
        text in prop_oneof![
            "[a-zé,.@<>\"\\\\ ]{0,8} ?<[a-z'{.-]{1,5}@[a-z0-9.-]{1,6}>",
            "[a-z'{.\"-]{1,5}@[a-z0-9.-]{1,6}",
            "\"([a-z<>, é\u{7f}\u{85}]|\\\\.){0,6}\" <a@b.c>",
        ]
    ) {
        let in_brackets = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
        let is_quoted_address = in_brackets.map_or(text.as_str(), |(_, address)| address).starts_with('"');
        let is_valid = problems(&spec(json!({"mail": {"from": text}}))).is_empty();
        prop_assert_eq!(is_valid, pipeline::Mailbox::parse(&text).is_ok() && !is_quoted_address, "{}", text);
    }
}

#[test]
fn each_structural_mistake_names_the_path_the_value_and_the_fix() {
    for (change, expected) in spec_cases::structural() {
        let found = problems(&spec(change.clone()));
        assert!(found.iter().any(|line| line.contains(expected)), "{change}: {found:?}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_together() {
    let task = json!({"delay": "1e9h", "maxRetries": 500});
    let changes = json!({"task": task, "signup": {"passwordMinLength": 1}, "strictPriority": false});
    let found = problems(&spec(changes));
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn what_is_not_a_pipeline_is_named() {
    let two = format!("{MINIMAL}\n---\n{MINIMAL}");
    let deployment = format!("{MINIMAL}\n---\n{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: x}}}}");
    for (text, expected) in [
        ("", "holds 0 SignupPipeline documents"),
        (two.as_str(), "holds 2 SignupPipeline documents"),
        (deployment.as_str(), "\"apps/v1/Deployment\" is not used here"),
        ("a: [", "is not YAML"),
        ("kind: SignupPipeline\nkind: SignupPipeline", "is not YAML"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|line| line.contains(expected)), "{text}: {found:?}");
    }
}

#[test]
fn a_malformed_secret_is_refused_without_showing_it() {
    let text = format!(
        "{MINIMAL}\n---\n{{apiVersion: v1, kind: Secret, metadata: {{name: app-db}}, data: {{uri: 'hunter2!'}}}}"
    );
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].contains("Secret app-db") && !found[0].contains("hunter2"), "{found:?}");
}
