//! Single tasks that come while others are on their way to Redis, sent together.
//!
//! Takes: tasks of concurrent callers, one each. Gives: each its own result. Does not: wait for company: a task goes at once
//! unless two round trips are under way, and right after the next reply otherwise.
//!
//! Redis spends about as long on calling a script as on three tasks in it, and both sides spend as long again on the round
//! trip; eight callers at work share both. Two round trips, so that Redis works on one while this side prepares the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::active_wait::wait_actively;
use crate::broker::Broker;
use crate::error::Error;
use crate::task::{Enqueued, Task};

/// The way to Redis for single tasks; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    broker: Broker,
    line: Arc<Mutex<Line>>,
}

/// Round trips under way at the same time: one for either side to work on.
const AT_ONCE: usize = 2;

/// Who is under way, and who waits.
#[derive(Debug, Default)]
struct Line {
    /// Round trips, at most [`AT_ONCE`].
    under_way: usize,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    task: Task,
    answer: oneshot::Sender<Result<Enqueued, Error>>,
}

impl Gather {
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, line: Arc::default() }
    }

    /// Enqueues or schedules one task.
    pub(crate) async fn enqueue(&self, task: &Task) -> Result<Enqueued, Error> {
        match self.stand_in_line(task) {
            // Nobody answers when the runtime of those who are under way ends.
            Some(result) => result.await.unwrap_or_else(|_| Err(Error::Unreachable(ended()))),
            None => {
                let _turn = Turn(self);
                wait_actively(self.broker.enqueue(task, self.broker.now())).await
            }
        }
    }

    /// `None`: there was room, and now the caller is under way.
    fn stand_in_line(&self, task: &Task) -> Option<oneshot::Receiver<Result<Enqueued, Error>>> {
        let mut line = self.line();
        if line.under_way < AT_ONCE {
            line.under_way += 1;
            return None;
        }
        let (answer, result) = oneshot::channel();
        line.waiting.push(Waiting { task: task.clone(), answer });
        Some(result)
    }

    /// No code panics while it holds the lock.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller under way. Its end, also by being dropped, is the turn of those who came meanwhile.
struct Turn<'a>(&'a Gather);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut others = Others { gather: self.0.clone(), served: false };
        if let Some(first) = others.next()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(others.go(first));
        }
    }
}

/// Those who waited, under way together until nobody is left.
struct Others {
    gather: Gather,
    /// Whether the next caller may go by itself again.
    served: bool,
}

impl Others {
    /// Those who wait now; `None` ends the turn.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut line = self.gather.line();
        if line.waiting.is_empty() {
            line.under_way -= 1;
            self.served = true;
            return None;
        }
        Some(std::mem::take(&mut line.waiting))
    }

    async fn go(mut self, first: Vec<Waiting>) {
        let mut next = Some(first);
        while let Some(waiting) = next {
            let (tasks, answers): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|waiting| (waiting.task, waiting.answer)).unzip();
            let broker = &self.gather.broker;
            let results = wait_actively(broker.enqueue_each(&tasks, broker.now())).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // Whoever asked may have left meanwhile.
                let _ = answer.send(result);
            }
            // Those who were answered just now come back with their next task first.
            tokio::task::yield_now().await;
            next = self.next();
        }
    }
}

/// When the runtime ends amid a turn, those who wait are told so, and the next caller may go.
impl Drop for Others {
    fn drop(&mut self) {
        if !self.served {
            let mut line = self.gather.line();
            line.under_way -= 1;
            line.waiting.clear();
        }
    }
}

fn ended() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

#[cfg(test)]
mod tests;
