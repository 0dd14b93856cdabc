//! How many connections a mail server takes from us at once.
//!
//! Takes: that one was opened, or refused while so many others were open. Gives: whether another may be opened now,
//! and how many it takes as far as is known. Does not: open any, or know the clock; pure.
//!
//! Nothing is assumed before the first refusal. Then the server takes as many as are open without the refused one,
//! but no fewer than it ever took at once: a server that has not noticed yet that we hung up refuses the next
//! connection for a moment. Only refusals in a row for a while lower that. Growth is careful: one more after a time
//! without a refusal, and twice that time after each try in vain.

use std::{ops::RangeInclusive, time::Duration};
use tokio::time::Instant;

/// Wait after a refusal below what the server took before; doubled by each one in a row.
const PAUSE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(1);
/// Refusals in a row, at least so long apart, after which it takes no more what it took before.
const LASTING: (u32, Duration) = (5, Duration::from_secs(3));
/// Wait before one more connection than known is tried; doubled by each try in vain.
const GROWTH: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(600);

/// Refusals without a connection in between.
#[derive(Debug, Clone, Copy)]
struct Refused {
    times: u32,
    since: Instant,
    again_at: Instant,
}

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Capacity {
    /// `None`: it has refused nothing.
    known: Option<usize>,
    /// The most that were open at once since it last took fewer.
    proven: usize,
    refused: Option<Refused>,
    growth: Duration,
    grows_at: Option<Instant>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { known: None, proven: 0, refused: None, growth: *GROWTH.start(), grows_at: None }
    }
}

impl Capacity {
    /// As many as it takes; `None`: no limit was met.
    pub(super) fn known(&self) -> Option<usize> {
        self.known
    }

    /// When the first of the refusals in a row came; `None` after a connection was opened.
    pub(super) fn refused_since(&self) -> Option<Instant> {
        self.refused.map(|refused| refused.since)
    }

    /// When another connection may be tried while `open` are open or being opened; `None`: not before one of them ends.
    pub(super) fn opens_at(&self, open: usize, now: Instant) -> Option<Instant> {
        let pause = self.refused.map_or(now, |refused| refused.again_at.max(now));
        let Some(known) = self.known else { return Some(pause) };
        match open {
            open if open < known => Some(pause),
            open if open == known => self.grows_at.map(|at| at.max(pause)),
            _ => None,
        }
    }

    /// A connection was opened: so many are open now.
    pub(super) fn opened(&mut self, open: usize, now: Instant) {
        self.refused = None;
        self.proven = self.proven.max(open);
        if let Some(known) = self.known.filter(|known| open > *known) {
            self.known = Some(known + 1);
            self.growth = *GROWTH.start();
            self.grows_at = Some(now + self.growth);
        }
    }

    /// A connection was refused while so many others were open or being opened.
    pub(super) fn refused(&mut self, others: usize, now: Instant) {
        let is_growth = self.known.is_some_and(|known| others >= known);
        if is_growth {
            self.growth = (self.growth * 2).min(*GROWTH.end());
        }
        self.grows_at = Some(now + self.growth);
        if is_growth {
            // What is known stays; it was only tried whether there is more.
            return;
        }
        let refused = self.pause(now);
        if refused.times >= LASTING.0 && now - refused.since >= LASTING.1 {
            self.proven = self.proven.min(others);
        }
        let takes = others.max(self.proven).max(1);
        self.known = Some(self.known.map_or(takes, |known| known.min(takes)));
    }

    /// It takes nothing at all, which says nothing of how many it takes when it does.
    pub(super) fn takes_nothing(&mut self, now: Instant) {
        self.pause(now);
        (self.known, self.proven) = (None, 0);
    }

    fn pause(&mut self, now: Instant) -> Refused {
        let before = self.refused.unwrap_or(Refused { times: 0, since: now, again_at: now });
        if now < before.again_at {
            // It was being opened when the one before was refused.
            return before;
        }
        let pause = (*PAUSE.start() * 2u32.saturating_pow(before.times)).min(*PAUSE.end());
        let refused = Refused { times: before.times + 1, again_at: now + pause, ..before };
        self.refused = Some(refused);
        refused
    }
}

#[cfg(test)]
mod tests;
