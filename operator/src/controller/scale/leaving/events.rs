//! What is told of workers that leave.
//!
//! Takes: each step of a drain. Gives: an event when it begins, when it is called off, and when the time of a worker is
//! up. Does not: tell the same twice, or of the number, which is an event of its own.

use crate::{
    controller::{reason, reason::Reason, recorder::Recorder, status::report},
    crd::SignupPipeline,
    scaling::Step,
};
use kube::runtime::events::EventType;

/// What was told of a drain that goes on.
#[derive(Debug, Default)]
pub(super) struct Told {
    has_begun: bool,
    overdue: usize,
}

impl Told {
    /// Tells what is new in a step of `total` workers.
    pub(super) async fn step(&mut self, recorder: &Recorder, pipeline: &SignupPipeline, step: &Step, total: u32) {
        for (type_, reason, note) in self.news(step, total) {
            report::publish(recorder, pipeline, type_, reason.name(), "Drain", note).await;
        }
    }

    fn news(&mut self, step: &Step, total: u32) -> Vec<(EventType, Reason, String)> {
        let mut news = Vec::new();
        let names = || step.marked.iter().filter_map(|server| server.split(':').next()).collect::<Vec<_>>().join(", ");
        if !step.marked.is_empty() && !self.has_begun {
            let note = format!(
                "{} of {total} workers are too many; asked to take no more mails: {}",
                step.marked.len(),
                names()
            );
            news.push((EventType::Normal, reason::DRAIN_STARTED, note));
        }
        if step.overdue > self.overdue {
            let note = format!("{} workers still send mails after drain.timeout, and are stopped", step.overdue);
            news.push((EventType::Warning, reason::DRAIN_TIMED_OUT, note));
        }
        if step.marked.is_empty() && step.let_off > 0 {
            let note = format!("no worker is too many any more; {} of {total} take mails again", step.let_off);
            news.push((EventType::Normal, reason::DRAIN_CANCELLED, note));
        }
        (self.has_begun, self.overdue) = (!step.marked.is_empty(), step.overdue);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transition_of_a_drain_is_told_once() {
        let mut told = Told::default();
        let mut reasons =
            |step: &Step| -> Vec<&str> { told.news(step, 3).into_iter().map(|(_, reason, _)| reason.name()).collect() };
        let marked = vec!["w-1:1:id".to_owned()];
        let (begun, overdue) = (Step { marked, ..Step::default() }, 1);
        let late = Step { overdue, ..begun.clone() };
        assert_eq!(reasons(&begun), ["DrainStarted"]);
        assert!(reasons(&begun).is_empty());
        assert_eq!(reasons(&late), ["DrainTimedOut"]);
        assert!(reasons(&late).is_empty());
        assert_eq!(reasons(&Step { let_off: 1, ..Step::default() }), ["DrainCancelled"]);
        assert!(reasons(&Step::default()).is_empty());
        assert_eq!(reasons(&begun), ["DrainStarted"], "another one");
        assert!(reasons(&Step::default()).is_empty(), "they have left");
    }
}
