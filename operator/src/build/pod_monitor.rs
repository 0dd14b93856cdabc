//! PodMonitor `<name>`: the Prometheus operator scrapes the admin ports of all pods.
//!
//! Takes: `observability.podMonitor`. Gives: the PodMonitor. Does not: install Prometheus, or choose the interval;
//! Prometheus' own holds.

use super::{
    Subject,
    child::{Child, Kind, child},
    names::{COMPONENT, INSTANCE, NAME},
};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>) -> Child {
    let content = json!({"spec": {
        "selector": {"matchLabels": {NAME.0: NAME.1, INSTANCE: subject.name}},
        // Tells api and worker apart in every series.
        "podTargetLabels": [COMPONENT],
        "podMetricsEndpoints": [{"port": "admin", "path": "/metrics"}],
    }});
    child(subject, Kind::PodMonitor, None, subject.name.to_owned(), content)
}
