//! What one connection is doing, and since when.
//!
//! Takes: what its socket and its requests tell. Gives: whether it idles, how many of its requests wait for the client,
//! and whether it has to end: a header that does not arrive, an answer that is not taken, more frames than requests
//! need, or too long without a request. Does not: end it; who waits for [`Activity::end`] does.

mod open;

pub(super) use open::Open;

use super::Protocol;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Time for the header of a request from its first byte, and for the first byte of a new connection.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Time for a client to take what was written to it: an answer has a few KiB.
pub(super) const UNSENT_TIMEOUT: Duration = Duration::from_secs(30);

/// HTTP/2: bytes that may come without a request, and more with each: its header, its message (64 KiB at most, and then
/// some that is refused), and what a client says of windows and pings meanwhile. Floods of frames that ask for nothing
/// end there.
const CREDIT: (i64, i64) = (512 * 1024, 128 * 1024);

/// Why a connection ends before its client ends it; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// No request for too long.
    Idle,
    /// No request for longer than others, and a new connection waits for its permit.
    Crowded,
    /// It holds the most streams, and a new one needs a permit.
    Overrun,
    /// A header did not arrive in time.
    Header,
    /// The client does not take its answers.
    Unsent,
    /// More frames than its requests need, or requests only to take them back.
    Flood,
}

impl End {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Crowded => "crowded",
            Self::Overrun => "overrun",
            Self::Header => "header",
            Self::Unsent => "unsent",
            Self::Flood => "flood",
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Activity {
    protocol: Protocol,
    state: Mutex<State>,
    /// Cancelled when [`State::end`] is set.
    ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests under way; how many have a permit among the streams; how many of these do not wait for the client.
    open: usize,
    permitted: usize,
    working: usize,
    /// Requests so far, and those that the client took back.
    requests: u32,
    taken_back: u32,
    /// When the last request ended, or the connection began.
    since: Instant,
    /// HTTP/1.1: the first byte of a header that is not complete.
    header: Option<Instant>,
    /// What was written last has not been taken whole.
    unsent: Option<Instant>,
    /// HTTP/2: see [`CREDIT`].
    credit: i64,
    end: Option<End>,
}

impl State {
    fn idles(&self) -> bool {
        self.open == 0 && self.header.is_none() && self.end.is_none()
    }
}

impl Activity {
    pub(super) fn new(protocol: Protocol) -> Self {
        let state = State {
            open: 0,
            permitted: 0,
            working: 0,
            requests: 0,
            taken_back: 0,
            since: Instant::now(),
            header: None,
            unsent: None,
            credit: CREDIT.0,
            end: None,
        };
        Self { protocol, state: Mutex::new(state), ended: CancellationToken::new() }
    }

    /// Bytes came. Empty lines between requests belong to none (RFC 9112, section 2.2).
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        match self.protocol {
            Protocol::Http1 => {
                let is_header = state.open == 0 && bytes.iter().any(|byte| !b"\r\n".contains(byte));
                if is_header && state.header.is_none() {
                    state.header = Some(Instant::now());
                }
            }
            Protocol::Http2 => {
                state.credit = state.credit.saturating_sub(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
                if state.credit < 0 {
                    self.ask(&mut state, End::Flood);
                }
            }
        }
    }

    /// Bytes were written: `all` of them were taken, or the client has to read first.
    pub(super) fn written(&self, all: bool) {
        let mut state = self.state.lock();
        state.unsent = if all { None } else { state.unsent.or_else(|| Some(Instant::now())) };
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        let mut state = self.state.lock();
        state.open += 1;
        state.requests += 1;
        state.header = None;
        state.credit += CREDIT.1;
        drop(state);
        Open::new(Arc::clone(self))
    }

    /// Requests under way.
    pub(super) fn open(&self) -> usize {
        self.state.lock().open
    }

    /// Permits among the streams.
    pub(super) fn permitted(&self) -> usize {
        self.state.lock().permitted
    }

    /// Those that wait for the client: for the rest of a message, or for an answer to be taken.
    pub(super) fn held(&self) -> usize {
        let state = self.state.lock();
        if state.end.is_some() { 0 } else { state.permitted.saturating_sub(state.working) }
    }

    /// Since when it waits for a next request, or for its first.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.idles().then_some(state.since)
    }

    /// Asks it to end, unless a request has begun.
    pub(super) fn end_idle(&self, why: End) {
        let mut state = self.state.lock();
        if state.idles() {
            self.ask(&mut state, why);
        }
    }

    /// Asks it to end.
    pub(super) fn end(&self, why: End) {
        self.ask(&mut self.state.lock(), why);
    }

    fn ask(&self, state: &mut State, why: End) {
        state.end.get_or_insert(why);
        self.ended.cancel();
    }

    /// Waits until it has to end. `idle_timeout` is asked anew each time.
    pub(super) async fn over(&self, idle_timeout: impl Fn() -> Duration) -> End {
        loop {
            let idle_timeout = idle_timeout();
            let at = match self.deadline(idle_timeout) {
                Some((at, end)) if at <= Instant::now() => {
                    self.end(end);
                    return end;
                }
                deadline => deadline.map(|(at, _)| at),
            };
            // No limit that begins meanwhile is over before this.
            let look = Instant::now() + HEADER_TIMEOUT.min(idle_timeout);
            tokio::select! {
                () = sleep_until(at.map_or(look, |at| at.min(look))) => {}
                () = self.ended.cancelled() => return self.state.lock().end.unwrap_or(End::Idle),
            }
        }
    }

    fn deadline(&self, idle_timeout: Duration) -> Option<(Instant, End)> {
        let state = self.state.lock();
        let unsent = state.unsent.map(|since| (since + UNSENT_TIMEOUT, End::Unsent));
        let silent = match (state.header, state.open, state.requests) {
            (Some(since), ..) => Some((since + HEADER_TIMEOUT, End::Header)),
            (None, 0, 0) => Some((state.since + HEADER_TIMEOUT, End::Header)),
            (None, 0, _) => Some((state.since + idle_timeout, End::Idle)),
            _ => None,
        };
        [unsent, silent].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
