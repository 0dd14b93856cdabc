//! What keeps the pods of a pipeline from working.
//!
//! Takes: pods, and what Events say of those that wait. Gives: findings, each with the pod, the container, what is
//! wrong and what to do. Pure: the time is a parameter. Does not: read logs. The status of the operator and `operator
//! check` both ask here.

use super::container::{CALM, Container};
use crate::controller::{
    observe::{
        pod_events::{PodEvents, WAIT, waited},
        pods::{Report, is_live},
    },
    reason::{self, Finding},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

/// Events that say nothing about why a pod waits, or that its status says better.
const NO_CAUSE: [&str; 5] = ["Unhealthy", "BackOff", "FailedScheduling", "DNSConfigForming", "ProbeWarning"];
/// Events about volumes (Kubernetes, pkg/kubelet/events and the attach-detach controller).
const ABOUT_VOLUMES: [&str; 4] = ["FailedMount", "FailedAttachVolume", "FailedMapVolume", "VolumeMismatch"];

/// The first pod's trouble that keeps it from running, by name of the pod.
pub(crate) fn pod_trouble(pods: &[Arc<Pod>], events: &PodEvents, now: Timestamp) -> Option<Finding> {
    pods.iter().filter(|pod| is_live(pod)).find_map(|pod| trouble_of(pod, events, now))
}

/// Why the first pod that runs is not ready, as its probe says.
pub(crate) fn probe_trouble(pods: &[Arc<Pod>], events: &PodEvents, now: Timestamp) -> Option<Finding> {
    pods.iter().filter(|pod| is_live(pod)).find_map(|pod| probe(pod, events, now))
}

/// Whether a container of the pod ends again and again, so that what it does in between says nothing.
pub(crate) fn is_looping(pod: &Pod, now: Timestamp) -> bool {
    let name = pod.name_any();
    containers(pod, &name).any(|container| container.ends_again_and_again(now).is_some())
}

/// What pods report, without those that end again and again: each answer of one is another than the one before.
pub(crate) fn steady(reports: Vec<Report>, pods: &[Arc<Pod>], now: Timestamp) -> Vec<Report> {
    let looping: Vec<String> = pods.iter().filter(|pod| is_looping(pod, now)).map(|pod| pod.name_any()).collect();
    reports.into_iter().filter(|report| !looping.contains(&report.pod)).collect()
}

/// Time until a container that ended again and again has run well for long enough, which no event tells.
pub(crate) fn calm(pods: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let left = |container: Container<'_>| {
        container.ends_again_and_again(now)?;
        let started = container.status.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
        Some(CALM.saturating_sub(now.duration_since(started).unsigned_abs()))
    };
    pods.iter().filter_map(|pod| containers(pod, "").filter_map(left).min()).min()
}

fn trouble_of(pod: &Pod, events: &PodEvents, now: Timestamp) -> Option<Finding> {
    let name = pod.name_any();
    let of_containers = || containers(pod, &name).find_map(|container| container.trouble(now));
    let told = || told(pod, &name, events, now);
    node_gone(pod, &name).or_else(of_containers).or_else(|| unscheduled(pod, &name)).or_else(told)
}

/// Of every kind: init containers and sidecars first, for the others wait for them.
fn containers<'a>(pod: &'a Pod, name: &'a str) -> impl Iterator<Item = Container<'a>> {
    let status = pod.status.as_ref();
    let init = status.into_iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let main = status.into_iter().flat_map(|status| status.container_statuses.iter().flatten());
    let all = init.map(|status| (status, true)).chain(main.map(|status| (status, false)));
    all.map(move |(status, is_init)| Container { pod: name, status, memory: memory(pod, status), is_init })
}

/// The kubelet says what is in force, where it is new enough (Kubernetes 1.33).
fn memory(pod: &Pod, status: &ContainerStatus) -> Option<String> {
    let in_force = status.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let spec = pod.spec.as_ref();
    let all = || {
        let init = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
        spec.into_iter().flat_map(|spec| &spec.containers).chain(init)
    };
    let named = || all().find(|container| container.name == status.name)?.resources.as_ref()?.limits.as_ref();
    in_force.or_else(named).and_then(|limits| limits.get("memory")).map(|memory| memory.0.clone())
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn is(pod: &Pod, kind: &str, status: &str) -> bool {
    condition(pod, kind).is_some_and(|condition| condition.status == status)
}

/// The node controller calls the pods of a node that does not answer not ready, and leaves what the kubelet wrote.
fn node_gone(pod: &Pod, name: &str) -> Option<Finding> {
    let is_lost = pod.status.as_ref()?.reason.as_deref() == Some("NodeLost");
    let was_ready = is(pod, "ContainersReady", "True") && is(pod, "Ready", "False");
    let has_gates = pod.spec.as_ref().is_some_and(|spec| spec.readiness_gates.is_some());
    if !is_lost && (!was_ready || has_gates) {
        return None;
    }
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let problem = format!("node {node} of pod {name} does not answer");
    let fix = format!("see `kubectl describe node {node}`; without it the pod is made elsewhere after 5 minutes");
    Some(Finding::new(reason::NODE_GONE, problem, fix))
}

/// The scheduler's own sentence.
fn unscheduled(pod: &Pod, name: &str) -> Option<Finding> {
    let unscheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False")?;
    let message = unscheduled.message.as_deref().unwrap_or_default().trim_end_matches('.');
    Some(Finding::with_default_fix(reason::POD_UNSCHEDULABLE, format!("pod {name} finds no node: {message}")))
}

/// What only Events tell of a pod whose containers wait for their start.
fn told(pod: &Pod, name: &str, events: &PodEvents, now: Timestamp) -> Option<Finding> {
    if waited(pod, now) < WAIT || !containers(pod, name).any(|container| container.is_starting()) {
        return None;
    }
    let event = events.of(pod).iter().find(|event| !NO_CAUSE.contains(&event.reason.as_str()))?;
    let message = event.message.trim_end_matches('.');
    if ABOUT_VOLUMES.contains(&event.reason.as_str()) {
        let problem = format!("a volume of pod {name} cannot be mounted: {message}");
        return Some(Finding::with_default_fix(reason::VOLUME_NOT_MOUNTED, problem));
    }
    let problem = format!("pod {name} is not started ({}): {message}", event.reason);
    Some(Finding::new(reason::POD_NOT_STARTED, problem, format!("see `kubectl describe pod {name}`")))
}

/// A probe that fails with what it said; an event from before the container's start speaks of another run.
fn probe(pod: &Pod, events: &PodEvents, now: Timestamp) -> Option<Finding> {
    let name = pod.name_any();
    let started = |container: &Container<'_>| {
        let running = container.status.state.as_ref()?.running.as_ref()?;
        Some((container.status.name.clone(), running.started_at.as_ref()?.0))
    };
    let unready: Vec<_> = containers(pod, &name)
        .filter(|container| !container.status.ready)
        .filter_map(|found| started(&found))
        .collect();
    if waited(pod, now) < WAIT || unready.is_empty() {
        return None;
    }
    let failing = events.of(pod).iter().filter(|event| event.reason == "Unhealthy");
    let (container, event) = failing.into_iter().find_map(|event| {
        let of = |(container, since): &&(String, Timestamp)| {
            event.container.as_ref().is_none_or(|about| about == container) && event.at.is_none_or(|at| at >= *since)
        };
        Some((unready.iter().find(of)?.0.clone(), event))
    })?;
    let problem =
        format!("container {container} of pod {name} runs and is not ready: {}", event.message.trim_end_matches('.'));
    let fix = format!("none while it starts; else read why with `kubectl logs {name} -c {container}`");
    Some(Finding::new(reason::PROBE_FAILING, problem, fix))
}

#[cfg(test)]
mod tests;
