//! Why workers cannot be asked to leave.
//!
//! Takes: errors of Redis, in a row. Gives: what is told of them, and whether the workers that are too many are waited
//! for. Does not: wait where the access list forbids to ask them: that ends by an edit alone, and the workers have
//! their grace period.

use crate::{
    controller::{reason::Finding, scale::Inputs},
    crd::autoscaling::AutoscalingMode,
};
use kube::ResourceExt;
use std::time::{Duration, Instant};

/// Errors without an answer in between.
#[derive(Debug)]
pub(super) struct Hindered {
    since: Instant,
    /// The last error's; they may hold an address.
    words: String,
    pub(super) finding: Finding,
    pub(super) is_forbidden: bool,
}

impl Hindered {
    /// After another error, which is told when it says something new.
    pub(super) async fn after(before: Option<Self>, inputs: &Inputs, error: &queue::Error) -> Self {
        let words = pipeline::chain(error);
        let since = before.as_ref().map_or_else(Instant::now, |before| before.since);
        let finding = match before.filter(|before| before.words == words) {
            Some(before) => before.finding,
            None => {
                tracing::warn!(pipeline = inputs.pipeline.name_any(), %error, "workers cannot be asked to leave");
                inputs.endpoint.trouble(error).await
            }
        };
        Self { since, words, finding, is_forbidden: error.is_forbidden() }
    }

    /// Whether workers that are too many stay until Redis answers. A number that a person gave is waited for as long as
    /// a long task is, at most.
    pub(super) fn is_waited_for(&self, mode: AutoscalingMode, drain_timeout: Duration, now: Instant) -> bool {
        let is_over = now.saturating_duration_since(self.since) >= drain_timeout;
        !self.is_forbidden && (mode == AutoscalingMode::Auto || !is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::reason;

    #[test]
    fn every_error_is_waited_for_but_one_that_an_edit_alone_ends_and_a_person_s_number_not_for_ever() {
        let (since, timeout) = (Instant::now(), Duration::from_secs(600));
        let hindered = |is_forbidden| Hindered {
            since,
            words: String::new(),
            finding: Finding::with_default_fix(reason::NO_ANSWER, "it is away"),
            is_forbidden,
        };
        let waits = |mode, seconds| {
            let now = since + Duration::from_secs(seconds);
            [false, true].map(|is_forbidden| hindered(is_forbidden).is_waited_for(mode, timeout, now))
        };
        assert_eq!(waits(AutoscalingMode::Auto, 0), [true, false]);
        assert_eq!(waits(AutoscalingMode::Auto, 100_000), [true, false]);
        assert_eq!(waits(AutoscalingMode::Off, 599), [true, false]);
        assert_eq!(waits(AutoscalingMode::Off, 600), [false, false]);
    }
}
