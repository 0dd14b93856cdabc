//! Where does an object differ from what is desired?
//!
//! Takes: a desired and an observed object. Gives: the fields that are desired and not there, and what is desired
//! without some of them. Pure. Ignores what others added: defaults of the API server, keys of other writers, containers
//! that a webhook put in. So one rule says whose a field is, for every kind: what the operator sets is the operator's,
//! all else is others'.

use kube::api::DynamicObject;
use serde_json::Value;
use std::fmt;

/// Lists of objects that others may add to, and the field that names an item; none: it has no such field.
const OPEN_LISTS: [(&str, Option<&str>); 9] = [
    ("containers", Some("name")),
    ("volumes", Some("name")),
    ("volumeMounts", Some("mountPath")),
    ("ports", Some("name")),
    ("ownerReferences", Some("uid")),
    ("tolerations", None),
    ("env", Some("name")),
    ("hostAliases", Some("ip")),
    ("topologySpreadConstraints", Some("topologyKey")),
];

/// One step of a path.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Into a field of an object.
    Field(String),
    /// Into an item of a list: the field that names it, and the item as it is desired.
    Item(&'static str, Value),
}

impl PartialEq for Step {
    /// An item is the one of its name, whatever else is in it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Field(one), Self::Field(other)) => one == other,
            (Self::Item(key, one), Self::Item(name, other)) => key == name && one[*key] == other[*key],
            _ => false,
        }
    }
}

/// A field of an object; as text `spec.template.spec.containers[api].image`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    /// A field of `spec`.
    pub(super) fn of_spec(field: &str) -> Self {
        Self(["spec", field].map(|name| Step::Field(name.to_owned())).into())
    }

    /// What stands there.
    pub(super) fn get<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Item(key, item) => value.as_array()?.iter().find(|other| other[*key] == item[*key]),
        })
    }

    /// Takes out what stands there.
    pub(super) fn remove(&self, object: &mut Value) {
        let Some((last, steps)) = self.0.split_last() else { return };
        let parent = steps.iter().try_fold(object, |value, step| match step {
            Step::Field(name) => value.get_mut(name),
            Step::Item(key, item) => value.as_array_mut()?.iter_mut().find(|other| other[*key] == item[*key]),
        });
        match (parent, last) {
            (Some(Value::Object(parent)), Step::Field(name)) => drop(parent.remove(name)),
            (Some(Value::Array(parent)), Step::Item(key, item)) => parent.retain(|other| other[*key] != item[*key]),
            _ => {}
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if number == 0 => write!(formatter, "{name}")?,
                Step::Field(name) => write!(formatter, ".{name}")?,
                Step::Item(key, item) => write!(formatter, "[{}]", item[*key].as_str().unwrap_or_default())?,
            }
        }
        Ok(())
    }
}

/// True when `observed` holds `desired`.
pub fn holds(desired: &Value, observed: &Value) -> bool {
    differences(desired, observed).is_empty()
}

/// Fields that are desired and not there.
pub(super) fn differences(desired: &Value, observed: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    compare("", (desired, Some(observed)), &mut Vec::new(), &mut found);
    found
}

/// Whether somebody paused a Deployment (`kubectl rollout pause`), which holds up every edit. A field that is false is
/// not in the object, so nothing that is desired can say so.
pub fn is_paused(observed: &DynamicObject) -> bool {
    observed.data.pointer("/spec/paused").is_some_and(|paused| paused == true)
}

fn compare(name: &str, (desired, observed): (&Value, Option<&Value>), at: &mut Vec<Step>, found: &mut Vec<Path>) {
    let list = OPEN_LISTS.iter().find(|(list, _)| *list == name);
    let is_there = match (desired, observed) {
        (Value::Object(desired), Some(Value::Object(observed))) => {
            for (key, value) in desired {
                at.push(Step::Field(key.clone()));
                compare(key, (value, observed.get(key)), at, found);
                at.pop();
            }
            true
        }
        (Value::Array(desired), Some(Value::Array(observed))) => match list {
            Some((_, key)) => compare_items(*key, (desired, observed), at, found),
            None => {
                let mut pairs = desired.iter().zip(observed);
                desired.len() == observed.len() && pairs.all(|(value, seen)| holds(value, seen))
            }
        },
        (desired, observed) => Some(desired) == observed,
    };
    if !is_there {
        found.push(Path(at.clone()));
    }
}

/// False when an item is missing and has no name.
fn compare_items(
    key: Option<&'static str>,
    (desired, observed): (&[Value], &[Value]),
    at: &mut Vec<Step>,
    found: &mut Vec<Path>,
) -> bool {
    for value in desired.iter().filter(|value| !observed.iter().any(|seen| holds(value, seen))) {
        let Some(key) = key else { return false };
        at.push(Step::Item(key, value.clone()));
        compare("", (value, observed.iter().find(|seen| seen[key] == value[key])), at, found);
        at.pop();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differing(desired: &Value, observed: &Value) -> Vec<String> {
        differences(desired, observed).iter().map(Path::to_string).collect()
    }

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
        for (observed, path) in [
            (json!({"spec": {"args": ["y"], "egress": [{"port": 1}], "class": "a"}}), "spec.args"),
            (json!({"spec": {"args": ["x"], "egress": [{"port": 1}, {}], "class": "a"}}), "spec.egress"),
            (json!({"spec": {"args": ["x"], "egress": [{"port": 1}]}}), "spec.class"),
        ] {
            assert_eq!(differing(&desired, &observed), [path]);
        }
    }

    #[test]
    fn a_field_inside_an_item_of_an_open_list_is_named_and_taken_out_alone() {
        let mut desired = json!({"containers": [{"name": "api", "image": "a", "args": ["x"]}], "tolerations": [{}]});
        let observed = json!({"containers": [{"name": "proxy"}, {"name": "api", "image": "b", "args": ["x"]}]});
        assert_eq!(differing(&desired, &observed), ["containers[api].image", "tolerations"]);
        let paths = differences(&desired, &observed);
        assert_eq!(paths[0].get(&desired), Some(&json!("a")));
        paths.iter().for_each(|path| path.remove(&mut desired));
        assert_eq!(desired, json!({"containers": [{"name": "api", "args": ["x"]}]}));
        let gone = json!({"containers": [{"name": "proxy"}]});
        assert_eq!(differing(&desired, &gone), ["containers[api]"]);
        differences(&desired, &gone)[0].remove(&mut desired);
        assert_eq!(desired, json!({"containers": []}));
    }
}
