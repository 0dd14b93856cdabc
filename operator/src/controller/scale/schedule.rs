//! When the queues of one pipeline are to be read.
//!
//! Takes: what was heard, what was read, and the time of each. Gives: the time of the next read. Pure. Does not: read.

use super::pace::Pace;
use queue::{Heard, Question, QueueReading, QueueState};
use std::time::{Duration, Instant};

/// Shortest time between two reads.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// A batch of tasks is several changes; they are read as one.
const SETTLE: Duration = Duration::from_millis(5);

/// Time between two reads where Redis does not tell of changes, or did not answer as it should.
const UNTRACKED_INTERVAL: Duration = Duration::from_secs(1);

/// Redis says when a task is due in whole seconds and what time it is in milliseconds; this much later it surely is.
const CLOCK_MARGIN: Duration = Duration::from_millis(2);

/// Our producers name the database while fewer tasks than these are pending (`queue`'s `enqueue.lua`).
const NAMED_LENGTH: u64 = 8;

/// How sure it is that the queues of a pipeline have changed, by what was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// A queue of that name has, in whatever database.
    Possible,
    /// So has one for which no producer names the database: it was long when it was read, or tasks are due in it soon.
    Likely,
    /// A producer named the database.
    Named,
}

/// How often is read what was heard without a name.
#[derive(Debug)]
pub(super) struct Paces {
    pub(super) possible: Pace,
    pub(super) likely: Pace,
}

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
    heard: Option<(Instant, Hint)>,
    /// Those of which no producer tells by name.
    long: Vec<String>,
    /// When the last read began, and what for.
    read: Option<(Instant, Instant)>,
    /// When a delayed task comes into the look-ahead.
    comes_due: Option<Instant>,
    is_untracked: bool,
}

impl Schedule {
    pub(super) fn new(interest: Interest) -> Self {
        let asked = Instant::now();
        Self { interest, asked, heard: None, long: Vec::new(), read: None, comes_due: None, is_untracked: false }
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
        let tells_of = |queues: &[String]| queues.iter().any(|queue| heard.queues.contains(queue));
        let hint = if heard.databases.contains(&self.interest.database) {
            Hint::Named
        } else if tells_of(&self.long) {
            Hint::Likely
        } else if heard.all || tells_of(&self.interest.queues) {
            Hint::Possible
        } else {
            return;
        };
        let before = self.heard.or(heard.since.map(|since| (since, hint)));
        self.heard = before.map(|(since, known)| (since, known.max(hint)));
    }

    /// When to read.
    pub(super) fn next(&self, paces: &Paces) -> Instant {
        let Some((read, _)) = self.read else { return self.asked };
        let heard = self.heard.map(|(at, hint)| {
            let rested = match hint {
                Hint::Possible => paces.possible.after(read),
                Hint::Likely => paces.likely.after(read),
                Hint::Named => read,
            };
            (at + SETTLE).max(read + MIN_INTERVAL).max(rested)
        });
        let comes_due = self.comes_due.map(|at| at.max(read + MIN_INTERVAL));
        [heard, comes_due].into_iter().flatten().fold(read + self.interval(), Instant::min)
    }

    /// What was heard since the last read.
    pub(super) fn hint(&self) -> Option<Hint> {
        self.heard.map(|(_, hint)| hint)
    }

    /// When to read if others are read then: polls that come soon are done together.
    pub(super) fn next_with_others(&self, paces: &Paces) -> Instant {
        let next = self.next(paces);
        self.read.map_or(next, |(read, _)| next.min(read + self.interval() * 3 / 4))
    }

    /// A read begins: what is heard from now on is news.
    pub(super) fn begin(&mut self, now: Instant) {
        let first = self.read.is_none().then_some(self.asked);
        let heard = self.heard.take().map(|(at, _)| at);
        let reasons = [first, heard, self.comes_due.take().filter(|at| *at <= now)];
        let since = reasons.into_iter().flatten().min().unwrap_or(now);
        self.read = Some((now, since));
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
        let is_long = |state: &QueueState| state.pending >= NAMED_LENGTH || state.due_within > 0;
        let long = readings.into_iter().flatten().filter(|(_, reading)| is_long(&reading.state));
        self.long = long.map(|(name, _)| name.clone()).collect();
        self.comes_due = soonest.map(|left| now + left + CLOCK_MARGIN);
        self.read.map_or(now, |(_, since)| since)
    }

    fn interval(&self) -> Duration {
        let interval = self.interest.poll_interval;
        if self.is_untracked { interval.min(UNTRACKED_INTERVAL) } else { interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_name_the_database_while_the_queue_is_shorter_than_is_reckoned_with() {
        let script = include_str!("../../../../queue/src/scripts/enqueue.lua");
        assert!(script.contains(&format!("if length - #ids < {NAMED_LENGTH} then")), "{script}");
    }
}
