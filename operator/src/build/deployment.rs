//! Deployments `<name>-api` and `<name>-worker`.
//!
//! Takes: the resource and the inputs. Gives: the Deployments. Does not: set the workers' replicas; the scaler owns that
//! field under a field manager of its own.

use super::{
    Inputs, Subject,
    child::{Child, Kind, child},
    names::{self, Part},
    pod,
};
use serde_json::json;

pub(super) fn build(subject: &Subject<'_>, inputs: &Inputs, part: Part) -> Child {
    let mut spec = json!({
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": names::selector(subject.name, part)},
        // A new pod is ready before an old one goes, so that no signup fails and no mail waits.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod::template(subject, inputs, part),
    });
    if part == Part::Api {
        spec["replicas"] = subject.spec.api.replicas.into();
    }
    child(subject, Kind::Deployment, Some(part), part.child_name(subject.name), json!({"spec": spec}))
}
