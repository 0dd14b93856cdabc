//! Service `<name>-api`: HTTP on port 80, gRPC on port 9090, inside the cluster.
//!
//! Takes: the resource. Gives: the Service. Does not: publish the admin port.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{self, Component, GRPC_PORT},
};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>) -> Child {
    let content = json!({"spec": {
        "type": "ClusterIP",
        // An address of each family that the cluster has; clusters of one family take it too.
        "ipFamilyPolicy": "PreferDualStack",
        "selector": names::selector(subject.name, Component::Api),
        "ports": [
            {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http", "appProtocol": "http"},
            {
                "name": "grpc", "protocol": "TCP", "port": GRPC_PORT, "targetPort": "grpc",
                "appProtocol": "kubernetes.io/h2c",
            },
        ],
    }});
    child(subject, Kind::Service, Some(Component::Api), Component::Api.child_name(subject.name), content)
}
