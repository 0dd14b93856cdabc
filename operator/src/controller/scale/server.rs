//! One Redis server, asked for all pipelines that have their queues there with the same login.
//!
//! Takes: which queues each pipeline has. Gives: a [`Reading`] to each when its queues changed, when a delayed task
//! comes into its look-ahead, and every `pollInterval`. Does not: decide anything.
//!
//! What is due is read in round trips of 50 queues, so that none waits for long behind others. A pipeline is read at
//! most every 100 ms (`schedule`); what Redis tells names a queue and no database, so that with many pipelines most are
//! read in vain: reading those takes a tenth of the time at most (`pace`). Before them come pipelines that a producer
//! of ours named, and those with work for which it names none.

use super::{
    backoff::Backoff,
    pace::Pace,
    schedule::{Hint, Interest, Paces, Schedule},
};
use futures::FutureExt;
use parking_lot::Mutex;
use queue::{Answers, Heard, Question, QueueReading, QueueState, Tracker, Untracked};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// Reading what may have changed takes at most one part in ten of the time.
const REST: u32 = 9;

/// Reading pipelines with work of whose queues' names one has changed takes at most a quarter of it.
const REST_OF_LIKELY: u32 = 3;

/// What nobody named is not read together with what a producer named, unless it has been due for so long.
const MAX_HELD_BACK: Duration = Duration::from_millis(500);

/// Queues of one round trip, whose answers come with the last of them: a thousand pipelines take hundreds of
/// milliseconds, these less than ten.
const MAX_QUEUES: usize = 50;

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

struct Pipelines {
    subscribed: HashMap<u64, Subscribed>,
    next_id: u64,
    paces: Paces,
    /// Redis did not answer at all, and is not asked before that time.
    silent: Option<(queue::Error, Instant)>,
}

/// A pipeline that is read now.
struct Due {
    id: u64,
    interest: Interest,
    /// What it is read for.
    hint: Option<Hint>,
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
        // What is named comes before the rest of a long round.
        if let Some(heard) = shared.tracker.changed().now_or_never() {
            shared.pipelines.lock().hear(&heard);
        }
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
        let questions: Vec<Question> = due.iter().flat_map(|due| due.interest.questions()).collect();
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

impl Default for Pipelines {
    fn default() -> Self {
        let paces = Paces { possible: Pace::new(REST), likely: Pace::new(REST_OF_LIKELY) };
        Self { subscribed: HashMap::new(), next_id: 0, paces, silent: None }
    }
}

impl Pipelines {
    /// What is to be read now, or when there will be something.
    fn due(&mut self, now: Instant) -> (Vec<Due>, Instant) {
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

    fn hear(&mut self, heard: &Heard) {
        self.subscribed.values_mut().for_each(|one| one.schedule.hear(heard));
    }

    fn deliver(&mut self, due: Vec<Due>, mut answers: Answered, began: Instant) {
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
    fn fall_silent(&mut self, error: queue::Error, until: Instant) {
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
