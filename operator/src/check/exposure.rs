//! Does anybody take a pipeline's Ingress or route, and do the links in mails lead there?
//!
//! Takes: a snapshot. Gives: lines about its ingress class, or about each of its Gateways, and about TLS that the links
//! need. Pure. Does not: try the address.

use super::{
    line::{Level, Line},
    seen::Seen,
    snapshot::Snapshot,
};
use crate::{
    build::{child::Kind, document::public_url},
    controller::{
        certificate,
        edge::{self, Class},
        reason::Finding,
        status::exposure::refused,
        validate::{self, Resolved},
    },
    crd::{
        SignupPipelineSpec,
        exposure::{Gateway, Ingress, ParentReference},
    },
};
use jiff::Timestamp;
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

/// Judges the exposure that the resource asks for.
pub(super) fn judge(snapshot: &Snapshot, now: Timestamp) -> Vec<Line> {
    let Some(expose) = &snapshot.pipeline.spec.expose else { return Vec::new() };
    if let Some((_, shared)) = snapshot.neighbours.finding(&snapshot.pipeline) {
        return vec![Line::of(Level::Error, "exposure", &shared)];
    }
    let mut lines: Vec<Line> =
        expose.ingress.as_ref().and_then(|ingress| class(ingress, &snapshot.classes)).into_iter().collect();
    let certificate = snapshot
        .found
        .iter()
        .find(|(reference, _)| validate::certificate(&snapshot.pipeline).as_ref() == Some(reference));
    // That the Secret is not there is told with the other Secrets.
    if let Some((reference, found @ Resolved::Found(_))) = certificate {
        let subject = format!("certificate {}", reference.name);
        lines.push(match certificate::judge(&reference.name, found, &expose.host, now) {
            Ok(Some(ends)) => Line::ok(subject, format!("is for {} until {ends}", expose.host)),
            Ok(None) => Line::ok(subject, "you may not read it"),
            Err(finding) => Line::of(Level::Error, subject, &finding),
        });
    }
    let children = snapshot.children.iter().flatten();
    let route = children.filter(|(kind, ..)| *kind == Kind::HttpRoute).find_map(|(_, _, seen)| match seen {
        Seen::There(route) => Some(route),
        Seen::Absent | Seen::Forbidden => None,
    });
    if let (Some(gateway), Some(route)) = (&expose.gateway, route) {
        let namespace = snapshot.pipeline.namespace().unwrap_or_default();
        lines.extend(gateways(gateway, &namespace, route, &snapshot.gateways));
    }
    lines.extend(links(&snapshot.pipeline.spec));
    lines
}

/// Whether links with https lead to our Ingress, which has no certificate. TLS may end before it, and a `publicURL` is
/// how the resource says so; `https` by default is more likely a certificate that was forgotten.
pub(super) fn links(spec: &SignupPipelineSpec) -> Option<Line> {
    let expose = spec.expose.as_ref()?;
    let ingress = expose.ingress.as_ref()?;
    let url = public_url(spec);
    let host = url.strip_prefix("https://")?.split('/').next()?;
    if ingress.tls_secret_name.is_some() || !answers(&expose.host, host) {
        return None;
    }
    let said = format!("those in mails begin with https://{host}, and the Ingress has no certificate");
    if spec.verification.public_url.is_some() {
        return Some(Line::ok("links", format!("{said}: TLS has to end before it, or with its controller's own")));
    }
    let fix = format!(
        "name the certificate in spec.expose.ingress.tlsSecretName; when TLS ends before the Ingress, or by \
         its controller's \
         own certificate, set spec.verification.publicURL to {url}; without TLS, to {}",
        url.replacen("https", "http", 1)
    );
    Some(Line::warning("links", said, fix))
}

/// Whether an Ingress for `exposed`, which `*.` may lead, answers to `host`.
fn answers(exposed: &str, host: &str) -> bool {
    match exposed.strip_prefix('*') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|label| !label.is_empty() && !label.contains('.')),
        None => host == exposed,
    }
}

/// Whether the Ingress will find a controller.
fn class(ingress: &Ingress, classes: &Seen<Vec<Class>>) -> Option<Line> {
    let Seen::There(classes) = classes else { return None };
    let (subject, field) = ("ingress class", "spec.expose.ingress.className");
    if let Some(missing) = edge::class_missing(ingress, classes) {
        return Some(Line::of(Level::Error, subject, &missing));
    }
    match &ingress.class_name {
        Some(name) => Some(Line::ok(subject, format!("{name} is there"))),
        None if classes.iter().any(|class| class.is_default) => Some(Line::ok(subject, "the cluster's default")),
        None => {
            let message =
                format!("the pipeline names none, and no class is the cluster's default ({})", edge::known(classes));
            Some(Line::error(subject, message, format!("name one in {field}")))
        }
    }
}

/// What each Gateway lacks, or its controller says about the route.
fn gateways(gateway: &Gateway, namespace: &str, route: &DynamicObject, missing: &[Option<Finding>]) -> Vec<Line> {
    let told = route.data.pointer("/status/parents").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for (number, parent) in gateway.parent_refs.iter().enumerate() {
        let subject = format!("Gateway {}/{}", parent.namespace.as_deref().unwrap_or(namespace), parent.name);
        if let Some(missing) = missing.get(number).and_then(Option::as_ref) {
            lines.push(Line::of(Level::Error, subject, missing));
            continue;
        }
        let answer = told.iter().find(|answer| is_about(parent, namespace, &answer["parentRef"]));
        let conditions = answer.and_then(|answer| answer["conditions"].as_array());
        let Some(conditions) = conditions else {
            let fix = "see that this Gateway exists (`kubectl get gateways -A`) and that its controller runs";
            lines.push(Line::error(subject, "no controller has answered for it", fix));
            continue;
        };
        lines.push(match refused(conditions) {
            None => Line::ok(subject, "takes the route"),
            Some(finding) => Line::of(Level::Error, subject, &finding),
        });
    }
    lines
}

fn is_about(parent: &ParentReference, namespace: &str, told: &Value) -> bool {
    let own = parent.namespace.as_deref().unwrap_or(namespace);
    told["name"] == parent.name.as_str()
        && told["namespace"].as_str().unwrap_or(namespace) == own
        && told["sectionName"].as_str() == parent.section_name.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::line::Level;
    use serde_json::json;

    #[test]
    fn an_ingress_class_that_is_not_there_is_told_with_those_that_are() {
        let classes = Seen::There(vec![Class { name: "contour".into(), is_default: false }]);
        let judged = |ingress: Value| {
            class(&serde_json::from_value(ingress).expect("an Ingress"), &classes).expect("classes are known")
        };
        assert_eq!(judged(json!({"className": "contour"})).level, Level::Ok);
        assert!(
            judged(json!({"className": "nginx"})).message.contains("nginx does not exist (the cluster has contour)")
        );
        assert!(judged(json!({})).message.contains("names none"));
    }

    #[test]
    fn links_that_begin_with_https_and_an_ingress_without_a_certificate_are_told() {
        let told = |public_url: Option<&str>, host: &str, mut expose: Value| {
            let text = include_str!("../../../samples/minimal.yaml");
            let mut spec = crate::manifest::parse(text).expect("it is valid").pipeline.spec;
            spec.verification.public_url = public_url.map(str::to_owned);
            expose["host"] = host.into();
            spec.expose = Some(serde_json::from_value(expose).expect("it is valid"));
            links(&spec).map(|line| line.level)
        };
        let (plain, tls) = (|| json!({"ingress": {}}), || json!({"ingress": {"tlsSecretName": "certificate"}}));
        let gateway = json!({"gateway": {"parentRefs": [{"name": "edge"}]}});
        let (app, host) = ("https://app.example.com/signup", "app.example.com");
        assert_eq!(told(None, host, plain()), Some(Level::Warning));
        assert_eq!(told(Some(app), host, plain()), Some(Level::Ok), "the resource says that TLS ends elsewhere");
        assert_eq!(told(Some(app), "*.example.com", plain()), Some(Level::Ok));
        for (public_url, host, way, why) in [
            (None, host, tls(), "the certificate is there"),
            (None, host, gateway, "a listener of the Gateway has it"),
            (Some(app), "api.example.com", plain(), "the links lead elsewhere"),
            (Some(app), "*.app.example.com", plain(), "the links lead elsewhere"),
            (Some("http://app.example.com"), host, plain(), "no TLS is meant"),
        ] {
            assert_eq!(told(public_url, host, way), None, "{why}");
        }
    }

    #[test]
    fn each_gateway_is_told_with_what_its_controller_says() {
        let names = json!([{"name": "edge", "namespace": "infra"}, {"name": "inner"}, {"name": "silent"}]);
        let gateway: Gateway = serde_json::from_value(json!({"parentRefs": names})).expect("a Gateway");
        let refusal = json!({"reason": "NotAllowedByListeners", "message": "no."});
        let condition = |status: &str| {
            let mut condition = refusal.clone();
            (condition["type"], condition["status"]) = ("Accepted".into(), status.into());
            json!([condition])
        };
        let parents = json!([
            {"parentRef": {"name": "edge", "namespace": "infra"}, "conditions": condition("False")},
            {"parentRef": {"name": "inner"}, "conditions": condition("True")},
        ]);
        let route = json!({"apiVersion": "v1", "kind": "HTTPRoute", "metadata": {}, "status": {"parents": parents}});
        let lines = gateways(&gateway, "shop", &serde_json::from_value(route).expect("an object"), &[]);
        assert_eq!(lines[0].message, "does not take the route: NotAllowedByListeners: no");
        assert_eq!(lines[1], Line::ok("Gateway shop/inner", "takes the route"));
        assert_eq!((lines[2].level, lines[2].subject.as_str()), (Level::Error, "Gateway shop/silent"));
    }
}
