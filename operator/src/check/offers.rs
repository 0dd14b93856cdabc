//! What the cluster has that pipelines can use: its version, optional kinds, ingress classes.
//!
//! Takes: the API server's answers. Gives: lines. Pure. Does not: judge a pipeline.

use super::{line::Line, seen::Seen};
use crate::controller::edge::Class;
use k8s_openapi::apimachinery::pkg::version::Info;

/// Oldest minor version of Kubernetes 1 that takes the definition (`fieldPath` of CEL rules); `kubeVersion` of the
/// charts.
const OLDEST_MINOR: u32 = 30;

/// Kinds that some clusters have, with what needs them.
pub(super) const OPTIONAL: [(&str, &str, &str, &str); 3] = [
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "spec.expose.gateway"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "spec.observability.podMonitor"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "the chart's metrics.serviceMonitor"),
];

/// Judges the version.
pub(super) fn version(info: &Info) -> Line {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    let subject = "API server";
    match (number(&info.major), number(&info.minor)) {
        (Some(1), Some(minor)) if minor < OLDEST_MINOR => {
            let message =
                format!("Kubernetes {} is older than 1.{OLDEST_MINOR}, the oldest one supported", info.git_version);
            Line::error(subject, message, format!("upgrade the cluster to 1.{OLDEST_MINOR} or newer"))
        }
        _ => Line::ok(subject, format!("Kubernetes {} answers", info.git_version)),
    }
}

/// Tells whether an optional kind is there.
pub(super) fn kind(name: &str, needed_by: &str, is_there: bool) -> Line {
    let message = if is_there {
        format!("there; {needed_by} can be used")
    } else {
        format!("not there; {needed_by} cannot be used")
    };
    Line::ok(format!("kind {name}"), message)
}

/// Tells the ingress classes.
pub(super) fn classes(classes: &Seen<Vec<Class>>) -> Line {
    let subject = "ingress classes";
    match classes {
        Seen::There(classes) if !classes.is_empty() => {
            let name =
                |class: &Class| if class.is_default { format!("{} (default)", class.name) } else { class.name.clone() };
            Line::ok(subject, classes.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        Seen::There(_) | Seen::Absent => Line::ok(subject, "none; spec.expose.ingress cannot be used"),
        Seen::Forbidden => Line::ok(subject, "you may not list them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::line::Level;

    #[test]
    fn an_older_kubernetes_is_an_error_and_a_providers_suffix_is_none() {
        let level = |minor: &str| version(&Info { major: "1".into(), minor: minor.into(), ..Info::default() }).level;
        assert_eq!((level("29"), level("30+"), level("33")), (Level::Error, Level::Ok, Level::Ok));
    }

    #[test]
    fn ingress_classes_are_named_and_none_is_worth_knowing() {
        let class = |name: &str, is_default| Class { name: name.into(), is_default };
        assert_eq!(
            classes(&Seen::There(vec![class("contour", true), class("nginx", false)])).message,
            "contour (default), nginx"
        );
        assert!(classes(&Seen::There(Vec::new())).message.contains("cannot be used"));
    }
}
