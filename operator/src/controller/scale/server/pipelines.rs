//! The pipelines that have queues on one server: which of them are read in the next round trip, and what each is told.
//!
//! Takes: the time, what Redis tells, and answers. Gives: what is due, and a [`Reading`] to each that was read. Does
//! not: speak to Redis.

use super::{
    super::{
        pace::Pace,
        schedule::{Hint, Interest, Paces, Schedule},
    },
    Reading,
    answered::Answered,
};
use queue::{Heard, QueueReading, QueueState};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Reading what may have changed takes at most one part in ten of the time.
const REST: u32 = 9;

/// Reading pipelines with work of whose queues' names one has changed takes at most a quarter of it.
const REST_OF_LIKELY: u32 = 3;

/// What nobody named is not read together with what a producer named, unless it has been due for so long.
const MAX_HELD_BACK: Duration = Duration::from_millis(500);

/// Queues of one round trip, whose answers come with the last of them: a thousand pipelines take hundreds of
/// milliseconds, these less than ten.
const MAX_QUEUES: usize = 50;

pub(super) struct Pipelines {
    subscribed: HashMap<u64, Subscribed>,
    next_id: u64,
    paces: Paces,
    /// Redis did not answer at all, and is not asked before that time.
    silent: Option<(queue::Error, Instant)>,
}

/// A pipeline that is read now.
pub(super) struct Due {
    id: u64,
    pub(super) interest: Interest,
    /// What it is read for.
    hint: Option<Hint>,
}

struct Subscribed {
    schedule: Schedule,
    readings: watch::Sender<Option<Arc<Reading>>>,
}

impl Default for Pipelines {
    fn default() -> Self {
        let paces = Paces { possible: Pace::new(REST), likely: Pace::new(REST_OF_LIKELY) };
        Self { subscribed: HashMap::new(), next_id: 0, paces, silent: None }
    }
}

impl Pipelines {
    /// Takes a pipeline in, and gives its number here.
    pub(super) fn subscribe(&mut self, interest: Interest, readings: watch::Sender<Option<Arc<Reading>>>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.subscribed.insert(id, Subscribed { schedule: Schedule::new(interest), readings });
        id
    }

    /// Asks for other queues from now on; whether these are others.
    pub(super) fn ask(&mut self, id: u64, interest: &Interest) -> bool {
        self.subscribed.get_mut(&id).is_some_and(|one| one.schedule.ask(interest))
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.subscribed.remove(&id);
    }

    /// What is to be read now, or when there will be something.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Due>, Instant) {
        if let Some((error, until)) = self.silent.as_ref().filter(|(_, until)| *until > now) {
            self.subscribed.values().filter(|one| one.readings.borrow().is_none()).for_each(|one| one.fail(error));
            return (Vec::new(), *until);
        }
        let next = self.subscribed.values().map(|one| one.schedule.next(&self.paces)).min();
        let next = next.unwrap_or_else(|| now + Duration::from_secs(60));
        if next > now {
            return (Vec::new(), next);
        }
        let chosen = self.chosen(now);
        let begin = |id| {
            let one = self.subscribed.get_mut(&id)?;
            let (interest, hint) = (one.schedule.interest().clone(), one.schedule.hint());
            one.schedule.begin(now);
            Some(Due { id, interest, hint })
        };
        (chosen.into_iter().filter_map(begin).collect(), now)
    }

    /// What was named, or is likely, with what was held back for long; else what has been due for longest.
    fn chosen(&self, now: Instant) -> Vec<u64> {
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for (id, Subscribed { schedule, .. }) in &self.subscribed {
            let (next, hint) = (schedule.next(&self.paces), schedule.hint());
            let queues = schedule.interest().queues.len();
            if next <= now && hint > Some(Hint::Possible) {
                first.push((std::cmp::Reverse(hint), next, *id, queues));
            } else if schedule.next_with_others(&self.paces) <= now {
                others.push((std::cmp::Reverse(None), next, *id, queues));
            }
        }
        if !first.is_empty() {
            others.retain(|(_, next, ..)| *next + MAX_HELD_BACK <= now);
        }
        [first, others].into_iter().flat_map(of_one_round_trip).collect()
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        self.subscribed.values_mut().for_each(|one| one.schedule.hear(heard));
    }

    pub(super) fn deliver(&mut self, due: Vec<Due>, mut answers: Answered, began: Instant) {
        let (at, untracked) = (Instant::now(), answers.untracked);
        self.silent = None;
        if due.iter().any(|due| due.hint <= Some(Hint::Possible)) {
            self.paces.possible.spend(began, at - began);
        } else if due.iter().any(|due| due.hint == Some(Hint::Likely)) {
            self.paces.likely.spend(began, at - began);
        }
        for Due { id, interest, .. } in due {
            let (read, mut unread) = answers.take(&interest.queues);
            let Some(one) = self.subscribed.get_mut(&id) else { continue };
            let since = one.schedule.end(unread.is_empty().then_some(&*read), untracked.is_some(), at);
            let queues = if read.is_empty() && !unread.is_empty() { Err(unread.remove(0).1) } else { Ok(read) };
            one.deliver(Reading { queues, unread, untracked, interest, since, at });
        }
    }

    /// All are told, and all are read again when Redis is back.
    pub(super) fn fall_silent(&mut self, error: queue::Error, until: Instant) {
        for one in self.subscribed.values_mut() {
            one.schedule.forget();
            one.fail(&error);
        }
        self.silent = Some((error, until));
    }
}

/// Those that come first, with as many queues as one round trip has, but one pipeline at least.
fn of_one_round_trip<T: Ord>(mut due: Vec<(T, Instant, u64, usize)>) -> impl Iterator<Item = u64> {
    due.sort_unstable();
    let mut before = 0;
    let fits = move |(_, _, _, queues): &(T, Instant, u64, usize)| {
        let is_first = before == 0;
        before += queues;
        is_first || before <= MAX_QUEUES
    };
    due.into_iter().take_while(fits).map(|(_, _, id, _)| id)
}

impl Subscribed {
    /// What says nothing new wakes nobody, but once in a while.
    fn deliver(&self, reading: Reading) {
        let is_old = |known: &Arc<Reading>| {
            let states = |queues: &[(String, QueueReading)]| -> Vec<QueueState> {
                queues.iter().map(|(_, reading)| reading.state.clone()).collect()
            };
            let queues = match (&known.queues, &reading.queues) {
                (Ok(known), Ok(new)) => states(known) == states(new),
                _ => false,
            };
            let age = reading.at.saturating_duration_since(known.at);
            queues
                && known.unread.is_empty()
                && reading.unread.is_empty()
                && known.untracked == reading.untracked
                && known.interest == reading.interest
                && age < reading.interest.poll_interval / 2
        };
        if !self.readings.borrow().as_ref().is_some_and(is_old) {
            self.readings.send_replace(Some(Arc::new(reading)));
        }
    }

    fn fail(&self, error: &queue::Error) {
        let now = Instant::now();
        let (queues, interest) = (Err(error.clone()), self.schedule.interest().clone());
        self.readings.send_replace(Some(Arc::new(Reading {
            queues,
            unread: Vec::new(),
            untracked: None,
            interest,
            since: now,
            at: now,
        })));
    }
}

#[cfg(test)]
mod tests;
