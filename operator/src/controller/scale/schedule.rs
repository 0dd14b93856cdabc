//! When the queues of one pipeline are to be read.
//!
//! Takes: what was heard, what was read, and the time of each. Gives: the time of the next read. Pure. Does not: read.

use queue::{Heard, Question, QueueReading};
use std::time::{Duration, Instant};

/// Shortest time between two reads.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// A batch of tasks is several changes; they are read as one.
const SETTLE: Duration = Duration::from_millis(5);

/// Time between two reads where Redis does not tell of changes, or did not answer as it should.
const UNTRACKED_INTERVAL: Duration = Duration::from_secs(1);

/// Redis says when a task is due in whole seconds and what time it is in milliseconds; this much later it surely is.
const CLOCK_MARGIN: Duration = Duration::from_millis(2);

/// Which queues, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) database: i64,
    pub(super) queues: Vec<String>,
    /// A worker's start-up time.
    pub(super) ahead: Duration,
    pub(super) poll_interval: Duration,
}

impl Interest {
    pub(super) fn questions(&self) -> impl Iterator<Item = Question> + '_ {
        let Self { database, queues, ahead, .. } = self;
        queues.iter().map(|queue| Question { database: *database, queue: queue.clone(), due_within: *ahead })
    }
}

/// The state of one pipeline.
#[derive(Debug)]
pub(super) struct Schedule {
    interest: Interest,
    asked: Instant,
    heard: Option<Instant>,
    /// A producer named the database.
    is_named: bool,
    /// When the last read began, and what for.
    read: Option<(Instant, Instant)>,
    /// When a delayed task comes into the look-ahead.
    comes_due: Option<Instant>,
    is_untracked: bool,
}

impl Schedule {
    pub(super) fn new(interest: Interest) -> Self {
        let asked = Instant::now();
        Self { interest, asked, heard: None, is_named: false, read: None, comes_due: None, is_untracked: false }
    }

    pub(super) fn interest(&self) -> &Interest {
        &self.interest
    }

    /// True when these are others: they are read at once.
    pub(super) fn ask(&mut self, interest: &Interest) -> bool {
        let is_other = self.interest != *interest;
        if is_other {
            *self = Self::new(interest.clone());
        }
        is_other
    }

    /// Nothing that was read counts any more.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.interest.clone());
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        let is_named = heard.databases.contains(&self.interest.database);
        if heard.all || is_named || self.interest.queues.iter().any(|queue| heard.queues.contains(queue)) {
            self.heard = self.heard.or(heard.since);
            self.is_named |= is_named;
        }
    }

    /// When to read; what was heard without a name only after `rests_until`.
    pub(super) fn next(&self, rests_until: Option<Instant>) -> Instant {
        let Some((read, _)) = self.read else { return self.asked };
        let heard = self.heard.map(|at| {
            let earliest = (at + SETTLE).max(read + MIN_INTERVAL);
            if self.is_named { earliest } else { rests_until.map_or(earliest, |until| earliest.max(until)) }
        });
        let comes_due = self.comes_due.map(|at| at.max(read + MIN_INTERVAL));
        [heard, comes_due].into_iter().flatten().fold(read + self.interval(), Instant::min)
    }

    /// Whether a producer named the database, and it may be read.
    pub(super) fn is_named_by(&self, now: Instant) -> bool {
        self.is_named && self.next(None) <= now
    }

    /// When to read if others are read then: polls that come soon are done together.
    pub(super) fn next_with_others(&self, rests_until: Option<Instant>) -> Instant {
        let next = self.next(rests_until);
        self.read.map_or(next, |(read, _)| next.min(read + self.interval() * 3 / 4))
    }

    /// A read begins: what is heard from now on is news.
    pub(super) fn begin(&mut self, now: Instant) {
        let first = self.read.is_none().then_some(self.asked);
        let reasons = [first, self.heard, self.comes_due.filter(|at| *at <= now)];
        let since = reasons.into_iter().flatten().min().unwrap_or(now);
        (self.read, self.heard, self.is_named, self.comes_due) = (Some((now, since)), None, false, None);
    }

    /// What was read, or nothing; gives when that happened which made it be read.
    pub(super) fn end(
        &mut self,
        readings: Option<&[(String, QueueReading)]>,
        is_untracked: bool,
        now: Instant,
    ) -> Instant {
        self.is_untracked = is_untracked || readings.is_none();
        let ahead = self.interest.ahead.as_secs();
        let until = |(_, reading): &(String, QueueReading)| {
            let left = reading.next_beyond_at?.duration_since(reading.at).as_millis();
            Some(Duration::from_millis(u64::try_from(left).ok()?).saturating_sub(Duration::from_secs(ahead)))
        };
        let soonest = readings.into_iter().flatten().filter_map(until).min();
        self.comes_due = soonest.map(|left| now + left + CLOCK_MARGIN);
        self.read.map_or(now, |(_, since)| since)
    }

    fn interval(&self) -> Duration {
        let interval = self.interest.poll_interval;
        if self.is_untracked { interval.min(UNTRACKED_INTERVAL) } else { interval }
    }
}
