//! When a pipeline is Ready and what is wrong with it, for hand-made facts.

use super::{super::condition::ConditionStatus, *};
use crate::{
    build::names::Component,
    controller::{
        observe::pods::{Mail, Report},
        reason::Reason,
        status::{
            exposure::exposure,
            fixture::{Fixture, at, pods, report},
        },
    },
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::sync::Arc;

/// A minute after the status before was written, if a test has none.
const MINUTE: i64 = 60;

impl Fixture {
    fn redis_is_down(mut self) -> Self {
        self.scaling.queues =
            Err(Finding::with_default_fix(reason::NO_ANSWER, "Redis does not answer; signups go on, mails wait"));
        self
    }

    /// Ready with its reason, and the reason of Degraded if something is wrong.
    fn reported(&self, second: i64) -> (UntimedCondition, Option<Reason>) {
        let facts = self.facts();
        let (exposed, _) = exposure(facts.pipeline, facts.observed, facts.best_effort, at(second));
        let Readiness { ready, wrong, .. } =
            Readiness::new(&facts, &Conditions::new(&facts, exposed, at(second)), at(second));
        (ready, wrong.map(|finding| finding.reason))
    }

    /// Status and reason of Ready a minute after the status before.
    fn ready(&self) -> (ConditionStatus, Reason) {
        let (ready, _) = self.reported(MINUTE);
        (ready.status, ready.reason)
    }
}

const READY: (ConditionStatus, Reason) = (True, reason::AS_DESIRED);

#[test]
fn a_redis_that_is_down_is_what_is_wrong_and_ends_ready_with_the_workers() {
    assert_eq!(Fixture::healthy().reported(MINUTE).1, None);
    let mut fixture = Fixture::healthy().redis_is_down();
    assert_eq!(fixture.reported(MINUTE).1, Some(reason::NO_ANSWER));
    assert_eq!(fixture.ready(), READY, "the workers reach it, so mails are sent");
    fixture.worker = pods(1, 0);
    fixture.reports = vec![report(Component::Api, Ok(())), report(Component::Worker, Err("Redis does not answer"))];
    let (ready, wrong) = fixture.reported(MINUTE);
    assert_eq!((ready.status, ready.reason, wrong), (False, reason::NO_ANSWER, Some(reason::NO_ANSWER)));
    assert!(ready.message.contains("signups go on, mails wait"), "{}", ready.message);
}

#[test]
fn a_postgresql_that_is_down_comes_before_redis() {
    let mut fixture = Fixture::healthy().redis_is_down();
    fixture.api = pods(2, 0);
    fixture.reports = vec![report(Component::Api, Err(&pipeline::Unready::Credentials.to_string()))];
    let (ready, wrong) = fixture.reported(MINUTE);
    assert_eq!((ready.reason, wrong), (reason::CREDENTIALS_REFUSED, Some(reason::CREDENTIALS_REFUSED)));
}

#[test]
fn a_mail_server_that_takes_nothing_ends_ready_and_is_what_is_wrong() {
    let mut fixture = Fixture::healthy();
    fixture.reports[1].mail = Some(Mail::Fails { phase: "auth".to_owned(), said: None, fault: None });
    assert_eq!(fixture.ready(), (False, reason::CREDENTIALS_REFUSED));
    assert_eq!(fixture.reported(MINUTE).1, Some(reason::CREDENTIALS_REFUSED));
    fixture.reports.push(Report { mail: Some(Mail::Works { connections: None }), ..report(Component::Worker, Ok(())) });
    assert_eq!((fixture.ready(), fixture.reported(MINUTE).1), (READY, None), "another worker's mails are taken");
}

#[test]
fn a_refused_configuration_is_wrong_and_one_that_spreads_is_not() {
    let mut fixture = Fixture::healthy();
    fixture.reports[0].hash = Some("0".to_owned());
    assert_eq!((fixture.ready(), fixture.reported(MINUTE).1), (READY, None));
    fixture.reports[0].refused = Some("why".to_owned());
    assert_eq!((fixture.ready(), fixture.reported(MINUTE).1), (READY, Some(reason::CONFIG_REFUSED)));
}

#[test]
fn a_worker_that_wakes_up_from_zero_does_not_end_ready_until_it_is_late() {
    let mut fixture = Fixture::healthy().autoscaling(AutoscalingMode::Auto, 0).was(&[kind::READY]);
    fixture.worker = pods(0, 0);
    assert_eq!(fixture.ready(), READY, "nothing is due");
    fixture.worker = pods(1, 0);
    assert_eq!(fixture.ready(), READY, "it was asked for right now");
    fixture = fixture.was(&[kind::READY, kind::RECONCILING]);
    let late = i64::try_from(START_TIMEOUT.as_secs()).expect("it is short");
    for (second, status) in [(late - 1, True), (late, False)] {
        assert_eq!(fixture.reported(second).0.status, status, "after {second} s");
    }
    let crashing = json!({"name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    fixture.observed.pods = vec![pod(crashing)];
    assert_eq!(fixture.ready(), (False, reason::POD_CRASHING));
    fixture.observed.pods.clear();
    assert_eq!(fixture.redis_is_down().ready(), (False, reason::NO_ANSWER));
}

fn pod(container: Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": "demo-worker-1"}, "status": {"containerStatuses": [container]}});
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

#[test]
fn a_first_worker_is_waited_for() {
    let mut fixture = Fixture::healthy().autoscaling(AutoscalingMode::Auto, 0);
    fixture.worker = pods(1, 0);
    let (ready, _) = fixture.reported(MINUTE);
    assert_eq!((ready.status, ready.reason), (False, reason::ROLLING_OUT));
    assert!(ready.message.contains("signups are accepted and mails wait"), "{}", ready.message);
    fixture = fixture.autoscaling(AutoscalingMode::Auto, 1).was(&[kind::READY]);
    assert_eq!(fixture.ready(), (False, reason::ROLLING_OUT), "with a minimum there always is one");
}

#[test]
fn without_a_pod_of_the_api_or_a_worker_nothing_is_ready_unless_the_queue_decides() {
    let mut fixture = Fixture::healthy();
    (fixture.api, fixture.reports) = (pods(0, 0), Vec::new());
    assert_eq!(fixture.ready(), (False, reason::NO_PODS_WANTED));
    for (mode, expected) in [
        (AutoscalingMode::Off, (False, reason::NO_PODS_WANTED)),
        (AutoscalingMode::DryRun, (False, reason::NO_PODS_WANTED)),
        (AutoscalingMode::External, READY),
    ] {
        let mut fixture = Fixture::healthy().autoscaling(mode, 0);
        fixture.worker = pods(0, 0);
        assert_eq!(fixture.ready(), expected, "{mode:?}");
    }
}
