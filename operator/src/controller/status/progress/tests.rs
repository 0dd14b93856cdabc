//! What tools that wait are told in each state of an edit, for hand-made facts; and the states as they are written,
//! kept in tests/golden/statuses.json, which the tools' own code judges (tests/apiserver/gitops.rs).

use super::{
    super::{
        fixture::{Fixture, at, pods, report},
        status,
    },
    *,
};
use crate::{
    build::names::Component,
    controller::{observe::pods::Mail, reason::Reason},
};
use serde_json::{Map, Value, json};
use std::{env, fs, path::Path, sync::Arc};

const DEADLINE: i64 = 600;

/// What a step of a story finds.
#[derive(Clone, Default)]
struct Found {
    findings: Vec<Finding>,
    held_back: bool,
}

/// One pipeline through time: each step is judged with the status of the step before.
struct Story {
    fixture: Fixture,
    found: Found,
}

impl Story {
    fn new() -> Self {
        let mut fixture = Fixture::healthy();
        fixture.pipeline.metadata.name = Some("demo".to_owned());
        Self { fixture, found: Found::default() }
    }

    /// A pipeline whose first generation was carried out at second 0.
    fn ready() -> Self {
        let mut story = Self::new();
        story.at(0);
        story
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Fixture)) -> &mut Self {
        *self.fixture.pipeline.metadata.generation.as_mut().expect("it has one") += 1;
        edit(&mut self.fixture);
        self
    }

    fn then(&mut self, change: impl FnOnce(&mut Fixture)) -> &mut Self {
        change(&mut self.fixture);
        self
    }

    fn lacks(&mut self, reason: Reason, problem: &str) -> &mut Self {
        self.found.findings = vec![Finding::with_default_fix(reason, problem)];
        self
    }

    fn at(&mut self, second: i64) -> &mut Self {
        let facts = Facts { findings: &self.found.findings, held_back: self.found.held_back, ..self.fixture.facts() };
        self.fixture.pipeline.status = Some(status(&facts, at(second)));
        self
    }

    fn told(&self, kind: &str) -> (&str, &str) {
        let status = self.fixture.pipeline.status.as_ref().expect("a step was judged");
        let told = status.conditions.iter().find(|condition| condition.type_ == kind).expect("it is told");
        (&told.status, &told.reason)
    }

    /// Ready, Reconciling and Stalled, with the reason of Reconciling.
    fn state(&self) -> (&str, &str, &str, &str) {
        let (reconciling, reason) = self.told(kind::RECONCILING);
        (self.told(kind::READY).0, reconciling, self.told(kind::STALLED).0, reason)
    }

    fn object(&self) -> Value {
        let mut object = serde_json::to_value(&self.fixture.pipeline).expect("it has a JSON form");
        object.as_object_mut().expect("an object").remove("spec");
        object
    }
}

fn rolling(fixture: &mut Fixture) {
    fixture.api.is_complete = false;
}

fn arrived(fixture: &mut Fixture) {
    (fixture.api, fixture.worker) = (pods(2, 2), pods(1, 1));
    fixture.observed.pods.clear();
}

fn unpullable(fixture: &mut Fixture) {
    rolling(fixture);
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}});
    let container = json!({"name": "api", "image": "signup:nowhere", "imageID": "", "ready": false, "restartCount": 0,
        "state": waiting});
    let pod = json!({"metadata": {"name": "demo-api-2"}, "status": {"containerStatuses": [container]}});
    fixture.observed.pods = vec![Arc::new(serde_json::from_value(pod).expect("a pod"))];
}

const MISSING: (Reason, &str) = (reason::SECRET_MISSING, "Secret app-db, named by spec.database.secretRef, is missing");

#[test]
fn an_edit_is_unknown_until_its_pods_serve_and_then_stays_carried_out_whatever_happens_to_them() {
    let mut story = Story::ready();
    assert_eq!(story.state(), ("True", "False", "False", "AsDesired"));
    story.edit(rolling).at(10);
    assert_eq!(story.state(), ("Unknown", "True", "False", "RollingOut"), "older pods serve");
    assert_eq!(story.told(kind::READY), ("Unknown", "RollingOut"));
    story.then(arrived).at(20);
    assert_eq!(story.state(), ("True", "False", "False", "AsDesired"));
    story.then(rolling).at(30);
    assert_eq!(story.state(), ("True", "True", "False", "RollingOut"), "a pod of it is replaced");
}

#[test]
fn a_configuration_on_its_way_is_an_edit_on_its_way() {
    let mut story = Story::ready();
    story.edit(|fixture| fixture.reports[0].hash = Some("0".to_owned())).at(10);
    assert_eq!(story.state(), ("Unknown", "True", "False", "Spreading"));
    story.then(|fixture| fixture.reports[0] = report(Component::Api, Ok(()))).at(12);
    assert_eq!(story.state(), ("True", "False", "False", "AsDesired"));
}

#[test]
fn a_configuration_that_new_pods_refuse_needs_an_edit_at_once_and_one_that_old_pods_refuse_does_not() {
    let mut story = Story::ready();
    story.edit(|fixture| fixture.reports[0].refused = Some("unknown field".to_owned())).then(rolling).at(10);
    assert_eq!(story.state(), ("Unknown", "True", "False", "RollingOut"));
    story.then(arrived).at(11);
    assert_eq!(story.state(), ("False", "False", "True", "ConfigRefused"));
}

#[test]
fn what_others_may_bring_is_waited_for_until_the_deadline_and_counts_anew_once_it_came() {
    let mut story = Story::ready();
    story.edit(rolling).lacks(MISSING.0, MISSING.1).at(10);
    assert_eq!(story.state(), ("False", "True", "False", "SecretMissing"));
    story.at(10 + DEADLINE - 1);
    assert_eq!(story.state(), ("False", "True", "False", "SecretMissing"));
    story.at(10 + DEADLINE);
    assert_eq!(story.state(), ("False", "False", "True", "SecretMissing"));
    let words = story.fixture.pipeline.status.as_ref().expect("judged").conditions.clone();
    let words: Vec<String> = words.into_iter().take(4).map(|condition| condition.message).collect();
    assert!(words.iter().all(|told| *told == words[0]), "one cause, the same words: {words:?}");
    assert!(words[0].contains("edit 2 has waited for longer than 10m (spec.progressDeadline). Fix: "), "{}", words[0]);
    story.found.findings.clear();
    story.at(2000);
    assert_eq!(story.state(), ("Unknown", "True", "False", "RollingOut"), "the Secret came");
    story.at(2000 + DEADLINE);
    assert_eq!(story.state(), ("False", "False", "True", "ProgressDeadlineExceeded"));
    assert_eq!(story.told(kind::DEGRADED), ("True", "ProgressDeadlineExceeded"));
    story.then(arrived).at(3000);
    assert_eq!(story.state(), ("True", "False", "False", "AsDesired"), "a late arrival is one");
}

#[test]
fn another_edit_has_its_own_deadline() {
    let mut story = Story::ready();
    story.edit(unpullable).at(10).at(10 + DEADLINE);
    assert_eq!(story.state(), ("False", "False", "True", "ImagePullFailed"));
    story.edit(unpullable).at(20 + DEADLINE);
    assert_eq!(story.state(), ("Unknown", "True", "False", "ImagePullFailed"));
}

#[test]
fn what_only_an_edit_mends_is_told_at_once() {
    for reason in [reason::CONFIG_INVALID, reason::CHILD_REFUSED] {
        let mut story = Story::ready();
        story.edit(rolling).lacks(reason, "no").at(10);
        assert_eq!(story.state(), ("False", "False", "True", reason.name()));
    }
    let mut story = Story::ready();
    story.edit(|fixture| (fixture.api, fixture.reports) = (pods(0, 0), Vec::new())).at(10);
    assert_eq!(story.state(), ("False", "False", "True", "NoPodsWanted"));
}

#[test]
fn a_paused_pipeline_is_on_no_way_and_an_edit_that_it_holds_back_is_not_carried_out() {
    let mut story = Story::ready();
    story.edit(|fixture| fixture.pipeline.spec.paused = true).at(10);
    assert_eq!(story.state(), ("True", "False", "False", "PausedBySpec"));
    story.then(|fixture| fixture.worker = pods(2, 1)).at(20);
    assert_eq!(story.state(), ("True", "False", "False", "PausedBySpec"), "whatever its pods do");
    story.found.held_back = true;
    story.at(30);
    assert_eq!(story.state().2, "False", "an operator that would write other children is no edit");
    story.edit(|_| {}).at(40);
    assert_eq!(story.state(), ("False", "False", "True", "PausedBySpec"));
    story.found.held_back = false;
    story.edit(|fixture| fixture.pipeline.spec.paused = false).then(arrived).at(50);
    assert_eq!(story.state(), ("True", "False", "False", "AsDesired"));
}

#[test]
fn workers_that_the_queue_asks_for_again_and_again_are_not_overdue() {
    let mut story = Story::ready();
    story.then(|fixture| fixture.worker.is_complete = false).at(10);
    let scaled = |second| Some(Time(at(second)));
    let mut scaling = crate::crd::status::AutoscalingStatus { last_scale_time: scaled(500), ..Default::default() };
    story.fixture.pipeline.status.as_mut().expect("judged").autoscaling = Some(scaling.clone());
    story.at(10 + DEADLINE);
    assert_eq!(story.state(), ("True", "True", "False", "RollingOut"));
    scaling.last_scale_time = scaled(10);
    story.fixture.pipeline.status.as_mut().expect("judged").autoscaling = Some(scaling);
    story.at(10 + DEADLINE);
    assert_eq!(story.state(), ("True", "False", "True", "ProgressDeadlineExceeded"));
}

#[test]
fn the_next_look_is_when_the_deadline_passes() {
    let look = |story: &Story, second| {
        let status = story.fixture.pipeline.status.as_ref().expect("judged");
        next_look(status, Duration::from_secs(600), at(second)).map(|left| left.as_secs())
    };
    let mut story = Story::ready();
    assert_eq!(look(&story, 10), None);
    story.edit(rolling).at(10);
    assert_eq!((look(&story, 10), look(&story, 609), look(&story, 700)), (Some(600), Some(1), Some(1)));
    story.at(10 + DEADLINE);
    assert_eq!(look(&story, 700), None);
}

/// The states that the reference promises, as they are written.
fn states() -> Map<String, Value> {
    let mut states = Map::new();
    let mut keep = |name: &str, story: &Story| states.insert(name.to_owned(), story.object());
    let mut story = Story::new();
    story.fixture.pipeline.status = serde_json::from_value(json!({"observedGeneration": -1})).expect("a status");
    keep("not seen by any operator", &story);
    story.then(|fixture| (fixture.api, fixture.worker, fixture.reports) = (pods(2, 0), pods(1, 0), Vec::new())).at(0);
    keep("being made", &story);
    keep("ready", &Story::ready());
    keep("an edit that the operator has not seen", Story::ready().edit(rolling));
    keep("new image on its way", Story::ready().edit(rolling).at(10));
    let mut story = Story::ready();
    keep("image that is not there", story.edit(unpullable).at(10));
    keep("image that is not there, deadline passed", story.at(10 + DEADLINE));
    let mut story = Story::new();
    story.then(|fixture| (fixture.api, fixture.worker, fixture.reports) = (pods(2, 0), pods(1, 0), Vec::new()));
    keep("waiting for a Secret", story.lacks(MISSING.0, MISSING.1).at(0));
    keep("waiting for a Secret, deadline passed", story.at(DEADLINE));
    keep("refused, so that only an edit helps", Story::ready().edit(rolling).lacks(reason::CHILD_REFUSED, "no").at(10));
    let pause = |fixture: &mut Fixture| fixture.pipeline.spec.paused = true;
    let mut story = Story::ready();
    keep("paused", story.edit(pause).at(10));
    story.found.held_back = true;
    keep("paused with an edit that waits", story.edit(|_| {}).at(20));
    let mut story = Story::ready();
    story.fixture.reports[1].mail = Some(Mail::Fails { phase: "connect".to_owned(), said: None, fault: None });
    keep("carried out, and the mail server is down", story.at(10));
    let mut story = Story::ready();
    story.fixture.pipeline.metadata.deletion_timestamp = Some(Time(at(20)));
    keep("being deleted", &story);
    states
}

#[test]
fn the_states_that_tools_judge_are_those_that_are_written() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/statuses.json");
    let text = serde_json::to_string_pretty(&states()).expect("JSON") + "\n";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(golden == text, "tests/golden/statuses.json is not what the code gives: `make generate` writes it anew");
}

#[test]
fn never_are_reconciling_and_stalled_true_at_once() {
    for (name, state) in states() {
        let conditions = state["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is_true = |kind: &str| {
            let found = conditions.iter().find(|condition| condition["type"] == kind);
            found.is_some_and(|condition| condition["status"] == "True")
        };
        assert!(!(is_true(kind::RECONCILING) && is_true(kind::STALLED)), "{name}");
    }
}
