//! Pod templates. An operator of another version builds the same bytes (golden test), so that its upgrade restarts no
//! pod.
//!
//! Takes: the resource and the inputs. Gives: a template that passes Pod Security `restricted`. Does not: put a secret
//! or a live setting into the template.

use super::{
    Inputs, Subject, checksum, mounts,
    names::{self, ADMIN_PORT, Component, GRPC_PORT, HTTP_PORT, MANAGED_BY},
};
use crate::crd::workload::{Pod, Resources};
use serde_json::{Value, json};

/// User and group of the image.
const USER: i64 = 65532;
/// Seconds between the end of a pod's endpoints and SIGTERM, so that no client is sent to a pod that is leaving.
const ENDPOINT_DELAY_S: u64 = 5;
/// Seconds that `api` needs after SIGTERM at most, and what workers need beyond their grace period to record results.
const STOP_S: u64 = 45;
const RECORD_S: u64 = 10;

pub(super) fn template(subject: &Subject<'_>, inputs: &Inputs, component: Component) -> Value {
    let spec = subject.spec;
    let pod = match component {
        Component::Api => &spec.api.pod,
        Component::Worker => &spec.worker.pod,
    };
    let mut annotations = pod.annotations.clone();
    annotations.extend(checksum::annotations(subject, &inputs.checksums));
    json!({
        "metadata": {"labels": labels(subject, pod, component), "annotations": annotations},
        "spec": pod_spec(subject, inputs, pod, component),
    })
}

fn labels(subject: &Subject<'_>, pod: &Pod, component: Component) -> Value {
    let mut labels = json!(pod.labels);
    let own = names::selector(subject.name, component);
    for (key, value) in own.as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    labels[MANAGED_BY.0] = MANAGED_BY.1.into();
    labels
}

fn pod_spec(subject: &Subject<'_>, inputs: &Inputs, pod: &Pod, component: Component) -> Value {
    let spec = subject.spec;
    let (volumes, volume_mounts) = mounts::volumes(subject, inputs, component);
    let grace = match component {
        Component::Api => ENDPOINT_DELAY_S + STOP_S,
        Component::Worker => spec.worker.shutdown_grace_period.get().as_secs() + RECORD_S,
    };
    let mut built = json!({
        "serviceAccountName": component.child_name(subject.name),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(subject, inputs, component, &volume_mounts)],
        "volumes": volumes,
    });
    let Pod { labels: _, annotations: _, node_selector, tolerations, affinity, priority_class_name } = pod;
    let optional = [
        ("nodeSelector", json!(node_selector), node_selector.is_empty()),
        ("tolerations", json!(tolerations), tolerations.is_empty()),
        ("affinity", json!(affinity), affinity.is_none()),
        ("priorityClassName", json!(priority_class_name), priority_class_name.is_none()),
        ("imagePullSecrets", json!(spec.image_pull_secrets), spec.image_pull_secrets.is_empty()),
    ];
    for (key, value, _) in optional.into_iter().filter(|(_, _, absent)| !absent) {
        built[key] = value;
    }
    built
}

fn container(subject: &Subject<'_>, inputs: &Inputs, component: Component, volume_mounts: &[Value]) -> Value {
    let spec = subject.spec;
    let config = format!("{}/pipeline.yaml", mounts::CONFIG);
    // Every address of both families; an image that is kept from before it meant that takes it for those of IPv4.
    let mut args = vec![format!("--config={config}"), format!("--admin=0.0.0.0:{ADMIN_PORT}")];
    let mut ports = vec![json!({"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"})];
    if component == Component::Api {
        for (name, port) in [("http", HTTP_PORT), ("grpc", GRPC_PORT)] {
            args.push(format!("--{name}=0.0.0.0:{port}"));
            ports.push(json!({"name": name, "containerPort": port, "protocol": "TCP"}));
        }
    }
    let mut container = json!({
        "name": component.name(),
        "image": spec.image.as_ref().unwrap_or(&inputs.image),
        "command": [format!("/{}", component.name())],
        "args": args,
        "ports": ports,
        "resources": resources(subject, component),
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
        // Slow to start, stuck, and unable to work are three things: only a process that does not answer is restarted.
        "startupProbe": probe("/livez", 1, 60),
        "livenessProbe": probe("/livez", 10, 3),
        "readinessProbe": probe("/readyz", 5, 2),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": volume_mounts,
    });
    if component == Component::Api {
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": ENDPOINT_DELAY_S}}});
    }
    if let Some(policy) = &spec.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    container
}

fn probe(path: &str, period_s: u32, failures: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period_s,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    })
}

fn resources(subject: &Subject<'_>, component: Component) -> Value {
    let (given, default): (_, fn() -> Resources) = match component {
        Component::Api => (&subject.spec.api.resources, Resources::api),
        Component::Worker => (&subject.spec.worker.resources, Resources::worker),
    };
    json!(given.clone().unwrap_or_else(default))
}
