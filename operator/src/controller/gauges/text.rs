//! The lines of the gauges.
//!
//! Takes: what each pipeline's evaluation came to. Gives: families of Prometheus' text format (version 0.0.4), each
//! with a line of every pipeline or queue that has the figure. Does not: choose the families of redis and workers.

use super::Key;
use crate::{controller::scale::Scaling, scaling::QueueTerms};
use jiff::Timestamp;
use queue::QueueState;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
};

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
pub(super) struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    pub(super) fn text(self) -> String {
        self.text
    }

    pub(super) fn family(&mut self, name: &'static str, help: &str) {
        self.family = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    /// One number of each pipeline that has it.
    pub(super) fn each(
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

    pub(super) fn queues(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>, now: Timestamp) {
        self.family("signup_operator_queue_tasks", "Tasks of a queue by state, as asynq's tools name them.");
        for (of, queue, state) in queues(pipelines) {
            for (name, tasks) in states(state) {
                self.line(of, &[("queue", queue), ("state", name)], tasks as f64);
            }
        }
        self.family("signup_operator_queue_due_soon", "Delayed tasks that come due while a worker would start.");
        for (of, queue, state) in queues(pipelines) {
            self.line(of, &[("queue", queue)], state.due_within as f64);
        }
        self.family("signup_operator_queue_oldest_age_seconds", "How long the task that runs next has waited.");
        for (of, queue, state) in queues(pipelines) {
            let age = state.oldest_pending_since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
            self.line(of, &[("queue", queue)], age);
        }
        self.family("signup_operator_queue_next_due_seconds", "Until the next delayed task is due, if there is one.");
        for (of, queue, state) in queues(pipelines) {
            let left = state.next_due_at.map(|due| due.duration_since(now).as_secs_f64().max(0.0));
            left.iter().for_each(|left| self.line(of, &[("queue", queue)], *left));
        }
    }

    /// What the decisions go by.
    pub(super) fn learnt(&mut self, pipelines: &BTreeMap<Key, Arc<Scaling>>) {
        let target = "Within what time of their turn tasks are to be started.";
        self.of_queues(pipelines, "signup_operator_queue_target_seconds", target, |queue| {
            Some(queue.target.as_secs_f64())
        });
        let arrivals = "Tasks that become ready to run.";
        self.of_queues(pipelines, "signup_operator_queue_arrivals_per_second", arrivals, |queue| {
            Some(queue.depth.learnt.arrivals_per_s)
        });
        let completions = "Attempts that end.";
        self.of_queues(pipelines, "signup_operator_queue_completions_per_second", completions, |queue| {
            Some(queue.depth.learnt.completions_per_s)
        });
        let service = "What one attempt takes, once that is known.";
        self.of_queues(pipelines, "signup_operator_queue_service_seconds", service, |queue| {
            queue.depth.learnt.service_s
        });
    }

    /// One number of each queue that has it, as the last decision had it.
    fn of_queues(
        &mut self,
        pipelines: &BTreeMap<Key, Arc<Scaling>>,
        name: &'static str,
        help: &str,
        value: impl Fn(&QueueTerms) -> Option<f64>,
    ) {
        self.family(name, help);
        for (of, scaling) in pipelines {
            let terms = scaling.decision.as_ref().and_then(|decision| decision.terms.as_ref());
            for queue in terms.iter().flat_map(|terms| &terms.queues) {
                value(queue).iter().for_each(|value| self.line(of, &[("queue", &queue.depth.name)], *value));
            }
        }
    }

    /// Names of Kubernetes and of queues, as the schema takes them, have nothing that a label would need escaped.
    pub(super) fn line(&mut self, (namespace, name, _): &Key, labels: &[(&str, &str)], value: f64) {
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
