//! NetworkPolicies: pods accept what they serve and reach what they need.
//!
//! Takes: the resource, and the ports of PostgreSQL and Redis. Gives: one policy per component, with the rules that the
//! resource adds for both. Does not: name addresses, because a host name has no place in a NetworkPolicy; the rules are
//! by port, for IPv4 and IPv6 alike.

use super::{
    Inputs, Subject,
    child::{Child, Kind, child},
    names::{self, ADMIN_PORT, Component, GRPC_PORT, HTTP_PORT},
};
use serde_json::{Value, json};

/// DNS (RFC 1035).
const DNS_PORT: i32 = 53;

pub(super) fn build(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> Child {
    let policy = &subject.spec.network_policy;
    // Health, metrics and configuration are for the cluster's own pods: the operator, Prometheus.
    let admin = json!({"from": [{"namespaceSelector": {}}], "ports": tcp(&[ADMIN_PORT])});
    let mut served = match component {
        Component::Api => vec![json!({"ports": tcp(&[HTTP_PORT, GRPC_PORT])}), admin],
        Component::Worker => vec![admin],
    };
    served.extend(policy.extra_ingress.iter().map(|rule| json!(rule)));
    let mut reached = vec![json!({"ports": dns(&policy.dns_ports)})];
    let needed = needed(subject, inputs, component);
    // A rule without ports is one for all of them; servers by a socket have none.
    reached.extend((!needed.is_empty()).then(|| json!({"ports": tcp(&needed)})));
    reached.extend(policy.extra_egress.iter().map(|rule| json!(rule)));
    let content = json!({"spec": {
        "podSelector": {"matchLabels": names::selector(subject.name, component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": served,
        "egress": reached,
    }});
    child(subject, Kind::NetworkPolicy, Some(component), component.child_name(subject.name), content)
}

/// The TCP ports that a component's pods connect to, each once.
fn needed(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> Vec<u16> {
    let mut ports: Vec<u16> = inputs.database_ports.iter().chain(&inputs.redis_ports).copied().collect();
    match component {
        Component::Api => {
            let check = subject.spec.signup.password.breach_check.as_ref();
            ports.extend(check.and_then(|check| port_of(&check.url)));
        }
        Component::Worker => {
            ports.extend(u16::try_from(subject.spec.mail.smtp.port).ok());
            ports.extend(subject.spec.webhooks.iter().filter_map(|webhook| port_of(&webhook.url)));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The port of a URL: its own, or that of its scheme.
fn port_of(url: &str) -> Option<u16> {
    reqwest::Url::parse(url).ok()?.port_or_known_default()
}

fn dns(ports: &[i32]) -> Vec<Value> {
    let ports = if ports.is_empty() { &[DNS_PORT] } else { ports };
    ports.iter().flat_map(|port| ["UDP", "TCP"].map(|protocol| json!({"port": port, "protocol": protocol}))).collect()
}

fn tcp(ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| json!({"port": port, "protocol": "TCP"})).collect()
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn the_port_of_a_url_is_its_own_or_that_of_its_scheme() {
        for (url, port) in [
            ("https://api.example.com/range", 443),
            ("http://api.example.com", 80),
            ("https://api.example.com:8443/range", 8443),
            ("http://[2001:db8::1]/range", 80),
            ("http://[2001:db8::1]:8080", 8080),
        ] {
            assert_eq!(port_of(url), Some(port), "{url}");
        }
    }
}
