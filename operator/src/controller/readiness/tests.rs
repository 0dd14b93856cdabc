//! When a pipeline is Ready and what is wrong with it, for hand-made facts.

use super::{
    super::{
        case::{Case, at, pods, report},
        reason::Reason,
    },
    *,
};
use crate::{
    build::names::Part,
    controller::pods::{Mail, Report},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::sync::Arc;

/// A minute after the status before was written, if a test has none.
const MINUTE: i64 = 60;

impl Case {
    fn redis_is_down(mut self) -> Self {
        self.scaling.queues =
            Err(Finding::usual(reason::NO_ANSWER, "Redis does not answer; signups go on, mails wait"));
        self
    }

    /// Ready with its reason, and the reason of Degraded if something is wrong.
    fn told(&self, second: i64) -> (Draft, Option<Reason>) {
        let facts = self.facts();
        let wrong = wrong(&facts);
        (ready(&facts, wrong.as_ref(), at(second)), wrong.map(|finding| finding.reason))
    }

    /// Status and reason of Ready a minute after the status before.
    fn ready(&self) -> (Holds, Reason) {
        let (ready, _) = self.told(MINUTE);
        (ready.holds, ready.reason)
    }
}

const READY: (Holds, Reason) = (Holds::True, reason::AS_DESIRED);

#[test]
fn a_redis_that_is_down_is_what_is_wrong_and_ends_ready_with_the_workers() {
    assert_eq!(Case::works().told(MINUTE).1, None);
    let mut case = Case::works().redis_is_down();
    assert_eq!(case.told(MINUTE).1, Some(reason::NO_ANSWER));
    assert_eq!(case.ready(), READY, "the workers reach it, so mails are sent");
    case.worker = pods(1, 0);
    case.reports = vec![report(Part::Api, Ok(())), report(Part::Worker, Err("Redis does not answer"))];
    let (ready, wrong) = case.told(MINUTE);
    assert_eq!((ready.holds, ready.reason, wrong), (Holds::False, reason::NO_ANSWER, Some(reason::NO_ANSWER)));
    assert!(ready.message.contains("signups go on, mails wait"), "{}", ready.message);
}

#[test]
fn a_postgresql_that_is_down_comes_before_redis() {
    let mut case = Case::works().redis_is_down();
    case.api = pods(2, 0);
    case.reports = vec![report(Part::Api, Err(&pipeline::Unready::Credentials.to_string()))];
    let (ready, wrong) = case.told(MINUTE);
    assert_eq!((ready.reason, wrong), (reason::CREDENTIALS_REFUSED, Some(reason::CREDENTIALS_REFUSED)));
}

#[test]
fn a_mail_server_that_takes_nothing_ends_ready_and_is_what_is_wrong() {
    let mut case = Case::works();
    case.reports[1].mail = Some(Mail::Fails("auth".to_owned()));
    assert_eq!(case.ready(), (Holds::False, reason::CREDENTIALS_REFUSED));
    assert_eq!(case.told(MINUTE).1, Some(reason::CREDENTIALS_REFUSED));
    case.reports.push(Report { mail: Some(Mail::Works), ..report(Part::Worker, Ok(())) });
    assert_eq!((case.ready(), case.told(MINUTE).1), (READY, None), "another worker's mails are taken");
}

#[test]
fn a_refused_configuration_is_wrong_and_one_that_spreads_is_not() {
    let mut case = Case::works();
    case.reports[0].hash = Some("0".to_owned());
    assert_eq!((case.ready(), case.told(MINUTE).1), (READY, None));
    case.reports[0].refused = Some("why".to_owned());
    assert_eq!((case.ready(), case.told(MINUTE).1), (READY, Some(reason::CONFIG_REFUSED)));
}

#[test]
fn a_worker_that_wakes_up_from_zero_does_not_end_ready_until_it_is_late() {
    let mut case = Case::works().autoscaling(AutoscalingMode::Auto, 0).was(&[kind::READY]);
    case.worker = pods(0, 0);
    assert_eq!(case.ready(), READY, "nothing is due");
    case.worker = pods(1, 0);
    assert_eq!(case.ready(), READY, "it was asked for right now");
    case = case.was(&[kind::READY, kind::PROGRESSING]);
    let late = i64::try_from(PATIENCE.as_secs()).expect("it is short");
    for (second, holds) in [(late - 1, Holds::True), (late, Holds::False)] {
        assert_eq!(case.told(second).0.holds, holds, "after {second} s");
    }
    let crashing = json!({"name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    case.observed.pods = vec![pod(crashing)];
    assert_eq!(case.ready(), (Holds::False, reason::POD_CRASHING));
    case.observed.pods.clear();
    assert_eq!(case.redis_is_down().ready(), (Holds::False, reason::NO_ANSWER));
}

fn pod(container: Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": "demo-worker-1"}, "status": {"containerStatuses": [container]}});
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

#[test]
fn a_first_worker_is_waited_for() {
    let mut case = Case::works().autoscaling(AutoscalingMode::Auto, 0);
    case.worker = pods(1, 0);
    let (ready, _) = case.told(MINUTE);
    assert_eq!((ready.holds, ready.reason), (Holds::False, reason::ROLLING_OUT));
    assert!(ready.message.contains("signups are accepted and mails wait"), "{}", ready.message);
    case = case.autoscaling(AutoscalingMode::Auto, 1).was(&[kind::READY]);
    assert_eq!(case.ready(), (Holds::False, reason::ROLLING_OUT), "with a minimum there always is one");
}

#[test]
fn without_a_pod_of_the_api_or_a_worker_nothing_is_ready_unless_the_queue_decides() {
    let mut case = Case::works();
    (case.api, case.reports) = (pods(0, 0), Vec::new());
    assert_eq!(case.ready(), (Holds::False, reason::NO_PODS_WANTED));
    for (mode, expected) in [
        (AutoscalingMode::Off, (Holds::False, reason::NO_PODS_WANTED)),
        (AutoscalingMode::DryRun, (Holds::False, reason::NO_PODS_WANTED)),
        (AutoscalingMode::External, READY),
    ] {
        let mut case = Case::works().autoscaling(mode, 0);
        case.worker = pods(0, 0);
        assert_eq!(case.ready(), expected, "{mode:?}");
    }
}
