//! Pipelines that the API server has and this operator cannot decode, as after an upgrade or a definition that was
//! loosened by hand.
//!
//! Takes: the events of the pipelines' watch. Gives: those of all others, and of such a pipeline what was known before:
//! nothing of it changes meanwhile. Says so once, in the log and by an event. Does not: let one object end the watch,
//! and so the work of all.

use super::{reason, recorder::Recorder};
use crate::crd::SignupPipeline;
use futures::{Stream, StreamExt, future::ready};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        events::{Event, EventType},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// The API server may never answer, and the watch goes on anyway.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

/// A pipeline, or what is known of one that cannot be decoded.
pub(crate) type Guarded = DeserializeGuard<SignupPipeline>;

/// The events of pipelines that can be decoded; `known` is what was seen of all before.
pub(super) fn decoded(
    events: impl Stream<Item = watcher::Result<watcher::Event<Guarded>>> + Send + 'static,
    known: Store<SignupPipeline>,
    recorder: Recorder,
) -> impl Stream<Item = watcher::Result<watcher::Event<SignupPipeline>>> + Send + 'static {
    let mut told = HashMap::new();
    events.filter_map(move |event| {
        let event = match event {
            Ok(event) => {
                let (event, invalid) = split(event, &known);
                if let Some(invalid) = invalid.filter(|invalid| is_news(&mut told, invalid)) {
                    tokio::spawn(tell(invalid, recorder.clone()));
                }
                event.map(Ok)
            }
            Err(error) => Some(Err(error)),
        };
        ready(event)
    })
}

type Split = (Option<watcher::Event<SignupPipeline>>, Option<InvalidObject>);

fn split(event: watcher::Event<Guarded>, known: &Store<SignupPipeline>) -> Split {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    match event {
        Init => (Some(Init), None),
        InitDone => (Some(InitDone), None),
        InitApply(DeserializeGuard(object)) => one(object, known, InitApply),
        Apply(DeserializeGuard(object)) => one(object, known, Apply),
        Delete(DeserializeGuard(object)) => (one(object, known, Delete).0, None),
    }
}

/// In the place of an object that cannot be decoded stands the same one as it was before.
fn one(
    object: Result<SignupPipeline, InvalidObject>,
    known: &Store<SignupPipeline>,
    event: impl Fn(SignupPipeline) -> watcher::Event<SignupPipeline>,
) -> Split {
    let invalid = match object {
        Ok(pipeline) => return (Some(event(pipeline)), None),
        Err(invalid) => invalid,
    };
    let name = ObjectRef::new(invalid.metadata.name.as_deref().unwrap_or_default());
    let name = name.within(invalid.metadata.namespace.as_deref().unwrap_or_default());
    let before = known.get(&name).filter(|before| before.metadata.uid == invalid.metadata.uid);
    (before.map(|before| event((*before).clone())), Some(invalid))
}

/// Each edit is told once.
fn is_news(told: &mut HashMap<Option<String>, Option<i64>>, invalid: &InvalidObject) -> bool {
    let generation = invalid.metadata.generation;
    told.insert(invalid.metadata.uid.clone(), generation) != Some(generation)
}

/// What is wrong, in one sentence.
pub(crate) fn problem(invalid: &InvalidObject) -> String {
    format!("this operator cannot read the pipeline, so nothing of it changes: {}", invalid.error)
}

/// What to do.
pub(crate) const FIX: &str = "correct that value of the pipeline, and bring operator and definition to one version \
    (`helm upgrade` with crd.install=true)";

async fn tell(invalid: InvalidObject, recorder: Recorder) {
    let problem = problem(&invalid);
    let pipeline: Guarded = DeserializeGuard(Err(invalid));
    let (name, namespace) = (pipeline.name_any(), pipeline.namespace());
    tracing::warn!(pipeline = name, namespace, problem, fix = FIX, "a pipeline is left as it is");
    let note = format!("{problem}. Fix: {FIX}.").chars().take(900).collect();
    let event = Event {
        type_: EventType::Warning,
        reason: reason::CONFIG_INVALID.name().to_owned(),
        note: Some(note),
        action: "Decode".to_owned(),
        secondary: None,
    };
    if !matches!(timeout(TELL_TIMEOUT, recorder.publish(&event, &pipeline.object_ref(&()))).await, Ok(Ok(()))) {
        tracing::warn!(pipeline = name, namespace, "an event could not be published");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::reflector::store;
    use serde_json::{Value, json};

    fn object(name: &str, mode: &str) -> Guarded {
        let text = include_str!("../../../samples/minimal.yaml");
        let pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        let mut object: Value = serde_json::to_value(pipeline).expect("JSON");
        object["metadata"] = json!({"name": name, "namespace": "app", "uid": name, "generation": 1});
        object["spec"]["worker"] = json!({"autoscaling": {"mode": mode}});
        serde_json::from_value(object).expect("its metadata is valid")
    }

    #[test]
    fn what_cannot_be_decoded_stays_as_it_was_and_the_others_go_on() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (known, mut writer) = store();
        let mut told = HashMap::new();
        let mut take = |event: watcher::Event<Guarded>| {
            let (event, invalid) = split(event, &known);
            event.iter().for_each(|event| writer.apply_watcher_event(event));
            let mut names: Vec<String> = known.state().iter().map(|pipeline| pipeline.name_any()).collect();
            names.sort();
            (names, invalid.is_some_and(|invalid| is_news(&mut told, &invalid)))
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        take(Init);
        assert!(take(InitApply(object("new", "Sometimes"))).1);
        take(InitApply(object("a", "Auto")));
        take(InitApply(object("b", "Auto")));
        assert_eq!(take(InitDone), (names(&["a", "b"]), false));
        assert_eq!(take(Apply(object("b", "Sometimes"))), (names(&["a", "b"]), true));
        take(Init);
        for name in ["new", "a", "b"] {
            assert!(!take(InitApply(object(name, if name == "a" { "Auto" } else { "Sometimes" }))).1, "{name}: once");
        }
        assert_eq!(take(InitDone).0, names(&["a", "b"]));
        assert_eq!(take(Delete(object("b", "Sometimes"))), (names(&["a"]), false));
    }
}
