//! Pod templates. An operator of another version builds the same bytes (golden test), so that its upgrade restarts no
//! pod.
//!
//! Takes: the resource and the inputs. Gives: a template that passes Pod Security `restricted`, with what the resource
//! adds; where the two clash ours stay. Does not: put a secret or a live setting into the template.

use super::{
    Inputs, Subject, checksum, mounts,
    names::{self, ADMIN_PORT, Component, GRPC_PORT, HTTP_PORT, MANAGED_BY},
    pod_defaults, pod_security,
};
use crate::crd::{
    pod::{Object, Pod},
    workload::Resources,
};
use serde_json::{Value, json};

/// Seconds between the end of a pod's endpoints and SIGTERM, so that no client is sent to a pod that is leaving.
const ENDPOINT_DELAY_S: u64 = 5;
/// Seconds that `api` needs after SIGTERM at most, and what workers need beyond their grace period to record results.
const STOP_S: u64 = 45;
const RECORD_S: u64 = 10;
/// Flags of `api` that the resource has no field for, with its own defaults (api/src/config.rs; a test compares).
const API_LIMITS: [(&str, u32); 2] = [("max-connections", 800), ("max-waiting-per-core", 128)];

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

/// All labels of a component's pods.
pub(super) fn labels_of(subject: &Subject<'_>, component: Component) -> Value {
    let spec = subject.spec;
    let pod = match component {
        Component::Api => &spec.api.pod,
        Component::Worker => &spec.worker.pod,
    };
    labels(subject, pod, component)
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
        Component::Api => spec.api.termination_grace_period_seconds.map_or(ENDPOINT_DELAY_S + STOP_S, |given| {
            // The schema has it positive.
            given.unsigned_abs().into()
        }),
        Component::Worker => spec.worker.shutdown_grace_period.get().as_secs() + RECORD_S,
    };
    let mut built = json!({
        "serviceAccountName": component.child_name(subject.name),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace,
        "securityContext": pod_security::of_pod(subject, pod),
        "containers": [container(subject, inputs, pod, component, volume_mounts)],
        "volumes": beside(volumes, &pod.volumes, "name"),
    });
    if !spec.image_pull_secrets.is_empty() {
        built["imagePullSecrets"] = json!(spec.image_pull_secrets);
    }
    passed_through(&mut built, pod);
    if let Some(spread) = spread(subject, inputs, pod, component) {
        built["topologySpreadConstraints"] = spread;
    }
    built
}

/// What stands in a pod's spec as it stands in the resource.
fn passed_through(built: &mut Value, pod: &Pod) {
    let Pod { node_selector, tolerations, affinity, priority_class_name, scheduler_name, .. } = pod;
    let Pod { runtime_class_name, dns_policy, dns_config, host_aliases, .. } = pod;
    let optional = [
        ("nodeSelector", json!(node_selector), node_selector.is_empty()),
        ("tolerations", json!(tolerations), tolerations.is_empty()),
        ("affinity", json!(affinity), affinity.is_none()),
        ("priorityClassName", json!(priority_class_name), priority_class_name.is_none()),
        ("schedulerName", json!(scheduler_name), scheduler_name.is_none()),
        ("runtimeClassName", json!(runtime_class_name), runtime_class_name.is_none()),
        ("dnsPolicy", json!(dns_policy), dns_policy.is_none()),
        ("dnsConfig", json!(dns_config), dns_config.is_none()),
        ("hostAliases", json!(host_aliases), host_aliases.is_empty()),
    ];
    for (key, value, _) in optional.into_iter().filter(|(_, _, absent)| !absent) {
        built[key] = value;
    }
}

/// How the pods spread; `None`: as the cluster says. A constraint without a selector would count no pods.
fn spread(subject: &Subject<'_>, inputs: &Inputs, pod: &Pod, component: Component) -> Option<Value> {
    let Some(given) = &pod.topology_spread_constraints else {
        let defaults = inputs.defaults_of(component);
        return pod_defaults::topology_spread_constraints(defaults, subject.name, component);
    };
    let mut constraints = given.clone();
    for constraint in &mut constraints {
        let own = || json!({"matchLabels": names::selector(subject.name, component)});
        constraint.entry("labelSelector".to_owned()).or_insert_with(own);
    }
    (!constraints.is_empty()).then(|| json!(constraints))
}

/// `ours`, and those of `given` that have another `key`.
fn beside(mut ours: Vec<Value>, given: &[Object], key: &str) -> Vec<Value> {
    let added = given.iter().filter(|object| ours.iter().all(|our| Some(&our[key]) != object.get(key)));
    let added: Vec<Value> = added.map(|object| json!(object)).collect();
    ours.extend(added);
    ours
}

fn container(
    subject: &Subject<'_>,
    inputs: &Inputs,
    pod: &Pod,
    component: Component,
    volume_mounts: Vec<Value>,
) -> Value {
    let spec = subject.spec;
    let (args, ports) = args_and_ports(pod, component);
    let mut container = json!({
        "name": component.name(),
        "image": spec.image.as_ref().unwrap_or(&inputs.image),
        "command": [format!("/{}", component.name())],
        "args": args,
        "ports": ports,
        "resources": resources(subject, component),
        "securityContext": pod_security::of_container(pod),
        // Slow to start, stuck, and unable to work are three things: only a process that does not answer is restarted.
        "startupProbe": probe("/livez", 1, 60),
        "livenessProbe": probe("/livez", 10, 3),
        "readinessProbe": probe("/readyz", 5, 2),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": beside(volume_mounts, &pod.volume_mounts, "mountPath"),
    });
    if component == Component::Api {
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": ENDPOINT_DELAY_S}}});
    }
    if let Some(policy) = &spec.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    for (key, given) in [("env", &pod.env), ("envFrom", &pod.env_from)] {
        if !given.is_empty() {
            container[key] = json!(given);
        }
    }
    container
}

/// A flag wins over a variable of the same setting, so that `envFrom` changes none.
fn args_and_ports(pod: &Pod, component: Component) -> (Vec<String>, Vec<Value>) {
    let config = format!("{}/pipeline.yaml", mounts::CONFIG);
    // Every address of both families; an image that is kept from before it meant that takes it for those of IPv4.
    let mut args = vec![format!("--config={config}"), format!("--admin=0.0.0.0:{ADMIN_PORT}")];
    let mut ports = vec![json!({"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"})];
    if component == Component::Api {
        for (name, port) in [("http", HTTP_PORT), ("grpc", GRPC_PORT)] {
            args.push(format!("--{name}=0.0.0.0:{port}"));
            ports.push(json!({"name": name, "containerPort": port, "protocol": "TCP"}));
        }
        if !pod.env_from.is_empty() {
            args.extend(API_LIMITS.map(|(name, limit)| format!("--{name}={limit}")));
        }
    }
    (args, ports)
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
