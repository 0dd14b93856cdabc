//! Does an object hold what is desired?
//!
//! Takes: a desired and an observed object. Gives: whether the observed one holds every desired field. Pure. Ignores
//! what others added: defaults of the API server, keys of other writers, containers that a webhook put in.

use kube::api::DynamicObject;
use serde_json::Value;

/// Lists of objects that others may add to (they merge by name or another key).
const OPEN_LISTS: [&str; 9] = [
    "containers",
    "env",
    "hostAliases",
    "ownerReferences",
    "ports",
    "tolerations",
    "topologySpreadConstraints",
    "volumeMounts",
    "volumes",
];

/// True when `observed` holds `desired`.
pub fn holds(desired: &Value, observed: &Value) -> bool {
    within("", desired, observed)
}

/// Whether somebody paused a Deployment (`kubectl rollout pause`), which holds up every edit. A field that is false is
/// not in the object, so nothing that is desired can say so.
pub fn is_paused(observed: &DynamicObject) -> bool {
    observed.data.pointer("/spec/paused").is_some_and(|paused| paused == true)
}

/// What to write over `observed`: what is desired, and an end of its pause.
pub fn unpaused(desired: &DynamicObject, observed: &DynamicObject) -> DynamicObject {
    let mut object = desired.clone();
    if is_paused(observed) {
        object.data["spec"]["paused"] = Value::Bool(false);
    }
    object
}

fn within(name: &str, desired: &Value, observed: &Value) -> bool {
    match (desired, observed) {
        (Value::Object(desired), Value::Object(observed)) => {
            let present =
                |(key, value): (&String, &Value)| observed.get(key).is_some_and(|seen| within(key, value, seen));
            desired.iter().all(present)
        }
        (Value::Array(desired), Value::Array(observed)) if OPEN_LISTS.contains(&name) => {
            desired.iter().all(|value| observed.iter().any(|seen| within("", value, seen)))
        }
        (Value::Array(desired), Value::Array(observed)) => {
            let pairs = || desired.iter().zip(observed);
            desired.len() == observed.len() && pairs().all(|(value, seen)| within("", value, seen))
        }
        _ => desired == observed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_add_is_left_alone() {
        let desired =
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "api", "args": ["x"]}]}});
        let observed = json!({"metadata": {"labels": {"a": "1", "team": "b"}},
            "spec": {"replicas": 1, "containers": [{"name": "proxy"}, {"name": "api", "args": ["x"], "tty": false}]}});
        assert!(holds(&desired, &observed));
    }

    #[test]
    fn a_changed_a_removed_and_an_extra_value_are_seen() {
        let desired = json!({"spec": {"args": ["x"], "egress": [{"port": 1}], "class": "a"}});
        for observed in [
            json!({"spec": {"args": ["y"], "egress": [{"port": 1}], "class": "a"}}),
            json!({"spec": {"args": ["x"], "egress": [{"port": 1}, {}], "class": "a"}}),
            json!({"spec": {"args": ["x"], "egress": [{"port": 1}]}}),
        ] {
            assert!(!holds(&desired, &observed), "{observed}");
        }
    }
}
