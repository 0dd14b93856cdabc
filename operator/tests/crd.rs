//! The CRD: what it prints, and what its schema and rules let through.

use kube::CustomResourceExt;
use operator::{crd::SignupPipeline, manifest};
use serde_json::{Value, json};
use std::path::Path;

const MINIMAL: &str = include_str!("../../samples/minimal.yaml");

/// The minimal sample with `changes` merged over it (RFC 7386: null removes).
fn with(changes: Value) -> String {
    let mut document: Value = serde_yaml::from_str(MINIMAL).expect("the sample is YAML");
    merge(&mut document, changes);
    serde_json::to_string(&document).expect("JSON is YAML")
}

fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(fields) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (name, value) in fields {
                if value.is_null() {
                    target.as_object_mut().map(|target| target.remove(&name));
                } else {
                    merge(&mut target[&name], value);
                }
            }
        }
        other => *target = other,
    }
}

fn spec(changes: Value) -> String {
    with(json!({"spec": changes}))
}

/// The problems of a file, one line each.
fn problems(text: &str) -> Vec<String> {
    match manifest::parse(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_printed_crd_is_the_one_in_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/crd.yaml");
    let printed = operator::crd::to_yaml().expect("the CRD has a YAML form");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(
        printed == golden,
        "the CRD changed; look at the difference after `UPDATE_GOLDEN=1 cargo test -p operator --test crd`"
    );
}

#[test]
fn the_printed_crd_reads_back_as_the_same_object() {
    let printed = operator::crd::to_yaml().expect("the CRD has a YAML form");
    let read: Value = serde_yaml::from_str(&printed).expect("it is YAML");
    assert_eq!(read, serde_json::to_value(SignupPipeline::crd()).expect("the CRD has a JSON form"));
}

#[test]
fn the_printed_crd_is_smaller_than_64_kib() {
    let size = operator::crd::to_yaml().expect("the CRD has a YAML form").len();
    assert!(size < 64 * 1024, "{size} bytes");
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

#[test]
fn every_field_of_the_spec_has_a_description() {
    walk("", &schema()["properties"]["spec"], &mut |path, schema| {
        assert!(path.ends_with("[]") || schema["description"].is_string(), "{path} has none");
    });
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

/// A change of the spec that a rule refuses, a part of its message, and the nearest change that passes.
#[test]
fn each_rule_over_several_fields_refuses_and_lets_pass() {
    let auth = json!({"name": "app-smtp"});
    let cases = [
        (json!({"task": {"queue": "mail"}}), "one of queues", json!({"task": {"queue": "default"}})),
        (
            json!({"task": {"delay": "2h", "deadline": "2h"}}),
            "longer than task.delay",
            json!({"task": {"delay": "2h", "deadline": "3h"}}),
        ),
        (
            json!({"task": {"backoff": {"initial": "31m"}}}),
            "must not exceed task.backoff.max",
            json!({"task": {"backoff": {"initial": "30m"}}}),
        ),
        (
            json!({"verification": {"linkTTL": "1m"}, "task": {"delay": "60s"}}),
            "linkTTL must be longer",
            json!({
            "verification": {"linkTTL": "61s"}, "task": {"delay": "60s"}}),
        ),
        (
            json!({"verification": null}),
            "set verification.publicURL or expose.host",
            json!({
            "verification": null, "expose": {"host": "app.example.com", "ingress": {}}}),
        ),
        (
            json!({"task": {"timeout": "41s"}}),
            "shutdownGracePeriod must be task.timeout or longer",
            json!({
            "task": {"timeout": "40s"}}),
        ),
        (
            json!({"worker": {"replicas": 3}}),
            "set worker.autoscaling.mode to Off",
            json!({
            "worker": {"replicas": 3, "autoscaling": {"mode": "Off"}}}),
        ),
        (
            json!({"worker": {"autoscaling": {"minReplicas": 11}}}),
            "must not exceed maxReplicas",
            json!({"worker": {"autoscaling": {"minReplicas": 10}}}),
        ),
        (
            json!({"worker": {"autoscaling": {"fallback": {"replicas": 11}}}}),
            "fallback.replicas must not exceed",
            json!({"worker": {"autoscaling": {"fallback": {"replicas": 10}}}}),
        ),
        (
            json!({"mail": {"smtp": {"authSecretRef": auth, "tls": "None"}}}),
            "set StartTLS or Implicit",
            json!({"mail": {"smtp": {"authSecretRef": auth, "tls": "Implicit"}}}),
        ),
        (
            json!({"expose": {"host": "app.example.com"}}),
            "exactly one of ingress and gateway",
            json!({"expose": {"host": "app.example.com", "ingress": {}}}),
        ),
        (
            json!({"expose": {"host": "app.example.com", "ingress": {}, "gateway": {"parentRefs": [{"name": "edge"}]}}}),
            "exactly one of ingress and gateway",
            json!({"expose": {"host": "app.example.com", "gateway": {"parentRefs": [{"name": "edge"}]}}}),
        ),
        (
            json!({"queues": [{"name": "critical", "priority": 0}]}),
            "set paused: true",
            json!({"queues": [{"name": "critical", "priority": 1, "paused": true}]}),
        ),
    ];
    for (refused, message, accepted) in cases {
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
    let queue = |name: &str| json!({"queues": [{"name": name, "priority": 1}], "task": {"queue": name}});
    let delay = |text: &str| json!({"task": {"delay": text}});
    let url = |text: &str| json!({"verification": {"publicURL": text}});
    let from = |text: &str| json!({"mail": {"from": text}});
    let host = |text: &str| json!({"mail": {"smtp": {"host": text}}});
    let refused = [
        (delay("-5s"), "from 0s to 24h"),
        (delay("1e9h"), "from 0s to 24h"),
        (delay("10"), "like 10s"),
        (delay("24h1s"), "24h"),
        (delay(""), "like 10s"),
        (delay("1m1h"), "like 10s"),
        (queue("{mail}"), "letters"),
        (queue("a\nb"), "letters"),
        (queue("mail\n"), "letters"),
        (url("app.example.com"), "https://app.example.com"),
        (url("https://a.b/?x"), "no ?"),
        (url("https://user:pw@a.b"), "no user"),
        (url("ftp://a.b"), "http or https"),
        (from("nobody"), "no-reply@example.com"),
        (from("a@b\r\nBcc: x@y"), "no-reply@example.com"),
        (host("smtp://a.b"), "without a port or scheme"),
        (host("a b"), "without a port or scheme"),
    ];
    for (change, message) in refused {
        let found = problems(&spec(change.clone()));
        assert!(!found.is_empty() && found.iter().any(|line| line.contains(message)), "{change}: {found:?}");
    }
    let accepted = [
        delay("0s"),
        json!({"task": {"delay": "24h"}, "verification": {"linkTTL": "25h"}}),
        delay("1h30m"),
        delay("250ms"),
        queue("mail:bulk_1.x"),
        url("http://127.0.0.1:8080"),
        url("https://example.com/signup/"),
        from("Example Inc. <no-reply@example.com>"),
        host("10.0.0.1"),
    ];
    for change in accepted {
        assert_eq!(problems(&spec(change.clone())), Vec::<String>::new(), "{change}");
    }
}

#[test]
fn each_structural_mistake_names_the_path_the_value_and_the_fix() {
    let cases = [
        (
            json!({"task": {"delai": "1s"}}),
            "spec.task.delai: is not a known field; remove it, or use one of backoff, deadline, delay",
        ),
        (json!({"task": {"maxRetries": 101}}), "spec.task.maxRetries: 101 must be 0 to 100"),
        (json!({"task": {"maxRetries": -1}}), "spec.task.maxRetries: -1 must be 0 to 100"),
        (json!({"task": {"maxRetries": "5"}}), "spec.task.maxRetries: \"5\" must be a whole number"),
        (json!({"task": {"maxRetries": 1.5}}), "spec.task.maxRetries: 1.5 must be a whole number"),
        (json!({"task": {"delay": 10}}), "spec.task.delay: 10 must be a string; put it in quotes"),
        (json!({"task": "fast"}), "spec.task: \"fast\" must be an object"),
        (json!({"paused": "yes"}), "spec.paused: \"yes\" must be true or false"),
        (json!({"database": null}), "spec.database: is missing; add it. PostgreSQL"),
        (json!({"database": {"secretRef": {"name": null}}}), "spec.database.secretRef.name: is missing"),
        (json!({"database": {"secretRef": {"name": "App_DB"}}}), "spec.database.secretRef.name: \"App_DB\" must match"),
        (json!({"mail": {"smtp": {"tls": "starttls"}}}), "\"starttls\" must be one of StartTLS, Implicit, None"),
        (
            json!({"worker": {"autoscaling": {"mode": false}}}),
            "mode: \"false\" is how YAML reads a bare word such as Off",
        ),
        (json!({"mail": {"smtp": {"port": 0}}}), "spec.mail.smtp.port: 0 must be 1 to 65535"),
        (json!({"queues": []}), "spec.queues: has 0 entries and needs 1 or more"),
        (
            json!({"queues": [{"name": "critical", "priority": 1}, {"name": "critical", "priority": 2}]}),
            "spec.queues[1].name: \"critical\" is in the list twice",
        ),
        (json!({"signup": {"passwordMinLength": 5}}), "spec.signup.passwordMinLength: 5 must be 6 to 128"),
        (json!({"worker": {"resources": {"limits": {"cpu": true}}}}), "spec.worker.resources.limits.cpu: true must be"),
    ];
    for (change, expected) in cases {
        let found = problems(&spec(change.clone()));
        assert!(found.iter().any(|line| line.contains(expected)), "{change}: {found:?}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_together() {
    let changes = json!({"task": {"delay": "1e9h", "maxRetries": 500}, "signup": {"passwordMinLength": 1}, "strictPriority": false});
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
