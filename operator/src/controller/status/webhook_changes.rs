//! How often the condition about webhooks changed lately.
//!
//! Takes: statuses as they are written, and the time. Gives: whether the condition may change once more. Does not: know
//! what it says.
//!
//! A receiver that comes and goes must not make a stream of events and writes: the condition changes `MOST` times in
//! `SPAN` at most. What is held back is told when that is over.

use crate::{controller::reason::condition::WEBHOOKS_DELIVERED, crd::status::SignupPipelineStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// Changes of the condition within [`SPAN`].
const MOST: usize = 3;

/// Of these, so many may be of its words alone, so that there is one left for its status.
const MOST_OF_WORDS: usize = 2;

const SPAN: Duration = Duration::from_secs(600);

/// When the condition changed within the last `SPAN`, and to what.
#[derive(Debug, Default)]
pub struct Changes(Vec<(Timestamp, Change)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    ToGood,
    ToBad,
    OfWords,
}

impl Changes {
    /// Learns what was written. The first word is no change.
    pub(super) fn note(&mut self, before: Option<&SignupPipelineStatus>, after: &SignupPipelineStatus, now: Timestamp) {
        self.0.retain(|(at, _)| is_recent(*at, now));
        let Some(before) = before.and_then(known) else { return };
        let after = known(after);
        let says = |known: &Condition| (known.status.clone(), known.reason.clone(), known.message.clone());
        if after.map(says) != Some(says(before)) {
            let change = match after {
                Some(after) if after.status == before.status => Change::OfWords,
                Some(after) if after.status == "True" => Change::ToGood,
                _ => Change::ToBad,
            };
            self.0.push((now, change));
        }
    }

    /// Whether one more may follow. One that comes and goes is shown as failing, so it turns good once.
    pub(super) fn allow(&self, change: Change, now: Timestamp) -> bool {
        let recent = || self.0.iter().filter(|(at, _)| is_recent(*at, now));
        match change {
            Change::ToGood => recent().count() < MOST && recent().all(|(_, before)| *before != Change::ToGood),
            Change::ToBad => recent().count() < MOST,
            Change::OfWords => recent().count() < MOST_OF_WORDS,
        }
    }

    /// Time until the condition may say what is held back now, if anything is; `None`: nothing can be.
    pub(in crate::controller) fn next_look(&self, now: Timestamp) -> Option<Duration> {
        let (first, _) = self.0.iter().find(|(at, _)| is_recent(*at, now))?;
        Some(SPAN.saturating_sub(now.duration_since(*first).unsigned_abs()))
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < SPAN
}

/// What a status says of it, unless that is nothing.
pub(super) fn known(status: &SignupPipelineStatus) -> Option<&Condition> {
    status.conditions.iter().find(|known| known.type_ == WEBHOOKS_DELIVERED && known.status != "Unknown")
}
