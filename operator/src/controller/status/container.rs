//! Why a container does not run.
//!
//! Takes: the status of a container as the kubelet writes it, of whatever kind (init, sidecar, those that others add).
//! Gives: a finding, also for reasons that nobody here has heard of, by their own words. Pure: the time is a parameter.
//! Does not: read logs.
//!
//! A container that ends again and again counts as one trouble until it has run for [`CALM`]: in between it runs, and
//! may even be ready.

use crate::controller::reason::{self, Finding};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerStateTerminated, ContainerStateWaiting, ContainerStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use std::time::Duration;

/// After so long without an end the kubelet forgets its back-off (Kubernetes, "Pod Lifecycle", restart back-off).
pub(super) const CALM: Duration = Duration::from_secs(600);

/// What every container waits for at its start.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A container, with what is known of it beside its status.
pub(super) struct Container<'a> {
    /// Name of its pod.
    pub(super) pod: &'a str,
    /// As the kubelet has it.
    pub(super) status: &'a ContainerStatus,
    /// Its limit of memory, as the pod has it.
    pub(super) memory: Option<String>,
    /// It comes before the others, which start when it has ended well; a sidecar is one that does not end.
    pub(super) is_init: bool,
}

impl Container<'_> {
    /// What keeps it from running.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<Finding> {
        if let Some(ended) = self.ends_again_and_again(now) {
            return Some(self.crash(ended));
        }
        let waiting = self.status.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| !STARTING.contains(reason))?;
        Some(self.waits(reason, waiting))
    }

    /// Whether it waits for its first start, as every container does.
    pub(super) fn is_starting(&self) -> bool {
        let waiting = self.status.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref().is_none_or(|reason| STARTING.contains(&reason)))
    }

    /// Its last end, if it is one of several in a row; the inner `None`: nobody knows how it ended.
    pub(super) fn ends_again_and_again(&self, now: Timestamp) -> Option<Option<&ContainerStateTerminated>> {
        let (state, restarts) = (self.status.state.as_ref()?, self.status.restart_count);
        let last = self.status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        if state.waiting.as_ref().is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff")) {
            return Some(last);
        }
        if let Some(ended) = state.terminated.as_ref().filter(|_| restarts > 0) {
            // It failed before, or its pod was set up anew, and now its work is done.
            let is_done = self.is_init && ended.exit_code == 0;
            return (!is_done && was_short(ended)).then_some(Some(ended));
        }
        let started = state.running.as_ref()?.started_at.as_ref()?;
        let is_young = now.duration_since(started.0).unsigned_abs() < CALM;
        (restarts > 1 && is_young && last.is_some_and(was_short)).then_some(last)
    }

    fn crash(&self, ended: Option<&ContainerStateTerminated>) -> Finding {
        let (name, pod) = (&self.status.name, self.pod);
        if ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled")) {
            let limit = self.memory.as_ref().map(|memory| format!(" of {memory}")).unwrap_or_default();
            let problem =
                format!("container {name} of pod {pod} is killed again and again at its limit{limit} of memory");
            return Finding::new(reason::POD_CRASHING, problem, format!("raise {}", memory_field(name)));
        }
        let how = ended.map(|ended| format!(": {}", words(ended))).unwrap_or_default();
        let problem = format!("container {name} of pod {pod} ends again and again{how}");
        Finding::new(reason::POD_CRASHING, problem, format!("read why with `kubectl logs {pod} -c {name} --previous`"))
    }

    fn waits(&self, reason: &str, waiting: &ContainerStateWaiting) -> Finding {
        let ContainerStatus { name, image, .. } = self.status;
        let said = waiting.message.as_deref().unwrap_or_default().trim_end_matches('.');
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let pod = self.pod;
        let about_image = |fix: &str| {
            let problem = format!("pod {pod} cannot fetch the image {image}{said} ({reason}, container {name})");
            Finding::new(reason::IMAGE_PULL_FAILED, problem, fix)
        };
        match reason {
            "InvalidImageName" => {
                let problem =
                    format!("the image {image} of container {name} of pod {pod} is no name of an image{said}");
                Finding::with_default_fix(reason::IMAGE_NAME_INVALID, problem)
            }
            "ErrImageNeverPull" => about_image(
                "bring it to the node, or set spec.imagePullPolicy to IfNotPresent so that the node fetches it",
            ),
            "ImageInspectError" => about_image("remove that image from the node, so that it is fetched anew"),
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "SignatureValidationFailed" => {
                about_image(reason::IMAGE_PULL_FAILED.fix().unwrap_or("none"))
            }
            "CreateContainerConfigError" => {
                let problem = format!("container {name} of pod {pod} is not made ({reason}){said}");
                let fix = "make the Secret, ConfigMap or key that it names, or correct what names it in the pod";
                Finding::new(reason::POD_NOT_STARTED, problem, fix)
            }
            _ => {
                let problem = format!("container {name} of pod {pod} is not started ({reason}){said}");
                Finding::new(reason::POD_NOT_STARTED, problem, format!("see `kubectl describe pod {pod}`"))
            }
        }
    }
}

/// Whether a run ended before it counted as a good one; unknown times count as short.
fn was_short(ended: &ContainerStateTerminated) -> bool {
    let time = |at: &Option<Time>| at.as_ref().map(|at| at.0);
    match (time(&ended.started_at), time(&ended.finished_at)) {
        (Some(started), Some(finished)) => finished.duration_since(started).unsigned_abs() < CALM,
        _ => true,
    }
}

fn memory_field(container: &str) -> String {
    match container {
        "api" | "worker" => format!("spec.{container}.resources.limits.memory"),
        _ => format!("the limit of memory of container {container}, where it is added"),
    }
}

/// How a run ended. 1 and 2 are those of `api` and `worker` (lifecycle/src/exit.rs, clap); 128 and above the shell's.
fn words(ended: &ContainerStateTerminated) -> String {
    let code = ended.exit_code;
    let meaning = match (ended.reason.as_deref(), code) {
        (Some(reason @ ("StartError" | "ContainerCannotRun")), _) => {
            let said = ended.message.as_deref().unwrap_or_default().trim_end_matches('.');
            return format!("it cannot be run ({reason}): {said}");
        }
        (_, 0) => "it ends by itself, without an error",
        (_, 1) => "it cannot work, and the last line of its log says why",
        (_, 2) => "it does not know one of its arguments: its image is of another version than the operator",
        (_, 101) => "it panicked, which is a bug",
        (_, 137) => "it was killed: by its liveness probe, or by somebody on the node",
        (_, 139) => "it touched memory that is not its own",
        (_, 143) => "it was told to stop",
        _ => return format!("exit code {code} ({})", ended.reason.as_deref().unwrap_or("no reason is given")),
    };
    format!("exit code {code}, {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-01-01T01:00:00Z";

    fn trouble(status: Value) -> Option<Finding> {
        let mut all = json!({"name": "api", "image": "signup:test", "imageID": "", "ready": false, "restartCount": 0});
        all.as_object_mut().expect("an object").extend(status.as_object().expect("an object").clone());
        let status: ContainerStatus = serde_json::from_value(all).expect("a status");
        let container =
            Container { pod: "demo-api-1", status: &status, memory: Some("256Mi".to_owned()), is_init: false };
        container.trouble(NOW.parse().expect("a time"))
    }

    fn waiting(reason: &str) -> Value {
        json!({"state": {"waiting": {"reason": reason, "message": "why."}}})
    }

    #[test]
    fn every_reason_to_wait_that_the_kubelet_has_is_told_and_a_new_one_by_its_own_words() {
        for (reason, expected, fix) in [
            ("ErrImagePull", reason::IMAGE_PULL_FAILED, "imagePullSecrets"),
            ("ImagePullBackOff", reason::IMAGE_PULL_FAILED, "correct spec.image"),
            ("RegistryUnavailable", reason::IMAGE_PULL_FAILED, "correct spec.image"),
            ("ErrImageNeverPull", reason::IMAGE_PULL_FAILED, "spec.imagePullPolicy"),
            ("ImageInspectError", reason::IMAGE_PULL_FAILED, "remove that image from the node"),
            ("InvalidImageName", reason::IMAGE_NAME_INVALID, "spec.image"),
            ("CreateContainerConfigError", reason::POD_NOT_STARTED, "make the Secret"),
            ("CreateContainerError", reason::POD_NOT_STARTED, "kubectl describe pod demo-api-1"),
            ("RunContainerError", reason::POD_NOT_STARTED, "kubectl describe pod demo-api-1"),
            ("PostStartHookError", reason::POD_NOT_STARTED, "kubectl describe pod demo-api-1"),
            ("SomethingNew", reason::POD_NOT_STARTED, "kubectl describe pod demo-api-1"),
        ] {
            let told = trouble(waiting(reason)).expect("it is told");
            assert_eq!(told.reason, expected, "{reason}");
            let named = ["demo-api-1", "api", "why", fix].iter().all(|word| told.message.contains(word));
            assert!(named, "{}", told.message);
            assert!(told.message.contains(reason) || reason == "InvalidImageName", "{}", told.message);
        }
        for reason in STARTING {
            assert_eq!(trouble(waiting(reason)), None, "{reason}");
        }
    }

    fn ended(reason: &str, code: i32) -> Value {
        json!({"terminated": {"reason": reason, "exitCode": code, "startedAt": "2026-01-01T00:58:00Z",
            "finishedAt": "2026-01-01T00:58:10Z"}})
    }

    #[test]
    fn the_end_of_a_container_is_told_in_words() {
        for (reason, code, said) in [
            (
                "OOMKilled",
                137,
                "is killed again and again at its limit of 256Mi of memory. Fix: raise spec.api.resources",
            ),
            ("Error", 1, "exit code 1, it cannot work, and the last line of its log says why. Fix: read why"),
            ("Error", 2, "its image is of another version"),
            ("Error", 137, "it was killed: by its liveness probe"),
            ("Error", 42, "exit code 42 (Error)"),
            ("Completed", 0, "it ends by itself"),
            ("StartError", 128, "it cannot be run (StartError)"),
        ] {
            let mut crash = waiting("CrashLoopBackOff");
            crash["lastState"] = ended(reason, code);
            let told = trouble(crash).expect("it is told");
            assert_eq!(told.reason, reason::POD_CRASHING);
            assert!(told.message.contains(said), "{}", told.message);
        }
    }

    /// Between two ends it runs, and a condition that says so each time is no use to anybody.
    #[test]
    fn a_loop_is_one_trouble_until_the_container_has_run_well_for_a_while() {
        let at = |state: Value, last: Value, restarts: i32| {
            trouble(json!({"state": state, "lastState": last, "restartCount": restarts})).is_some()
        };
        let running = |started: &str| json!({"running": {"startedAt": started}});
        let (end, none) = (ended("Error", 1), json!({}));
        assert!(!at(end.clone(), none.clone(), 0), "an end is no loop");
        assert!(!at(running("2026-01-01T00:58:11Z"), end.clone(), 1), "nor is one restart");
        assert!(at(end.clone(), end.clone(), 1), "a second end is one");
        assert!(at(running("2026-01-01T00:58:11Z"), end.clone(), 2));
        assert!(at(running("2026-01-01T00:50:01Z"), end.clone(), 2));
        assert!(!at(running("2026-01-01T00:50:00Z"), end.clone(), 2), "it has run well");
        let mut long = end;
        long["terminated"]["startedAt"] = json!("2026-01-01T00:00:00Z");
        assert!(!at(running("2026-01-01T00:58:11Z"), long, 9), "it ended after it had run well");
    }
}
