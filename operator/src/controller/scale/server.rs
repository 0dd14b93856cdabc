//! One Redis server, asked for all pipelines that have their queues there with the same login.
//!
//! Takes: which queues each pipeline has. Gives: a [`Reading`] to each when its queues changed, when a delayed task
//! comes into its look-ahead, and every `pollInterval`. Does not: decide anything.
//!
//! All that is due is read in one round trip. A pipeline is read at most every 100 ms (`schedule`); what Redis tells
//! names a queue and no database, so that with many pipelines most are read in vain: reading those takes a tenth of the
//! time at most, and the ones that a producer of ours named come first.

use super::{
    backoff::Backoff,
    schedule::{Interest, Schedule},
};
use parking_lot::Mutex;
use queue::{Answers, Heard, Question, QueueReading, QueueState, Tracker, Untracked};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// Reading what nobody named takes at most one part in so many of the time.
const REST: u32 = 9;

/// What nobody named is not read together with what a producer named, unless it has been due for so long: the answers
/// of a round trip come with the last of them, and a thousand pipelines take hundreds of milliseconds.
const MAX_HELD_BACK: Duration = Duration::from_millis(500);

/// What was read for one pipeline.
#[derive(Debug)]
pub(super) struct Reading {
    /// Its queues, or why none could be read.
    pub(super) queues: Result<Vec<(String, QueueReading)>, queue::Error>,
    /// Those that could not be read while others could.
    pub(super) unread: Vec<(String, queue::Error)>,
    /// Why Redis does not tell of changes.
    pub(super) untracked: Option<Untracked>,
    /// What was asked.
    pub(super) interest: Interest,
    /// When that was told, or came due, which made it be read.
    pub(super) since: Instant,
    /// When the answer came.
    pub(super) at: Instant,
}

/// A server, asked until this is dropped.
pub(super) struct Server {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

/// A pipeline's part in a server, until it is dropped.
pub(super) struct Subscription {
    server: Arc<Server>,
    id: u64,
    readings: watch::Receiver<Option<Arc<Reading>>>,
}

struct Shared {
    tracker: Tracker,
    pipelines: Mutex<Pipelines>,
    asked: Notify,
}

#[derive(Default)]
struct Pipelines {
    subscribed: HashMap<u64, Subscribed>,
    next_id: u64,
    /// Nothing that nobody named is read before.
    rests_until: Option<Instant>,
    /// Redis did not answer at all, and is not asked before that time.
    silent: Option<(queue::Error, Instant)>,
}

struct Subscribed {
    schedule: Schedule,
    readings: watch::Sender<Option<Arc<Reading>>>,
}

impl Server {
    pub(super) fn start(tracker: Tracker) -> Self {
        let shared = Arc::new(Shared { tracker, pipelines: Mutex::default(), asked: Notify::new() });
        let task = AbortOnDropHandle::new(tokio::spawn(run(Arc::clone(&shared))));
        Self { shared, _task: task }
    }

    pub(super) fn subscribe(self: Arc<Self>, interest: Interest) -> Subscription {
        let (sender, readings) = watch::channel(None);
        let mut pipelines = self.shared.pipelines.lock();
        let id = pipelines.next_id;
        pipelines.next_id += 1;
        pipelines.subscribed.insert(id, Subscribed { schedule: Schedule::new(interest), readings: sender });
        drop(pipelines);
        self.shared.asked.notify_one();
        Subscription { server: self, id, readings }
    }
}

impl Subscription {
    /// Asks for other queues from now on, if these are others.
    pub(super) fn ask(&self, interest: &Interest) {
        let mut pipelines = self.server.shared.pipelines.lock();
        if let Some(subscribed) = pipelines.subscribed.get_mut(&self.id)
            && subscribed.schedule.ask(interest)
        {
            self.server.shared.asked.notify_one();
        }
    }

    /// The newest reading.
    pub(super) fn latest(&mut self) -> Option<Arc<Reading>> {
        self.readings.borrow_and_update().clone()
    }

    /// Waits for another.
    pub(super) async fn next(&mut self) -> Option<Arc<Reading>> {
        // The sender is as old as this: the server keeps it until this is dropped.
        self.readings.changed().await.ok()?;
        self.latest()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.server.shared.pipelines.lock().subscribed.remove(&self.id);
    }
}

async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        let now = Instant::now();
        let (due, next) = shared.pipelines.lock().due(now);
        if due.is_empty() {
            tokio::select! {
                heard = shared.tracker.changed() => shared.pipelines.lock().hear(&heard),
                () = shared.asked.notified() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
            continue;
        }
        let questions: Vec<Question> = due.iter().flat_map(|(_, interest)| interest.questions()).collect();
        let answers = shared.tracker.read(&questions).await.and_then(Answered::of);
        metrics::histogram!("signup_operator_redis_read_seconds").record(now.elapsed());
        let mut pipelines = shared.pipelines.lock();
        match answers {
            Ok(answers) => {
                backoff = Backoff::default();
                pipelines.deliver(due, answers, now);
            }
            Err(error) => pipelines.fall_silent(error, Instant::now() + backoff.next()),
        }
    }
}

/// Something of each queue, by its name.
type ByQueue<T> = Vec<(String, T)>;

/// Answers of a Redis that answers.
struct Answered {
    states: std::vec::IntoIter<Result<QueueReading, queue::Error>>,
    untracked: Option<Untracked>,
}

impl Answered {
    /// One that loads its data says so to each command.
    fn of(answers: Answers) -> Result<Self, queue::Error> {
        let Answers { states, untracked } = answers;
        match states.first() {
            Some(Err(first)) if states.iter().all(|state| state.as_ref().is_err_and(queue::Error::is_unreachable)) => {
                Err(first.clone())
            }
            _ => Ok(Self { states: states.into_iter(), untracked }),
        }
    }

    /// What was read of these queues, and which of them could not be read.
    fn take(&mut self, names: &[String]) -> (ByQueue<QueueReading>, ByQueue<queue::Error>) {
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        for (name, state) in names.iter().cloned().zip(self.states.by_ref()) {
            match state {
                Ok(reading) => read.push((name, reading)),
                Err(error) => unread.push((name, error)),
            }
        }
        (read, unread)
    }
}

impl Pipelines {
    /// What is to be read now, or when there will be something.
    fn due(&mut self, now: Instant) -> (Vec<(u64, Interest)>, Instant) {
        if let Some((error, until)) = self.silent.as_ref().filter(|(_, until)| *until > now) {
            self.subscribed.values().filter(|one| one.readings.borrow().is_none()).for_each(|one| one.fail(error));
            return (Vec::new(), *until);
        }
        let rests_until = self.rests_until.filter(|until| *until > now);
        let next = self.subscribed.values().map(|one| one.schedule.next(rests_until)).min();
        let next = next.unwrap_or_else(|| now + Duration::from_secs(60));
        if next > now {
            return (Vec::new(), next);
        }
        let is_any_named = self.subscribed.values().any(|one| one.schedule.is_named_by(now));
        let goes_along = |schedule: &Schedule| {
            !is_any_named || schedule.is_named_by(now) || schedule.next(rests_until) + MAX_HELD_BACK <= now
        };
        let due = self
            .subscribed
            .iter_mut()
            .filter(|(_, one)| one.schedule.next_with_others(rests_until) <= now && goes_along(&one.schedule));
        let due = due.map(|(id, one)| {
            one.schedule.begin(now);
            (*id, one.schedule.interest().clone())
        });
        (due.collect(), now)
    }

    fn hear(&mut self, heard: &Heard) {
        self.subscribed.values_mut().for_each(|one| one.schedule.hear(heard));
    }

    fn deliver(&mut self, due: Vec<(u64, Interest)>, mut answers: Answered, began: Instant) {
        let (at, untracked) = (Instant::now(), answers.untracked);
        self.silent = None;
        // A quick read of what was named ends no rest that a long one of the others asked for.
        self.rests_until = self.rests_until.max(Some(at + (at - began) * REST));
        for (id, interest) in due {
            let (read, mut unread) = answers.take(&interest.queues);
            let Some(one) = self.subscribed.get_mut(&id) else { continue };
            let since = one.schedule.end(unread.is_empty().then_some(&*read), untracked.is_some(), at);
            let queues = if read.is_empty() && !unread.is_empty() { Err(unread.remove(0).1) } else { Ok(read) };
            one.deliver(Reading { queues, unread, untracked, interest, since, at });
        }
    }

    /// All are told, and all are read again when Redis is back.
    fn fall_silent(&mut self, error: queue::Error, until: Instant) {
        for one in self.subscribed.values_mut() {
            one.schedule.forget();
            one.fail(&error);
        }
        self.silent = Some((error, until));
    }
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
mod tests {
    use super::*;

    fn subscribed(database: i64) -> Subscribed {
        let (queues, poll_interval) = (vec!["default".to_owned()], Duration::from_secs(60));
        let interest = Interest { database, queues, ahead: Duration::ZERO, poll_interval };
        Subscribed { schedule: Schedule::new(interest), readings: watch::channel(None).0 }
    }

    #[test]
    fn what_a_producer_named_is_read_without_the_others_which_are_not_held_back_for_long() {
        let mut pipelines = Pipelines::default();
        pipelines.subscribed.extend([(0, subscribed(0)), (1, subscribed(1)), (2, subscribed(2))]);
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let due = |pipelines: &mut Pipelines, milliseconds| {
            let mut ids: Vec<u64> = pipelines.due(at(milliseconds)).0.into_iter().map(|(id, _)| id).collect();
            ids.sort_unstable();
            ids
        };
        let heard = |milliseconds| Heard {
            all: false,
            queues: ["default".to_owned()].into(),
            databases: [1].into(),
            since: Some(at(milliseconds)),
        };
        assert_eq!(due(&mut pipelines, 0), [0, 1, 2], "nothing is known of any");
        pipelines.hear(&heard(200));
        assert_eq!(due(&mut pipelines, 210), [1]);
        assert_eq!(due(&mut pipelines, 211), [0, 2]);
        pipelines.hear(&heard(400));
        assert_eq!(due(&mut pipelines, 410), [1]);
        pipelines.hear(&heard(900));
        assert_eq!(due(&mut pipelines, 910), [0, 1, 2], "the others have waited for 500 ms");
    }

    #[test]
    fn a_quick_read_does_not_end_the_rest_after_a_long_one() {
        let mut pipelines = Pipelines::default();
        let nothing = || Answered { states: Vec::new().into_iter(), untracked: None };
        let ago = |milliseconds| Instant::now().checked_sub(Duration::from_millis(milliseconds)).expect("it is recent");
        pipelines.deliver(Vec::new(), nothing(), ago(400));
        let long = pipelines.rests_until;
        pipelines.deliver(Vec::new(), nothing(), ago(1));
        assert_eq!(pipelines.rests_until, long);
    }
}
