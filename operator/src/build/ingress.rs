//! Ingress `<name>`: the HTTP interface under a host name.
//!
//! Takes: `expose.ingress`. Gives: the Ingress. Does not: rewrite the path; each controller has annotations of its own
//! for it.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::Component,
};
use crate::crd::exposure::{self, Expose};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, expose: &Expose, ingress: &exposure::Ingress) -> Child {
    let backend = json!({"service": {"name": Component::Api.child_name(subject.name), "port": {"name": "http"}}});
    let mut spec = json!({"rules": [{
        "host": expose.host,
        "http": {"paths": [{"path": expose.path, "pathType": "Prefix", "backend": backend}]},
    }]});
    if let Some(class) = &ingress.class_name {
        spec["ingressClassName"] = class.as_str().into();
    }
    if let Some(secret) = &ingress.tls_secret_name {
        spec["tls"] = json!([{"hosts": [expose.host], "secretName": secret}]);
    }
    child(subject, Kind::Ingress, Some(Component::Api), subject.name.to_owned(), json!({"spec": spec}))
        .with(&ingress.labels, &ingress.annotations)
}
