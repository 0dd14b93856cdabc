//! HTTPRoute `<name>`: the HTTP interface behind a Gateway.
//!
//! Takes: `expose.gateway`. Gives: the route, which removes a path prefix. Does not: make a Gateway.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::Component,
};
use crate::crd::exposure::{Expose, Gateway, ParentReference};
use serde_json::{Value, json};

pub(super) fn build(subject: &Subject<'_>, expose: &Expose, gateway: &Gateway) -> Child {
    let mut rule = json!({
        "matches": [{"path": {"type": "PathPrefix", "value": expose.path}}],
        "backendRefs": [{"name": Component::Api.child_name(subject.name), "port": 80}],
    });
    if expose.path != "/" {
        let root = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"});
        rule["filters"] = json!([{"type": "URLRewrite", "urlRewrite": {"path": root}}]);
    }
    let parents: Vec<Value> = gateway.parent_refs.iter().map(parent).collect();
    let content = json!({"spec": {"parentRefs": parents, "hostnames": [expose.host], "rules": [rule]}});
    child(subject, Kind::HttpRoute, Some(Component::Api), subject.name.to_owned(), content)
        .with(&gateway.labels, &gateway.annotations)
}

fn parent(ParentReference { name, namespace, section_name }: &ParentReference) -> Value {
    let mut parent = json!({"name": name});
    for (key, value) in [("namespace", namespace), ("sectionName", section_name)] {
        if let Some(value) = value {
            parent[key] = value.as_str().into();
        }
    }
    parent
}
