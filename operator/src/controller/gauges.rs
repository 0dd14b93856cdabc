//! Gauges of each pipeline, made when somebody scrapes.
//!
//! Takes: what each evaluation came to. Gives: lines of Prometheus' text format (version 0.0.4), as long as the
//! pipeline is evaluated here. Does not: keep a series of a pipeline that is gone, or do anything while nobody scrapes.
//! A fleet has as many series as pipelines, so they can be left out.

use super::scale::Scaling;
use crate::{crd::SignupPipeline, scaling::Gap};
use jiff::Timestamp;
use kube::ResourceExt;
use parking_lot::Mutex;
use queue::QueueState;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
};

/// Namespace, name and uid: one that is made again is another.
type Key = (String, String, String);

/// The newest of each pipeline.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<BTreeMap<Key, Arc<Scaling>>>);

/// A pipeline's part in them, until it is dropped.
pub(super) struct Entry {
    gauges: Arc<Gauges>,
    key: Key,
}

impl Entry {
    pub(super) fn new(gauges: &Arc<Gauges>, pipeline: &SignupPipeline) -> Self {
        let key = (pipeline.namespace().unwrap_or_default(), pipeline.name_any(), pipeline.uid().unwrap_or_default());
        Self { gauges: Arc::clone(gauges), key }
    }

    pub(super) fn set(&self, scaling: &Arc<Scaling>) {
        self.gauges.0.lock().insert(self.key.clone(), Arc::clone(scaling));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.gauges.0.lock().remove(&self.key);
    }
}

impl Gauges {
    /// All of them, in text.
    pub fn render(&self) -> String {
        let (pipelines, now) = (self.0.lock().clone(), Timestamp::now());
        let mut text = Text::default();
        let is = |it: bool| Some(f64::from(u8::from(it)));
        text.each(&pipelines, "signup_operator_redis_up", "Whether Redis answers the operator.", |scaling| {
            is(scaling.queues.is_ok())
        });
        let help = "Whether Redis has not answered for fallback.after.";
        text.each(&pipelines, "signup_operator_fallback_active", help, |scaling| {
            is(scaling.gap() == Some(Gap::Fallback))
        });
        let help = "Whether Redis does not tell of changes, so that it is polled.";
        text.each(&pipelines, "signup_operator_redis_polled", help, |scaling| is(scaling.untracked.is_some()));
        text.queues(&pipelines, now);
        text.each(&pipelines, "signup_operator_workers_desired", "Workers wanted.", |scaling| {
            Some(scaling.decision.as_ref()?.desired.into())
        });
        let help = "Workers that the queues alone ask for.";
        text.each(&pipelines, "signup_operator_workers_recommended", help, |scaling| {
            Some(scaling.decision.as_ref()?.recommended.into())
        });
        let help = "Workers that are too many and finish their mails.";
        text.each(&pipelines, "signup_operator_workers_leaving", help, |scaling| Some(scaling.leaving.into()));
        text.learnt(&pipelines);
        text.family("signup_operator_workers_limited", "1 for what keeps workers away that the work asks for.");
        for (of, scaling) in &pipelines {
            scaling.limited.iter().for_each(|limit| text.line(of, &[("by", limit.name())], 1.0));
        }
        text.text
    }
}

fn queues(pipelines: &BTreeMap<Key, Arc<Scaling>>) -> impl Iterator<Item = (&Key, &str, &QueueState)> {
    pipelines.iter().flat_map(|(key, scaling)| {
        let queues = scaling.queues.iter().flatten();
        queues.map(move |(name, state)| (key, name.as_str(), state))
    })
}

fn states(state: &QueueState) -> [(&'static str, u64); 5] {
    let QueueState { pending, active, scheduled, retry, archived, .. } = *state;
    [("pending", pending), ("active", active), ("scheduled", scheduled), ("retry", retry), ("archived", archived)]
}

/// Lines so far, and the name of the family that is written.
#[derive(Default)]
struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    fn family(&mut self, name: &'static str, help: &str) {
        self.family = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    /// One number of each pipeline that has it.
    fn each(
        &mut self,
        pipelines: &BTreeMap<Key, Arc<Scaling>>,
        name: &'static str,
        help: &str,
        value: impl Fn(&Scaling) -> Option<f64>,
    ) {
        self.family(name, help);
        for (of, scaling) in pipelines {
            value(scaling).iter().for_each(|value| self.line(of, &[], *value));
        }
    }

    fn queues(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>, now: Timestamp) {
        self.family("signup_operator_queue_tasks", "Tasks of a queue by state, as asynq's tools name them.");
        for (of, queue, state) in queues(pipelines) {
            for (name, tasks) in states(state) {
                self.line(of, &[("queue", queue), ("state", name)], tasks as f64);
            }
        }
        self.family("signup_operator_queue_oldest_age_seconds", "How long the task that runs next has waited.");
        for (of, queue, state) in queues(pipelines) {
            let age = state.oldest_pending_since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
            self.line(of, &[("queue", queue)], age);
        }
    }

    /// What the decisions go by.
    fn learnt(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>) {
        let terms = || {
            let decided =
                pipelines.iter().filter_map(|(of, scaling)| Some((of, scaling.decision.as_ref()?.terms.as_ref()?)));
            decided.flat_map(|(of, terms)| terms.queues.iter().map(move |queue| (of, &queue.depth)))
        };
        self.family("signup_operator_queue_arrivals_per_second", "Tasks that become ready to run.");
        for (of, depth) in terms() {
            self.line(of, &[("queue", &depth.name)], depth.learnt.arrivals_per_s);
        }
        self.family("signup_operator_queue_service_seconds", "What one attempt takes, once that is known.");
        for (of, depth) in terms() {
            depth.learnt.service_s.iter().for_each(|service| self.line(of, &[("queue", &depth.name)], *service));
        }
    }

    /// Names of Kubernetes and of queues, as the schema takes them, have nothing that a label would need escaped.
    fn line(&mut self, (namespace, name, _): &Key, labels: &[(&str, &str)], value: f64) {
        let family = self.family;
        self.write(format_args!("{family}{{namespace=\"{namespace}\",name=\"{name}\""));
        for (label, text) in labels {
            self.write(format_args!(",{label}=\"{text}\""));
        }
        self.write(format_args!("}} {value}\n"));
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::LimitedBy;

    #[test]
    fn a_pipeline_is_told_until_it_is_gone() {
        let gauges = Arc::new(Gauges::default());
        let state = QueueState { pending: 3, active: 2, archived: 1, ..QueueState::default() };
        let queues = Ok(vec![("critical".to_owned(), state)]);
        let scaling = Arc::new(Scaling { queues, limited: Some(LimitedBy::MaxReplicas), ..Scaling::not_known() });
        let entries = ["1", "2"].map(|uid| {
            let text = include_str!("../../../samples/minimal.yaml");
            let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
            let metadata = &mut pipeline.metadata;
            (metadata.namespace, metadata.name) = (Some("shop".to_owned()), Some("demo".to_owned()));
            metadata.uid = Some(uid.to_owned());
            Entry::new(&gauges, &pipeline)
        });
        entries[1].set(&scaling);
        let [old, new] = entries;
        drop(old);
        let told = gauges.render();
        for line in [
            "# TYPE signup_operator_queue_tasks gauge",
            r#"signup_operator_queue_tasks{namespace="shop",name="demo",queue="critical",state="pending"} 3"#,
            r#"signup_operator_queue_oldest_age_seconds{namespace="shop",name="demo",queue="critical"} 0"#,
            r#"signup_operator_workers_limited{namespace="shop",name="demo",by="maxReplicas"} 1"#,
            r#"signup_operator_redis_up{namespace="shop",name="demo"} 1"#,
        ] {
            assert!(told.lines().any(|found| found == line), "{line} in\n{told}");
        }
        drop(new);
        assert!(!gauges.render().contains("demo"), "it is gone");
    }
}
