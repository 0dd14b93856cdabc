//! Batches of single tasks: those of concurrent callers that come while others are on their way to Redis.
//!
//! Takes: tasks of concurrent callers, one each. Gives: each its own result. Does not: wait for more tasks: one goes at
//! once while a permit is free, and right after the next reply otherwise.
//!
//! Redis spends about as long on calling a script as on three tasks in it, and both sides spend as long again on the
//! round trip; eight callers at work share both. There are two permits, so that Redis works on one batch while this
//! side prepares the other.
//!
//! # Who holds a permit
//!
//! 1. A caller that finds one free holds it as [`Permit`] and writes its own task.
//! 2. A caller that finds none free leaves its task in `waiting` and awaits the answer.
//! 3. `Permit` is dropped, after its reply or because its caller was cancelled. If tasks wait, a spawned [`Batches`]
//!    gets the permit; otherwise it is free.
//! 4. `Batches` writes all that wait in one round trip and answers them, again and again; when none wait, the permit is
//!    free.
//! 5. `Batches` is dropped before that when the runtime ends (or there is none to spawn on): the permit is free, and
//!    dropping the senders of those that wait answers them with [`Error::Unreachable`].

use crate::{
    active_wait::wait_actively,
    broker::Broker,
    error::Error,
    task::{Enqueued, Task},
};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::{runtime::Handle, sync::oneshot};

/// The way of single tasks to Redis; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Batcher {
    broker: Broker,
    state: Arc<Mutex<State>>,
}

/// Round trips under way at the same time: one for either side to work on.
const MAX_ROUND_TRIPS: usize = 2;

#[derive(Debug, Default)]
struct State {
    /// Permits in use, at most [`MAX_ROUND_TRIPS`].
    round_trips: usize,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    task: Task,
    answer: oneshot::Sender<Result<Enqueued, Error>>,
}

impl Batcher {
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, state: Arc::default() }
    }

    /// Enqueues or schedules one task.
    pub(crate) async fn enqueue(&self, task: &Task) -> Result<Enqueued, Error> {
        match self.acquire_or_wait(task) {
            Ok(_permit) => wait_actively(self.broker.enqueue(task, self.broker.now())).await,
            Err(answer) => answer.await.unwrap_or_else(|_| Err(Error::Unreachable(runtime_ended()))),
        }
    }

    /// A permit for the caller, or the answer to the task that now waits.
    fn acquire_or_wait(&self, task: &Task) -> Result<Permit<'_>, oneshot::Receiver<Result<Enqueued, Error>>> {
        let mut state = self.state();
        if state.round_trips < MAX_ROUND_TRIPS {
            state.round_trips += 1;
            return Ok(Permit(self));
        }
        let (answer, result) = oneshot::channel();
        state.waiting.push(Waiting { task: task.clone(), answer });
        Err(result)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The right to one round trip, in the hands of a caller.
struct Permit<'a>(&'a Batcher);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut batches = Batches { batcher: self.0.clone(), has_permit: true };
        if let Some(first) = batches.next()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(batches.write(first));
        }
    }
}

/// The same right, used for the tasks that wait until none do.
struct Batches {
    batcher: Batcher,
    has_permit: bool,
}

impl Batches {
    /// The tasks that wait now; without any, the permit is given back.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.batcher.state();
        if state.waiting.is_empty() {
            state.round_trips -= 1;
            self.has_permit = false;
            return None;
        }
        Some(std::mem::take(&mut state.waiting))
    }

    async fn write(mut self, first: Vec<Waiting>) {
        let mut next = Some(first);
        while let Some(waiting) = next {
            let (tasks, answers): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|waiting| (waiting.task, waiting.answer)).unzip();
            let broker = &self.batcher.broker;
            let results = wait_actively(broker.enqueue_each(&tasks, broker.now())).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // The caller may have been cancelled meanwhile.
                let _ = answer.send(result);
            }
            // The callers just answered get to bring their next task first.
            tokio::task::yield_now().await;
            next = self.next();
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        if self.has_permit {
            let mut state = self.batcher.state();
            state.round_trips -= 1;
            state.waiting.clear();
        }
    }
}

fn runtime_ended() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

#[cfg(test)]
mod tests;
