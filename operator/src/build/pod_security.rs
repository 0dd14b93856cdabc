//! Security contexts of pods and their container, which pass Pod Security `restricted`.
//!
//! Takes: `podSecurity`, and what the resource adds. Gives: both contexts, and the modes of mounted Secrets. Does not:
//! let an addition take the place of something of ours.

use super::Subject;
use crate::crd::pod::{Object, Pod, PodSecurity};
use serde_json::{Value, json};

/// User and group of the image.
const USER: i64 = 65532;

/// Of the pod.
pub(super) fn of_pod(subject: &Subject<'_>, pod: &Pod) -> Value {
    let mut ours = json!({
        "runAsNonRoot": true,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if subject.spec.pod_security == PodSecurity::Fixed {
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            ours[id] = USER.into();
        }
    }
    over(&pod.security_context, ours)
}

/// Of the container.
pub(super) fn of_container(pod: &Pod) -> Value {
    let ours = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    over(&pod.container_security_context, ours)
}

/// Mode of files of Secrets: the group's alone, or everybody's where nobody may say which group the pod has.
pub(super) fn secret_mode(subject: &Subject<'_>) -> u32 {
    match subject.spec.pod_security {
        PodSecurity::Fixed => 0o440,
        PodSecurity::Assigned => 0o444,
    }
}

/// Ours over what is given.
fn over(given: &Object, ours: Value) -> Value {
    let mut context = json!(given);
    for (key, value) in ours.as_object().into_iter().flatten() {
        context[key] = value.clone();
    }
    context
}
