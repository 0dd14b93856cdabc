//! A request under way, as its connection's [`Activity`] counts it.
//!
//! Takes: what happens to the request. Gives: whether it waits for its client, until it is dropped, and whether the
//! client took it back. Does not: hold the request.

use super::{Activity, End};
use crate::accept::Protocol;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// HTTP/2: requests that a client may take back before their answers, if they are also half of all it made. See
/// CVE-2023-44487; Envoy's `overload.premature_reset_total_stream_count` is 500.
const TAKEN_BACK: u32 = 200;

/// Whether a request waits for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Works {
    /// Its message is not here yet.
    NotYet,
    /// It does not.
    Now,
    /// Its answer is there to be taken.
    Answered,
    /// Its answer was taken whole.
    Done,
    /// Its message broke off.
    TakenBack,
}

/// A request under way, until it is dropped: with the last piece of its answer.
#[derive(Debug)]
pub(in crate::accept) struct Open {
    activity: Arc<Activity>,
    works: Mutex<Works>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Open {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self { activity, works: Mutex::new(Works::NotYet), permit: None }
    }

    /// With a permit among the streams of the process.
    pub(in crate::accept) fn with(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.activity.state.lock().permitted += 1;
        self.permit = Some(permit);
        self
    }

    /// It was refused, which needs nothing of the client.
    pub(in crate::accept) fn refused(&self) {
        self.change(Works::NotYet, Works::Done);
    }

    /// The message is here.
    pub(in crate::accept) fn arrived(&self) {
        self.change(Works::NotYet, Works::Now);
    }

    /// The message broke off; what is answered now nobody hears.
    pub(in crate::accept) fn broke_off(&self) {
        self.change(Works::NotYet, Works::TakenBack);
    }

    /// The answer is there to be taken.
    pub(in crate::accept) fn answered(&self) {
        self.change(Works::NotYet, Works::Answered);
        self.change(Works::Now, Works::Answered);
    }

    /// The answer was taken whole.
    pub(in crate::accept) fn done(&self) {
        self.change(Works::Answered, Works::Done);
    }

    fn change(&self, from: Works, to: Works) {
        let mut works = self.works.lock();
        if *works != from {
            return;
        }
        *works = to;
        let mut state = self.activity.state.lock();
        state.working = state.working + usize::from(to == Works::Now) - usize::from(from == Works::Now);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let works = *self.works.lock();
        let mut state = self.activity.state.lock();
        state.open -= 1;
        state.permitted -= usize::from(self.permit.is_some());
        state.working -= usize::from(works == Works::Now);
        state.since = Instant::now();
        if self.activity.protocol == Protocol::Http2 && !matches!(works, Works::Answered | Works::Done) {
            state.taken_back += 1;
            if state.taken_back > TAKEN_BACK && state.taken_back * 2 > state.requests {
                self.activity.ask(&mut state, End::Flood);
            }
        }
    }
}
