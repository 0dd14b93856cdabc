//! One attempt at one task: decode, call the handler within its time, catch a panic, hand the settlement to the
//! settler.

use super::{
    Shared,
    held::Held,
    running::Attempt,
    settler::{Outcome, Settlement},
};
use crate::{
    clock::Now,
    handler::{Handler, Job, TaskError, TimeLimit},
    message::{Stored, Times},
};
use futures::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Starts an attempt, or hands the task back when the server has stopped taking tasks meanwhile.
pub(crate) fn start<H: Handler>(shared: &Arc<Shared>, handler: &Arc<H>, held: Held, lease_until: Instant) {
    let started = shared.broker.now();
    let max_payload_bytes = shared.settings.borrow().max_payload_bytes;
    let unread_bytes = held.taken.unread_bytes;
    let stored = Stored::decode(&held.taken.message);
    let attempt = Attempt {
        held: Arc::new(held),
        started,
        ends: stored.as_ref().map_or(started, |stored| stored.times().attempt_ends(started)),
        cancelled: CancellationToken::new(),
        lease_until,
        abort: None,
    };
    shared.running.insert(attempt.clone());
    let work = Work { shared: Arc::clone(shared), attempt };
    match (unread_bytes, stored) {
        _ if shared.stop_taking.is_cancelled() => work.settle(started, Outcome::Requeue),
        (Some(bytes), _) => {
            work.tell_too_long(bytes);
            work.settle(started, Outcome::Archive { message: Vec::new() });
        }
        (None, Ok(stored)) if stored.payload_bytes() > max_payload_bytes => {
            let bytes = stored.payload_bytes();
            work.tell_too_long(bytes as u64);
            let cause = format!("payload of {bytes} bytes is over the limit of {max_payload_bytes}");
            work.settle(started, Outcome::Archive { message: stored.archived(&cause, started) });
        }
        (None, Ok(stored)) => spawn(work, Arc::clone(handler), stored),
        (None, Err(_)) => {
            let Held { queue, taken, .. } = &*work.attempt.held;
            tracing::error!(task.id = taken.id, queue.name = queue.keys.name, "undecodable task archived as it is");
            let message = taken.message.clone();
            work.settle(started, Outcome::Archive { message });
        }
    }
}

/// What one attempt needs besides its task and its handler.
struct Work {
    shared: Arc<Shared>,
    attempt: Attempt,
}

impl Work {
    fn settle(&self, ended: Now, outcome: Outcome) {
        let held = Arc::clone(&self.attempt.held);
        self.shared.settle(Settlement { held, ended, outcome, refused_since: None });
    }

    fn tell_too_long(&self, bytes: u64) {
        let Held { queue, taken, .. } = &*self.attempt.held;
        queue.tell_too_long(&taken.id, bytes);
    }
}

fn spawn<H: Handler>(work: Work, handler: Arc<H>, stored: Stored) {
    let shared = Arc::clone(&work.shared);
    let number = work.attempt.held.number;
    let slot = Slot::take(&shared);
    let task = tokio::spawn(async move {
        let outcome = run(&work, &*handler, stored).await;
        work.shared.running.ended(number);
        work.settle(work.shared.broker.now(), outcome);
        drop(slot);
    });
    shared.running.set_abort(number, task.abort_handle());
}

/// Calls the handler and turns its answer into what shall become of the task.
async fn run<H: Handler>(work: &Work, handler: &H, stored: Stored) -> Outcome {
    let now = work.shared.broker.now();
    let queue = &work.attempt.held.queue;
    if work.attempt.ends <= now {
        queue.failed.increment(1);
        queue.processed.increment(1);
        return Outcome::Archive { message: stored.archived("deadline exceeded before the attempt started", now) };
    }
    let begun = Instant::now();
    let retried = stored.retried();
    let retention = stored.retention();
    let ended = call(work, handler, stored).await;
    queue.processed.increment(1);
    queue.seconds.record(begun.elapsed().as_secs_f64());
    let error = match ended {
        Ok(Ok(())) => return success(work, retention),
        Ok(Err(error)) => error,
        Err(panic) => TaskError::Retry { after: None, counted: true, cause: panic_text(&*panic) },
    };
    queue.failed.increment(1);
    failure(work, error, retried)
}

/// Calls the handler in a span of its own, and cancels it when its time is up. The outer error is what a panic carried.
async fn call<H: Handler>(work: &Work, handler: &H, stored: Stored) -> std::thread::Result<Result<(), TaskError>> {
    let times = stored.times();
    let job = Job {
        retried: stored.retried(),
        task: stored.into_task(),
        limit: TimeLimit::default(),
        server: work.shared.identity(),
        cancelled: work.attempt.cancelled.clone(),
    };
    let limit = job.limit.clone();
    let span = tracing::info_span!(
        "task",
        task.id = work.attempt.held.taken.id,
        queue.name = work.attempt.held.queue.keys.name,
        task.attempt = u64::from(job.retried) + 1
    );
    let call = AssertUnwindSafe(async { handler.handle(job).await }.instrument(span)).catch_unwind();
    tokio::pin!(call);
    tokio::select! {
        biased;
        ended = &mut call => ended,
        () = time_is_up(work, times, &limit) => {
            work.attempt.cancelled.cancel();
            call.await
        }
    }
}

/// Waits until the attempt has to end; marks the handler's limit as reached when that is because of the timeout.
async fn time_is_up(work: &Work, times: Times, limit: &TimeLimit) {
    let broker = &work.shared.broker;
    let mut ends = work.attempt.ends;
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
        work.shared.running.ends_at(work.attempt.held.number, ends);
    }
    if times.is_before_deadline(ends) {
        limit.reach();
    }
}

fn success(work: &Work, retention: Duration) -> Outcome {
    if retention.is_zero() {
        return Outcome::Ack;
    }
    match Stored::decode(&work.attempt.held.taken.message) {
        Ok(stored) => Outcome::Complete { message: stored.completed(work.shared.broker.now()), retention },
        Err(_) => Outcome::Ack,
    }
}

fn failure(work: &Work, error: TaskError, retried: u32) -> Outcome {
    let now = work.shared.broker.now();
    let message = &work.attempt.held.taken.message;
    let Ok(stored) = Stored::decode(message) else {
        return Outcome::Archive { message: message.clone() };
    };
    match error {
        TaskError::Retry { after, counted, cause } if !counted || !stored.is_exhausted() => {
            let delay = after.unwrap_or_else(|| work.shared.retry_delay(retried));
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
