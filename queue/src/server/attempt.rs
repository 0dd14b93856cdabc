//! One attempt at one task: decode, call the handler within its time, catch a panic, hand the result to the settler.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::queues::Queue;
use super::running::Attempt;
use super::settler::{Outcome, Result};
use crate::broker::Taken;
use crate::clock::Now;
use crate::handler::{Handler, Job, TaskError, TimeLimit};
use crate::message::{Stored, Times};

/// Starts an attempt, or hands the task back when the server has stopped taking tasks meanwhile.
pub(crate) fn start<H: Handler>(
    shared: &Arc<Shared>,
    handler: &Arc<H>,
    queue: &Arc<Queue>,
    token: &Arc<str>,
    lease_until: Instant,
    taken: Taken,
) {
    let started = shared.broker.now();
    let taken = Arc::new(taken);
    let number = shared.next_number();
    let stored = Stored::decode(&taken.message);
    let attempt = Attempt {
        queue: Arc::clone(queue),
        taken: Arc::clone(&taken),
        token: Arc::clone(token),
        started,
        ends: stored.as_ref().map_or(started, |stored| stored.times().attempt_ends(started)),
        cancelled: CancellationToken::new(),
        lease_until,
        abort: None,
    };
    let cancelled = attempt.cancelled.clone();
    let ends = attempt.ends;
    shared.running.insert(number, attempt);
    let end = End { shared: Arc::clone(shared), number, queue: Arc::clone(queue), taken, token: Arc::clone(token) };
    let stored = match stored {
        _ if shared.stop_taking.is_cancelled() => return end.settle(started, Outcome::Requeue),
        Ok(stored) => stored,
        Err(_) => {
            tracing::error!(task.id = end.taken.id, queue.name = queue.keys.name, "undecodable task archived as it is");
            let message = end.taken.message.clone();
            return end.settle(started, Outcome::Archive { message });
        }
    };
    let slot = Slot::take(shared);
    let handler = Arc::clone(handler);
    let task = tokio::spawn(async move {
        let outcome = run(&end, &*handler, stored, cancelled, ends).await;
        end.shared.running.ended(number);
        end.settle(end.shared.broker.now(), outcome);
        drop(slot);
    });
    shared.running.set_abort(number, task.abort_handle());
}

/// Calls the handler and turns what it says into what shall become of the task.
async fn run<H: Handler>(end: &End, handler: &H, stored: Stored, cancelled: CancellationToken, ends: Now) -> Outcome {
    let broker = &end.shared.broker;
    if ends <= broker.now() {
        end.queue.failed.increment(1);
        end.queue.processed.increment(1);
        let message = stored.archived("deadline exceeded before the attempt started", broker.now());
        return Outcome::Archive { message };
    }
    let (begun, retried, retention, times) = (Instant::now(), stored.retried(), stored.retention(), stored.times());
    let limit = TimeLimit::default();
    let job = Job { task: stored.into_task(), retried, limit: limit.clone(), cancelled: cancelled.clone() };
    let call = AssertUnwindSafe(async { handler.handle(job).await }).catch_unwind();
    tokio::pin!(call);
    let ended = tokio::select! {
        biased;
        ended = &mut call => ended,
        () = time_is_up(end, times, &limit, ends) => {
            cancelled.cancel();
            call.await
        }
    };
    end.queue.processed.increment(1);
    end.queue.seconds.record(begun.elapsed().as_secs_f64());
    let error = match ended {
        Ok(Ok(())) => return success(end, retention),
        Ok(Err(error)) => error,
        Err(panic) => TaskError::Retry { after: None, counted: true, cause: panic_text(&*panic) },
    };
    end.queue.failed.increment(1);
    failure(end, error, retried)
}

/// Waits until the attempt has to end; tells the handler's limit when that is because of the timeout.
async fn time_is_up(end: &End, times: Times, limit: &TimeLimit, mut ends: Now) {
    let broker = &end.shared.broker;
    let mut counted_from = None;
    loop {
        let left = u64::try_from(ends.0.saturating_sub(broker.now().0)).unwrap_or(0);
        tokio::select! {
            biased;
            moved = limit.moved(counted_from) => counted_from = moved,
            () = tokio::time::sleep(Duration::from_nanos(left)) => break,
        }
        let ahead = counted_from.map_or(Duration::ZERO, |from| from.saturating_duration_since(Instant::now()));
        ends = times.attempt_ends(broker.now().plus(ahead));
        end.shared.running.ends_at(end.number, ends);
    }
    if times.is_before_deadline(ends) {
        limit.reach();
    }
}

fn success(end: &End, retention: Duration) -> Outcome {
    if retention.is_zero() {
        return Outcome::Ack;
    }
    match Stored::decode(&end.taken.message) {
        Ok(stored) => Outcome::Complete { message: stored.completed(end.shared.broker.now()), retention },
        Err(_) => Outcome::Ack,
    }
}

fn failure(end: &End, error: TaskError, retried: u32) -> Outcome {
    let now = end.shared.broker.now();
    let Ok(stored) = Stored::decode(&end.taken.message) else {
        return Outcome::Archive { message: end.taken.message.clone() };
    };
    match error {
        TaskError::Retry { after, counted, cause } if !counted || !stored.is_exhausted() => {
            let delay = after.unwrap_or_else(|| end.shared.retry_delay(retried));
            Outcome::Retry { message: stored.failed(&cause, now, counted), delay, counted }
        }
        TaskError::Retry { cause, .. } | TaskError::GiveUp { cause } => {
            Outcome::Archive { message: stored.archived(&cause, now) }
        }
    }
}

/// What `panic!` was given, when that was text.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("of unknown type"))
}

/// What the settler needs to know of an attempt.
struct End {
    shared: Arc<Shared>,
    number: u64,
    queue: Arc<Queue>,
    taken: Arc<Taken>,
    token: Arc<str>,
}

impl End {
    fn settle(&self, ended: Now, outcome: Outcome) {
        let (queue, taken, token) = (Arc::clone(&self.queue), Arc::clone(&self.taken), Arc::clone(&self.token));
        self.shared.settle(Result { number: self.number, queue, taken, token, ended, outcome, refused: None });
    }
}

/// One unit of the concurrency; given back when the handler's task ends, however it ends.
struct Slot {
    shared: Arc<Shared>,
}

impl Slot {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.handler_started();
        Self { shared: Arc::clone(shared) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.handler_ended();
    }
}
