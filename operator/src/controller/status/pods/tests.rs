//! What is told of pods as the kubelet, the scheduler, the node controller and their Events leave them.

use super::{super::fixture::at, *};
use crate::controller::observe::pod_events::Told;
use serde_json::{Value, json};

/// A minute after the pods of these tests were made.
const NOW: i64 = 60;

fn pod(status: Value) -> Arc<Pod> {
    let metadata = json!({"name": "demo-api-1", "uid": "1", "creationTimestamp": "1970-01-01T00:00:00Z"});
    let limits = json!({"resources": {"limits": {"memory": "256Mi"}}, "name": "api"});
    let spec = json!({"nodeName": "node-1", "containers": [limits]});
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).expect("a pod"))
}

fn container(name: &str, state: Value) -> Value {
    json!({"name": name, "image": "signup:test", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "why"}})
}

fn warning(reason: &str, message: &str, container: Option<&str>) -> PodEvents {
    let container = container.map(str::to_owned);
    let told = Told { reason: reason.to_owned(), message: message.to_owned(), at: Some(at(NOW - 5)), container };
    PodEvents::told("1", vec![told])
}

fn trouble(status: Value, events: &PodEvents) -> Option<Finding> {
    pod_trouble(&[pod(status)], events, at(NOW))
}

fn reason_of(status: Value) -> Option<reason::Reason> {
    trouble(status, &PodEvents::default()).map(|finding| finding.reason)
}

#[test]
fn the_usual_troubles_of_pods_have_a_reason_each() {
    let waits = |reason: &str| reason_of(json!({"containerStatuses": [container("api", waiting(reason))]}));
    assert_eq!(waits("ImagePullBackOff"), Some(reason::IMAGE_PULL_FAILED));
    assert_eq!(waits("CrashLoopBackOff"), Some(reason::POD_CRASHING));
    assert_eq!(waits("CreateContainerConfigError"), Some(reason::POD_NOT_STARTED));
    assert_eq!(waits("ContainerCreating"), None);
    let unscheduled = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no nodes"}]});
    assert_eq!(reason_of(unscheduled), Some(reason::POD_UNSCHEDULABLE));
    assert_eq!(reason_of(json!({"phase": "Failed"})), None);
}

#[test]
fn init_containers_and_sidecars_are_containers_too() {
    let main = container("api", waiting("PodInitializing"));
    let status = json!({"initContainerStatuses": [container("proxy", waiting("ErrImagePull"))],
        "containerStatuses": [main]});
    let told = trouble(status, &PodEvents::default()).expect("it is told");
    assert_eq!(told.reason, reason::IMAGE_PULL_FAILED);
    assert!(told.message.contains("container proxy"), "{}", told.message);
    let status = json!({"containerStatuses": [container("added", waiting("SomethingNew"))]});
    assert_eq!(reason_of(status), Some(reason::POD_NOT_STARTED));
}

/// It failed before, as one does that waits for a server; and each is run anew when a node comes back.
#[test]
fn an_init_container_that_ended_well_after_a_second_try_is_no_loop() {
    let ended = |code: i32| {
        json!({"terminated": {"exitCode": code, "startedAt": "1970-01-01T00:00:10Z",
            "finishedAt": "1970-01-01T00:00:12Z"}})
    };
    let after_a_try = |name: &str, code: i32| {
        let mut container = container(name, ended(code));
        (container["restartCount"], container["lastState"]) = (json!(1), ended(1));
        container
    };
    let waits = container("api", waiting("PodInitializing"));
    let status = |code| json!({"initContainerStatuses": [after_a_try("wait", code)], "containerStatuses": [waits]});
    assert_eq!(reason_of(status(0)), None);
    assert_eq!(reason_of(status(1)), Some(reason::POD_CRASHING), "that one is tried again");
    let main = json!({"containerStatuses": [after_a_try("api", 0)]});
    assert_eq!(reason_of(main), Some(reason::POD_CRASHING), "no container of a service is to end");
}

#[test]
fn a_volume_that_cannot_be_mounted_is_told_by_the_event_after_a_while() {
    let creating = json!({"containerStatuses": [container("api", waiting("ContainerCreating"))]});
    let events = warning("FailedMount", "MountVolume.SetUp failed for volume \"keys\" : secret \"k\" not found.", None);
    let told = trouble(creating.clone(), &events).expect("it is told");
    assert_eq!(told.reason, reason::VOLUME_NOT_MOUNTED);
    assert!(told.message.contains("pod demo-api-1 cannot be mounted: MountVolume"), "{}", told.message);
    assert_eq!(pod_trouble(&[pod(creating.clone())], &events, at(9)), None, "9 s are no while");
    let sandbox = warning("FailedCreatePodSandBox", "the network is not there", None);
    let told = trouble(creating.clone(), &sandbox).expect("it is told");
    assert!(told.message.contains("(FailedCreatePodSandBox): the network is not there"), "{}", told.message);
    assert_eq!(trouble(creating, &warning("DNSConfigForming", "too many", None)), None);
}

#[test]
fn a_probe_that_fails_is_told_with_what_it_said_and_no_earlier_run_is() {
    let running = |started: &str| container("api", json!({"running": {"startedAt": started}}));
    let events = warning("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", Some("api"));
    let told = |started: &str, events: &PodEvents| {
        probe_trouble(&[pod(json!({"containerStatuses": [running(started)]}))], events, at(NOW))
    };
    let finding = told("1970-01-01T00:00:10Z", &events).expect("it is told");
    assert_eq!(finding.reason, reason::PROBE_FAILING);
    let words = "container api of pod demo-api-1 runs and is not ready: Readiness probe failed: HTTP probe failed with";
    assert!(finding.message.starts_with(words), "{}", finding.message);
    assert_eq!(told("1970-01-01T00:00:58Z", &events), None, "the event is of the run before");
    assert_eq!(told("1970-01-01T00:00:10Z", &warning("Unhealthy", "no", Some("proxy"))), None, "of another container");
}

#[test]
fn a_node_that_does_not_answer_is_told_with_its_name() {
    let conditions = json!([{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}]);
    let told = trouble(json!({"conditions": conditions}), &PodEvents::default()).expect("it is told");
    assert_eq!(told.reason, reason::NODE_GONE);
    assert!(told.message.starts_with("node node-1 of pod demo-api-1 does not answer"), "{}", told.message);
}

#[test]
fn the_limit_of_memory_is_the_pods() {
    let ended = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
    let mut killed = container("api", waiting("CrashLoopBackOff"));
    killed["lastState"] = ended;
    let told = trouble(json!({"containerStatuses": [killed]}), &PodEvents::default()).expect("it is told");
    assert!(told.message.contains("at its limit of 256Mi of memory"), "{}", told.message);
}

#[test]
fn what_a_pod_reports_between_two_ends_counts_for_nothing() {
    let mut running = container("api", json!({"running": {"startedAt": "1970-01-01T00:00:50Z"}}));
    running["restartCount"] = json!(4);
    running["lastState"] = json!({"terminated": {"reason": "Error", "exitCode": 1}});
    let pods = [pod(json!({"containerStatuses": [running]}))];
    let report = |name: &str| Report { pod: name.to_owned(), ..Report::default() };
    let kept = steady(vec![report("demo-api-1"), report("demo-api-2")], &pods, at(NOW));
    assert_eq!(kept, [report("demo-api-2")]);
    assert_eq!(calm(&pods, at(NOW)), Some(CALM - Duration::from_secs(10)));
    assert_eq!(calm(&pods, at(50 + 600)), None);
}
