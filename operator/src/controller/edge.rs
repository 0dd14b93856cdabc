//! What an exposure needs of the cluster: an IngressClass, or Gateways with a listener for the host.
//!
//! Takes: `spec.expose`, and what the API server has under the names in it. Gives: what is missing, with its name; the
//! status and `operator check` both ask here. Does not: read anything while the Ingress has an address, or the route
//! was taken; judge which namespaces a listener takes routes from, which its controller says in the route's status.

use super::{
    observe::Observed,
    reason::{self, Finding},
    status::exposure::is_reached,
};
use crate::crd::{
    SignupPipeline,
    exposure::{Expose, Ingress, ParentReference},
};
use k8s_openapi::api::networking::v1::IngressClass;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Annotation of the IngressClass that an Ingress without a class gets.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// Time between two polls while there is no address.
const INTERVAL: Duration = Duration::from_secs(15);

/// An IngressClass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) is_default: bool,
}

/// The classes of the cluster.
///
/// # Errors
///
/// The API server's.
pub(crate) async fn classes(client: &Client) -> Result<Vec<Class>, kube::Error> {
    let is_default = |class: &IngressClass| class.annotations().get(DEFAULT_CLASS).is_some_and(|value| value == "true");
    let all = Api::<IngressClass>::all(client.clone()).list(&ListParams::default()).await?.items;
    Ok(all.into_iter().map(|class| Class { name: class.name_any(), is_default: is_default(&class) }).collect())
}

/// The names of classes, as a sentence ends with them.
pub(crate) fn known(classes: &[Class]) -> String {
    match classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>() {
        names if names.is_empty() => "the cluster has none".to_owned(),
        names => format!("the cluster has {}", names.join(", ")),
    }
}

/// That the class of an Ingress is not there.
pub(crate) fn class_missing(ingress: &Ingress, classes: &[Class]) -> Option<Finding> {
    let name = ingress.class_name.as_ref()?;
    let is_there = classes.iter().any(|class| class.name == *name);
    let problem = || format!("IngressClass {name} does not exist ({})", known(classes));
    (!is_there).then(|| Finding::with_default_fix(reason::INGRESS_CLASS_MISSING, problem()))
}

/// What is missing of a Gateway that the resource names. Nothing is said where it may not be read, or where the cluster
/// lacks the kind.
///
/// # Errors
///
/// The API server's.
pub(crate) async fn gateway_missing(
    client: &Client,
    parent: &ParentReference,
    own_namespace: &str,
    host: &str,
) -> Result<Option<Finding>, kube::Error> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let resource = ApiResource::from_gvk_with_plural(&kind, "gateways");
    let namespace = parent.namespace.as_deref().unwrap_or(own_namespace);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let name = format!("{namespace}/{}", parent.name);
    match api.get(&parent.name).await {
        Ok(gateway) => Ok(listener_missing(parent, &name, host, &gateway.data)),
        // A kind that is not served has no name in the answer.
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            let is_about_it = status.details.as_ref().is_some_and(|details| details.name == parent.name);
            let problem = format!("Gateway {name} does not exist");
            Ok(is_about_it.then(|| Finding::with_default_fix(reason::GATEWAY_MISSING, problem)))
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a listener of the Gateway takes routes for the host (Gateway API, `Listener.hostname`).
fn listener_missing(parent: &ParentReference, name: &str, host: &str, gateway: &Value) -> Option<Finding> {
    let all = gateway.pointer("/spec/listeners").and_then(Value::as_array).cloned().unwrap_or_default();
    let texts = |field: &str, listeners: &[Value]| {
        listeners.iter().filter_map(|listener| listener[field].as_str()).collect::<Vec<_>>().join(", ")
    };
    let wanted = parent.section_name.as_deref();
    let named: Vec<Value> =
        all.iter().filter(|listener| wanted.is_none_or(|wanted| listener["name"] == wanted)).cloned().collect();
    if let (true, Some(wanted)) = (named.is_empty(), wanted) {
        let problem = format!("Gateway {name} has no listener {wanted} (it has {})", texts("name", &all));
        return Some(Finding::with_default_fix(reason::LISTENER_MISSING, problem));
    }
    let is_for = |listener: &Value| {
        let hostname = listener["hostname"].as_str().unwrap_or_default();
        hostname.is_empty() || intersect(&hostname.to_lowercase(), host)
    };
    let problem =
        || format!("no listener of Gateway {name} is for {host} (they are for {})", texts("hostname", &named));
    (!named.iter().any(is_for)).then(|| Finding::with_default_fix(reason::HOST_UNMATCHED, problem()))
}

/// Whether two hosts, of which `*.` may lead each, have one in common. `*` stands for one label or more there.
fn intersect(one: &str, other: &str) -> bool {
    let is_below = |host: &str, domain: &str| host.len() > domain.len() && host.ends_with(domain);
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (None, None) => one == other,
        (Some(domain), None) => is_below(other, domain),
        (None, Some(domain)) => is_below(one, domain),
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
    }
}

/// What is missing, as it was seen last.
#[derive(Debug, Default)]
pub(super) struct Edge {
    seen: Option<(Instant, Expose, Option<Finding>)>,
}

impl Edge {
    /// Looks, where there is no address and the last look is old, and notes it. Gives the time until the next look.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        pipeline: &SignupPipeline,
        observed: &mut Observed,
    ) -> Option<Duration> {
        let expose = pipeline.spec.expose.as_ref().filter(|_| !is_reached(pipeline, observed));
        let Some(expose) = expose else {
            self.seen = None;
            return None;
        };
        let known = self.seen.take().filter(|(at, of, _)| at.elapsed() < INTERVAL && of == expose);
        let (at, found) = match known {
            Some((at, _, found)) => (at, found),
            None => (Instant::now(), find(client, pipeline, expose).await),
        };
        observed.edge = found.clone();
        self.seen = Some((at, expose.clone(), found));
        Some(INTERVAL.saturating_sub(at.elapsed()))
    }
}

/// What cannot be read holds nothing up, and is looked at again.
async fn find(client: &Client, pipeline: &SignupPipeline, expose: &Expose) -> Option<Finding> {
    if let Some(ingress) = &expose.ingress {
        let classes = if ingress.class_name.is_some() { classes(client).await.ok()? } else { return None };
        return class_missing(ingress, &classes);
    }
    let namespace = pipeline.namespace().unwrap_or_default();
    for parent in expose.gateway.iter().flat_map(|gateway| &gateway.parent_refs) {
        if let Some(finding) = gateway_missing(client, parent, &namespace, &expose.host).await.ok()? {
            return Some(finding);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_listener_is_found_by_its_name_and_its_host() {
        let listeners =
            json!([{"name": "web", "hostname": "*.Example.com"}, {"name": "shop", "hostname": "shop.test"}]);
        let told = |section: Option<&str>, host: &str| {
            let parent =
                ParentReference { name: "edge".to_owned(), namespace: None, section_name: section.map(str::to_owned) };
            let gateway = json!({"spec": {"listeners": listeners}});
            listener_missing(&parent, "infra/edge", host, &gateway).map(|finding| finding.message)
        };
        assert_eq!(
            [told(None, "app.example.com"), told(None, "a.b.example.com"), told(Some("shop"), "shop.test")],
            [None, None, None]
        );
        let message = told(Some("admin"), "app.example.com").expect("there is none");
        assert!(message.starts_with("Gateway infra/edge has no listener admin (it has web, shop). Fix:"), "{message}");
        let message = told(Some("shop"), "app.example.com").expect("it is for another");
        let words = "no listener of Gateway infra/edge is for app.example.com (they are for shop.test). Fix:";
        assert!(message.starts_with(words), "{message}");
        assert!(told(None, "example.com").is_some(), "* is a label at least");
    }

    #[test]
    fn hosts_have_one_in_common_where_a_star_leads_to_it() {
        for (one, other, expected) in [
            ("a.test", "a.test", true),
            ("a.test", "b.test", false),
            ("*.a.test", "x.a.test", true),
            ("*.a.test", "a.test", false),
            ("*.a.test", "*.test", true),
            ("*.a.test", "*.b.test", false),
        ] {
            assert_eq!((intersect(one, other), intersect(other, one)), (expected, expected), "{one} {other}");
        }
    }
}
