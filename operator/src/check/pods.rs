//! How are a pipeline's pods?
//!
//! Takes: its Deployments and pods. Gives: lines: what is not ready, and why. Pure: the time is a parameter. Does not:
//! read logs.

use super::{
    conditions::is_recent,
    line::{Level, Line},
};
use crate::{
    build::names::{Component, selector_text},
    controller::{
        observe::{pod_events::PodEvents, pods::is_live},
        status::{
            pods::{pod_trouble, probe_trouble},
            rollout,
        },
    },
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{ResourceExt, api::DynamicObject};
use std::sync::Arc;

/// Restarts that are no longer an accident.
const MANY_RESTARTS: i32 = 3;

/// Judges a Deployment.
pub(super) fn deployment(pipeline: &str, component: Component, deployment: &DynamicObject) -> Line {
    let subject = format!("Deployment {}", component.child_name(pipeline));
    let state = rollout::rollout(Some(deployment), component, selector_text(pipeline, component));
    if let Some(trouble) = &state.trouble {
        return Line::of(Level::Error, subject, trouble);
    }
    let message = format!("{} of {} pods are ready", state.replicas.ready_replicas, state.wanted);
    if state.is_complete {
        return Line::ok(subject, message);
    }
    let newest = format!("{message}, {} run the newest template", state.replicas.updated_replicas);
    Line::warning(subject, newest, "none while pods start; else see the lines about pods")
}

/// Judges the pods, each one that is not as it should be; one line when all are.
pub(super) fn pods(namespace: &str, pods: &[Arc<Pod>], events: &PodEvents, now: Timestamp) -> Vec<Line> {
    let live = || pods.iter().filter(|pod| is_live(pod));
    let lines: Vec<Line> = live().filter_map(|pod| judge(namespace, pod, events, now)).collect();
    match (lines.is_empty(), live().count()) {
        (false, _) => lines,
        (true, 0) => vec![Line::ok("pods", "there are none")],
        (true, count) => vec![Line::ok("pods", format!("{count} are ready"))],
    }
}

fn judge(namespace: &str, pod: &Arc<Pod>, events: &PodEvents, now: Timestamp) -> Option<Line> {
    let subject = format!("Pod {}", pod.name_any());
    let this = std::slice::from_ref(pod);
    if let Some(trouble) = pod_trouble(this, events, now) {
        return Some(Line::of(Level::Error, subject, &trouble));
    }
    if let Some(trouble) = probe_trouble(this, events, now) {
        return Some(Line::of(Level::Warning, subject, &trouble));
    }
    often_restarted(namespace, pod).or_else(|| not_ready(namespace, pod, now))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

fn often_restarted(namespace: &str, pod: &Pod) -> Option<Line> {
    let container = containers(pod).find(|container| container.restart_count >= MANY_RESTARTS)?;
    let (name, count, pod) = (&container.name, container.restart_count, pod.name_any());
    let fix = if ended_for(container) == Some("OOMKilled") {
        format!("raise resources.limits.memory of {name}")
    } else {
        format!("read why with `kubectl -n {namespace} logs {pod} --previous`")
    };
    let message = format!("container {name} was restarted {count} times{}", last_end(container));
    Some(Line::warning(format!("Pod {pod}"), message, fix))
}

fn not_ready(namespace: &str, pod: &Pod, now: Timestamp) -> Option<Line> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    if ready.is_some_and(|condition| condition.status == "True") {
        return None;
    }
    let since = ready.and_then(|condition| condition.last_transition_time.as_ref());
    let waiting = containers(pod).filter(|container| !container.ready).map(why_waiting);
    let waiting = waiting.collect::<Vec<_>>().join(", ");
    let why = if waiting.is_empty() { "its containers are not started".to_owned() } else { waiting };
    let name = pod.name_any();
    let fix = format!(
        "none while it starts; else `kubectl -n {namespace} describe pod {name}` and `kubectl -n {namespace} logs \
        {name}`"
    );
    let line = Line::warning(format!("Pod {name}"), format!("is not ready: {why}"), fix);
    Some(Line { level: if since.is_none() || is_recent(since, now) { Level::Warning } else { Level::Error }, ..line })
}

fn why_waiting(container: &ContainerStatus) -> String {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref()).and_then(|waiting| waiting.reason.as_deref());
    match waiting {
        Some(reason) => format!("container {} waits ({reason})", container.name),
        None => format!("container {} runs and its readiness probe fails", container.name),
    }
}

fn ended_for(container: &ContainerStatus) -> Option<&str> {
    container.last_state.as_ref()?.terminated.as_ref()?.reason.as_deref()
}

fn last_end(container: &ContainerStatus) -> String {
    let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.map_or_else(String::new, |ended| {
        format!(", last after {} (exit code {})", ended.reason.as_deref().unwrap_or("its end"), ended.exit_code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pods(namespace: &str, found: &[Arc<Pod>]) -> Vec<Line> {
        super::pods(namespace, found, &PodEvents::default(), "2026-01-01T00:01:00Z".parse().expect("a time"))
    }

    fn pod(ready: bool, container: Value) -> Arc<Pod> {
        let ready = if ready { "True" } else { "False" };
        let ready = json!([{"type": "Ready", "lastTransitionTime": "2026-01-01T00:00:00Z", "status": ready}]);
        let mut status = json!({"name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().expect("an object").extend(container.as_object().expect("an object").clone());
        let status = json!({"conditions": ready, "containerStatuses": [status]});
        let pod = json!({"metadata": {"name": "demo-worker-1"}, "status": status});
        Arc::new(serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn pods_that_are_ready_are_one_line() {
        let lines = pods("shop", &[pod(true, json!({})), pod(true, json!({}))]);
        assert_eq!(lines, [Line::ok("pods", "2 are ready")]);
    }

    #[test]
    fn a_pod_that_is_not_ready_is_told_with_the_reason() {
        for (container, said) in [
            (json!({"state": {"running": {}}}), "container worker runs and its readiness probe fails"),
            (
                json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
                "container worker waits (ContainerCreating)",
            ),
        ] {
            let line = pods("shop", &[pod(false, container)]).remove(0);
            assert!(line.level == Level::Warning && line.message.contains(said), "{}", line.message);
            assert!(line.fix.expect("a fix").contains("kubectl -n shop logs demo-worker-1"));
        }
    }

    #[test]
    fn a_pod_that_stays_unready_is_an_error() {
        let unready = [pod(false, json!({"state": {"running": {}}}))];
        assert_eq!(
            super::pods("shop", &unready, &PodEvents::default(), "2026-01-01T00:04:00Z".parse().expect("a time"))[0]
                .level,
            Level::Error
        );
    }

    #[test]
    fn a_crash_is_an_error_and_a_pod_killed_for_its_memory_is_told_as_such() {
        let crash =
            pods("shop", &[pod(false, json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}))]).remove(0);
        assert_eq!(crash.level, Level::Error);
        let killed = json!({"restartCount": 4, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}});
        let killed = pods("shop", &[pod(true, killed)]).remove(0);
        assert_eq!(killed.message, "container worker was restarted 4 times, last after OOMKilled (exit code 137)");
        assert_eq!(killed.fix.as_deref(), Some("raise resources.limits.memory of worker"));
    }

    #[test]
    fn a_deployment_is_complete_or_a_warning() {
        let object = |ready: i32| {
            let status = json!({"replicas": 2, "readyReplicas": ready, "updatedReplicas": 2});
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
                "spec": {"replicas": 2}, "status": status});
            deployment("demo", Component::Api, &serde_json::from_value(object).expect("an object"))
        };
        assert_eq!(object(2), Line::ok("Deployment demo-api", "2 of 2 pods are ready"));
        assert_eq!(object(1).level, Level::Warning);
    }
}
