//! NetworkPolicies: pods accept what they serve and reach what they need.
//!
//! Takes: the resource, and the ports of PostgreSQL and Redis. Gives: one policy per component. Does not: name
//! addresses, because a host name has no place in a NetworkPolicy; the rules are by port.

use super::{
    Inputs, Subject,
    child::{Child, Kind, child},
    names::{self, ADMIN_PORT, Component, GRPC_PORT, HTTP_PORT},
};
use serde_json::{Value, json};

pub(super) fn build(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> Child {
    let mut reached: Vec<u16> = inputs.database_ports.iter().chain(&inputs.redis_ports).copied().collect();
    if component == Component::Api {
        let check = subject.spec.signup.password.breach_check.as_ref();
        reached.extend(check.and_then(|check| port_of(&check.url)));
    }
    if component == Component::Worker {
        reached.extend(u16::try_from(subject.spec.mail.smtp.port).ok());
    }
    reached.sort_unstable();
    reached.dedup();
    // Health, metrics and configuration are for the cluster's own pods: the operator, Prometheus.
    let admin = json!({"from": [{"namespaceSelector": {}}], "ports": tcp(&[ADMIN_PORT])});
    let served = match component {
        Component::Api => vec![json!({"ports": tcp(&[HTTP_PORT, GRPC_PORT])}), admin],
        Component::Worker => vec![admin],
    };
    let names = json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]});
    let content = json!({"spec": {
        "podSelector": {"matchLabels": names::selector(subject.name, component)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": served,
        "egress": [names, {"ports": tcp(&reached)}],
    }});
    child(subject, Kind::NetworkPolicy, Some(component), component.child_name(subject.name), content)
}

/// The port of a URL: its own, or that of its scheme.
fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    match authority.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(if scheme == "https" { 443 } else { 80 }),
    }
}

fn tcp(ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| json!({"port": port, "protocol": "TCP"})).collect()
}
