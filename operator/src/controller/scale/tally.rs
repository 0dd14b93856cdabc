//! Decisions and changes of the number of workers, counted over all pipelines.
//!
//! Takes: what each evaluation of one pipeline decided and wrote. Gives: counters whose labels are closed sets, which
//! `counted` starts at 0. Does not: name a pipeline; `gauges` does.

use crate::{
    crd::{SignupPipeline, autoscaling::AutoscalingMode},
    scaling::{Decision, LimitedBy},
};

/// What else makes a number what it is: the resource gives it, in another mode than Auto.
pub(in crate::controller) const REPLICAS: &str = "replicas";

/// What was counted last of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What made the number what it is, in a word.
    by: &'static str,
    limited: Option<LimitedBy>,
    grew: Option<bool>,
}

impl Tally {
    /// Counts each limit once, from when it is met until it is not.
    pub(super) fn decided(&mut self, pipeline: &SignupPipeline, decision: Option<&Decision>) {
        let is_followed = pipeline.spec.worker.autoscaling.mode == AutoscalingMode::Auto;
        let followed = decision.filter(|_| is_followed);
        self.by = followed.map_or(REPLICAS, Decision::by);
        let limited = followed.and_then(|decision| decision.limited_by);
        if let Some(limit) = limited.filter(|limit| self.limited != Some(*limit)) {
            metrics::counter!("signup_operator_limited_total", "by" => limit.name()).increment(1);
        }
        self.limited = limited;
    }

    /// The number was changed by what was decided last.
    pub(super) fn changed(&mut self, grows: bool) {
        let direction = if grows { "up" } else { "down" };
        metrics::counter!("signup_operator_decisions_total", "direction" => direction, "by" => self.by).increment(1);
        if self.grew.replace(grows).is_some_and(|grew| grew != grows) {
            metrics::counter!("signup_operator_reversals_total").increment(1);
        }
    }
}
