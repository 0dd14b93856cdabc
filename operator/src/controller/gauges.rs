//! Gauges of each pipeline, made when somebody scrapes.
//!
//! Takes: what each evaluation came to. Gives: lines of Prometheus' text format (version 0.0.4), as long as the
//! pipeline is evaluated here. Does not: keep a series of a pipeline that is gone, or do anything while nobody scrapes.
//! A fleet has as many series as pipelines, so they can be left out.

mod text;

use self::text::Text;
use super::scale::Scaling;
use crate::{crd::SignupPipeline, scaling::Gap};
use jiff::Timestamp;
use kube::ResourceExt;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

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
        text.redis(&pipelines);
        text.queues(&pipelines, now);
        text.workers(&pipelines);
        text.learnt(&pipelines);
        text.family("signup_operator_workers_limited", "1 for what keeps workers away that the work asks for.");
        for (of, scaling) in &pipelines {
            scaling.limited.iter().for_each(|limit| text.line(of, &[("by", limit.name())], 1.0));
        }
        text.text()
    }
}

impl Text {
    fn redis(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>) {
        let is = |it: bool| Some(f64::from(u8::from(it)));
        self.each(pipelines, "signup_operator_redis_up", "Whether Redis answers the operator.", |scaling| {
            is(scaling.queues.is_ok())
        });
        let help = "Whether Redis has not answered for fallback.after.";
        self.each(pipelines, "signup_operator_fallback_active", help, |scaling| {
            is(scaling.gap() == Some(Gap::Fallback))
        });
        let help = "Whether Redis does not tell of changes, so that it is polled.";
        self.each(pipelines, "signup_operator_redis_polled", help, |scaling| is(scaling.untracked.is_some()));
        let help = "By how much the clock of Redis is ahead of the operator's; below 0: behind it.";
        self.each(pipelines, "signup_operator_redis_clock_ahead_seconds", help, |scaling| scaling.clock_ahead_s);
    }

    fn workers(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>) {
        let help = "Workers that there are to be, whoever set the number.";
        self.each(pipelines, "signup_operator_workers_current", help, |scaling| Some(scaling.running?.into()));
        self.each(pipelines, "signup_operator_workers_desired", "Workers wanted.", |scaling| {
            Some(scaling.decision.as_ref()?.desired.into())
        });
        let help = "Workers that the queues alone ask for.";
        self.each(pipelines, "signup_operator_workers_recommended", help, |scaling| {
            Some(scaling.decision.as_ref()?.recommended.into())
        });
        let help = "Workers that are too many and finish their mails.";
        self.each(pipelines, "signup_operator_workers_leaving", help, |scaling| Some(scaling.leaving.into()));
        let help = "In what time the workers that run are through with what waits, were nothing to arrive.";
        self.each(pipelines, "signup_operator_predicted_drain_seconds", help, |scaling| {
            scaling.decision.as_ref()?.terms.as_ref()?.drain_s()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::LimitedBy;
    use queue::QueueState;

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
