//! Service `<name>-api`: HTTP on port 80, gRPC on port 9090, inside the cluster unless its type says more.
//!
//! Takes: the resource. Gives: the Service. Does not: publish the admin port.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{self, Component, GRPC_PORT},
};
use crate::crd::objects::Service;
use serde_json::{Value, json};

pub(super) fn build(subject: &Subject<'_>) -> Child {
    let Service {
        type_,
        labels,
        annotations,
        ip_family_policy,
        ip_families,
        traffic_distribution,
        external_traffic_policy,
        load_balancer_class,
        load_balancer_source_ranges,
    } = &subject.spec.api.service;
    let mut spec = json!({
        "type": type_,
        // An address of each family that the cluster has; clusters of one family take it too.
        "ipFamilyPolicy": ip_family_policy.as_deref().unwrap_or("PreferDualStack"),
        "selector": names::selector(subject.name, Component::Api),
        "ports": [
            {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http", "appProtocol": "http"},
            {
                "name": "grpc", "protocol": "TCP", "port": GRPC_PORT, "targetPort": "grpc",
                "appProtocol": "kubernetes.io/h2c",
            },
        ],
    });
    let optional = [
        ("ipFamilies", unless_empty(ip_families)),
        ("trafficDistribution", json!(traffic_distribution)),
        ("externalTrafficPolicy", json!(external_traffic_policy)),
        ("loadBalancerClass", json!(load_balancer_class)),
        ("loadBalancerSourceRanges", unless_empty(load_balancer_source_ranges)),
    ];
    for (key, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
        spec[key] = value;
    }
    child(subject, Kind::Service, Some(Component::Api), Component::Api.child_name(subject.name), json!({"spec": spec}))
        .with(labels, annotations)
}

fn unless_empty(list: &[String]) -> Value {
    json!((!list.is_empty()).then_some(list))
}
