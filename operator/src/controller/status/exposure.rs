//! Is the pipeline reached from outside?
//!
//! Takes: the resource, its observed Ingress or HTTPRoute, and what kept that from being applied. Gives: condition
//! `Exposed` and the URL of the api, which need not be that of the links in mails. Pure. Does not: try it.

use super::condition::{
    ConditionStatus::{False, True},
    UntimedCondition,
};
use crate::{
    build::child::Kind,
    controller::{
        observe::Observed,
        reason::{self, Finding, condition::EXPOSED},
    },
    crd::{SignupPipeline, exposure::Expose},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

/// The condition, and the address for clients.
pub fn exposure(
    pipeline: &SignupPipeline,
    observed: &Observed,
    best_effort: &[(Kind, Finding)],
) -> (UntimedCondition, Option<String>) {
    let name = pipeline.name_any();
    let Some(expose) = &pipeline.spec.expose else {
        let message = format!("spec.expose is absent; clients inside the cluster use Service {name}-api");
        return (UntimedCondition::new(EXPOSED, False, reason::NOT_ASKED_FOR, message), None);
    };
    let (kind, ready) = match &expose.ingress {
        Some(_) => (Kind::Ingress, observed.child(Kind::Ingress, &name).is_some_and(has_address)),
        None => (Kind::HttpRoute, observed.child(Kind::HttpRoute, &name).is_some_and(is_accepted)),
    };
    let missing = best_effort.iter().find(|(failed, _)| *failed == kind);
    let condition = match missing {
        Some((_, missing)) => UntimedCondition::from_finding(EXPOSED, False, missing),
        None if ready => {
            let note = observed.neighbours.note();
            let message = format!("{} answers to {}{note}", kind.resource().kind, expose.host);
            UntimedCondition::new(EXPOSED, True, reason::ADDRESS_ASSIGNED, message)
        }
        None => UntimedCondition::from_finding(EXPOSED, False, &pending(kind, &name, expose)),
    };
    (condition, Some(url(expose, pipeline.spec.verification.public_url.as_deref())))
}

/// TLS may end before the Ingress, or at a listener of a Gateway: a `publicURL` of the same host shows it.
fn url(expose: &Expose, public_url: Option<&str>) -> String {
    let Expose { host, path, ingress, gateway: _ } = expose;
    let same_host = |(_, rest): &(&str, &str)| rest.split('/').next() == Some(host);
    let is_plain = ingress.as_ref().is_some_and(|ingress| ingress.tls_secret_name.is_none());
    let scheme = match public_url.and_then(|url| url.split_once("://")).filter(same_host) {
        Some((scheme, _)) => scheme,
        None if is_plain => "http",
        None => "https",
    };
    format!("{scheme}://{host}{path}").trim_end_matches('/').to_owned()
}

fn pending(kind: Kind, name: &str, expose: &Expose) -> Finding {
    let class = expose.ingress.as_ref().map(|ingress| ingress.class_name.as_deref());
    let (problem, fix) = match class {
        Some(Some(class)) => (
            format!("no ingress controller has taken Ingress {name} of class {class}"),
            format!("see that IngressClass {class} exists (`kubectl get ingressclass`) and that its controller runs"),
        ),
        Some(None) => (
            format!("no ingress controller has taken Ingress {name}, and it names no class"),
            "set spec.expose.ingress.className to one of `kubectl get ingressclass`".to_owned(),
        ),
        None => (
            format!("no Gateway has accepted {} {name}", kind.resource().kind),
            "see that the Gateways of spec.expose.gateway.parentRefs exist and allow routes of this namespace"
                .to_owned(),
        ),
    };
    Finding::new(reason::ADDRESS_PENDING, problem, fix)
}

fn has_address(ingress: &DynamicObject) -> bool {
    let addresses = ingress.data.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    addresses.is_some_and(|addresses| !addresses.is_empty())
}

fn is_accepted(route: &DynamicObject) -> bool {
    let accepted = |condition: &Value| condition["type"] == "Accepted" && condition["status"] == "True";
    let parents = route.data.pointer("/status/parents").and_then(Value::as_array);
    parents.into_iter().flatten().filter_map(|parent| parent["conditions"].as_array()).flatten().any(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_url_is_the_apis_wherever_the_links_in_mails_lead() {
        let (plain, tls) = (json!({}), json!({"tlsSecretName": "certificate"}));
        let gateway = json!({"parentRefs": [{"name": "edge"}]});
        for (way, settings, public_url, expected) in [
            ("ingress", &plain, None, "http://api.example.com/signup"),
            ("ingress", &tls, None, "https://api.example.com/signup"),
            ("gateway", &gateway, None, "https://api.example.com/signup"),
            ("ingress", &plain, Some("https://app.example.com"), "http://api.example.com/signup"),
            ("ingress", &plain, Some("https://api.example.com/verify"), "https://api.example.com/signup"),
            ("gateway", &gateway, Some("http://api.example.com"), "http://api.example.com/signup"),
        ] {
            let expose = json!({"host": "api.example.com", "path": "/signup/", way: settings});
            let expose: Expose = serde_json::from_value(expose).expect("it is valid");
            assert_eq!(url(&expose, public_url), expected, "{way} {settings} {public_url:?}");
        }
    }
}
