//! Is the pipeline reached from outside?
//!
//! Takes: the resource, its observed Ingress or HTTPRoute with its certificate, and what kept that from being applied.
//! Gives: condition `Exposed` and the URL of the api, which need not be that of the links in mails. Pure. Does not: try
//! it.

use super::condition::{
    ConditionStatus::{False, True},
    UntimedCondition,
};
use crate::{
    build::child::Kind,
    controller::{
        certificate,
        observe::Observed,
        reason::{self, Finding, condition::EXPOSED},
    },
    crd::{SignupPipeline, exposure::Expose},
};
use jiff::Timestamp;
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;
use std::time::Duration;

/// The condition, and the address for clients.
pub fn exposure(
    pipeline: &SignupPipeline,
    observed: &Observed,
    best_effort: &[(Kind, Finding)],
    now: Timestamp,
) -> (UntimedCondition, Option<String>) {
    let name = pipeline.name_any();
    let Some(expose) = &pipeline.spec.expose else {
        let message = format!("spec.expose is absent; clients inside the cluster use Service {name}-api");
        return (UntimedCondition::new(EXPOSED, False, reason::NOT_ASKED_FOR, message), None);
    };
    let (kind, ready) = (kind(expose), is_reached(pipeline, observed));
    let missing = best_effort.iter().find(|(failed, _)| *failed == kind).map(|(_, missing)| missing.clone());
    let unfit = || {
        let (reference, resolved) = observed.certificate.as_ref()?;
        certificate::judge(&reference.name, resolved, &expose.host, now).err()
    };
    let lacking = || observed.edge.clone().filter(|_| !ready);
    let refused = || observed.child(Kind::HttpRoute, &name).filter(|_| !ready).and_then(refusal);
    let condition = match missing.or_else(unfit).or_else(lacking).or_else(refused) {
        Some(missing) => UntimedCondition::from_finding(EXPOSED, False, &missing),
        None if ready => {
            let note = observed.neighbours.note();
            let message = format!("{} answers to {}{note}", kind.resource().kind, expose.host);
            UntimedCondition::new(EXPOSED, True, reason::ADDRESS_ASSIGNED, message)
        }
        None => UntimedCondition::from_finding(EXPOSED, False, &pending(kind, &name, expose)),
    };
    (condition, Some(url(expose, pipeline.spec.verification.public_url.as_deref())))
}

fn kind(expose: &Expose) -> Kind {
    if expose.ingress.is_some() { Kind::Ingress } else { Kind::HttpRoute }
}

/// Whether its Ingress has an address, or its route was taken.
pub(crate) fn is_reached(pipeline: &SignupPipeline, observed: &Observed) -> bool {
    let child = |expose: &Expose| Some((kind(expose), observed.child(kind(expose), &pipeline.name_any())?));
    match pipeline.spec.expose.as_ref().and_then(child) {
        Some((Kind::Ingress, ingress)) => has_address(ingress),
        Some((_, route)) => is_accepted(route),
        None => false,
    }
}

/// Time until the certificate begins or ends, by which alone the condition changes; at most a day, for a timer holds no
/// more than two years.
pub(crate) fn next_certificate_poll(observed: &Observed, now: Timestamp) -> Option<Duration> {
    let (_, resolved) = observed.certificate.as_ref()?;
    let left = certificate::next_change(resolved, now)?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default().min(Duration::from_secs(24 * 3_600)))
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

/// The first Gateway that does not take the route, with its controller's words.
fn refusal(route: &DynamicObject) -> Option<Finding> {
    let parents = route.data.pointer("/status/parents").and_then(Value::as_array)?;
    parents.iter().find_map(|parent| {
        let Finding { reason, message } = refused(parent["conditions"].as_array()?)?;
        let gateway = parent["parentRef"]["name"].as_str().unwrap_or_default();
        Some(Finding { reason, message: format!("Gateway {gateway} {message}") })
    })
}

/// What a Gateway's controller has against the route: a listener that is not there, takes no routes of this namespace
/// or is for other hosts (Gateway API, RouteConditionType).
pub(crate) fn refused(conditions: &[Value]) -> Option<Finding> {
    let is_no = |condition: &&Value| {
        (condition["type"] == "Accepted" || condition["type"] == "ResolvedRefs") && condition["status"] == "False"
    };
    let condition = conditions.iter().find(is_no)?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().trim_end_matches('.').to_owned();
    let problem = format!("does not take the route: {}: {}", text("reason"), text("message"));
    Some(Finding::with_default_fix(reason::ROUTE_REFUSED, problem))
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
    fn a_gateway_that_refuses_the_route_is_named_with_its_controllers_words() {
        let condition = json!({"type": "Accepted", "status": "False", "reason": "NoMatchingListenerHostname",
            "message": "no listener is for this host."});
        let parents = json!([{"parentRef": {"name": "edge"}, "conditions": [condition]}]);
        let route = json!({"apiVersion": "v1", "kind": "HTTPRoute", "metadata": {}, "status": {"parents": parents}});
        let told = refusal(&serde_json::from_value(route).expect("an object")).expect("it is told");
        assert_eq!(told.reason, reason::ROUTE_REFUSED);
        let words =
            "Gateway edge does not take the route: NoMatchingListenerHostname: no listener is for this host. Fix";
        assert!(told.message.starts_with(words), "{}", told.message);
    }

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
