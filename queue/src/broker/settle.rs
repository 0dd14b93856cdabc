//! Ends attempts: ack, complete, requeue, retry, archive. Each says whether the lease was still the caller's.

use super::{Broker, Call, Lease, parse};
use crate::{
    clock::Now,
    error::Error,
    keys::QueueKeys,
    scripts::{self, Script},
};
use redis::Value;
use std::time::Duration;

/// Daily counters live this long (asynq v0.26.0, `internal/rdb/rdb.go`).
const DAY_COUNTER_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Archived tasks older than this are trimmed (asynq: 90 days).
const ARCHIVE_MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// Archived tasks beyond this number are trimmed, oldest first (asynq means 10,000 and keeps 9,999).
const MAX_ARCHIVED: usize = 10_000;
/// Tasks trimmed per step.
const ARCHIVE_STEP: usize = 500;

/// Whether a write-back took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Written.
    Done,
    /// The lease was not the caller's any more, or an earlier try of the same write got through. Nothing was changed.
    NotMine,
}

/// What entitles to a write-back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guard<'a> {
    /// The fencing token of the dequeue.
    Token(&'a str),
    /// The expired lease (Unix time, seconds) a recoverer saw.
    ExpiredLease(i64),
}

/// The next attempt at a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NextAttempt<'a> {
    /// The task's bytes from now on.
    pub(crate) message: &'a [u8],
    /// How long until it is due.
    pub(crate) delay: Duration,
    /// Whether the failed attempt goes into the counters.
    pub(crate) counted: bool,
}

impl Broker {
    /// Succeeded attempts without retention, of one queue: removes the tasks.
    pub(crate) async fn ack(&self, keys: &QueueKeys, leases: &[Lease<'_>], now: Now) -> Result<Vec<Settled>, Error> {
        let day = keys.processed_on(&now.date());
        let mut call = Call::new(&scripts::ACK, &[&keys.active, &keys.lease, &keys.processed, &day]);
        call.arg(&keys.task_prefix).arg(now.plus(DAY_COUNTER_LIFE).seconds());
        for lease in leases {
            call.arg(lease.id).arg(lease.token);
        }
        Ok(self.run::<Vec<bool>>(call).await?.into_iter().map(settled).collect())
    }

    /// A succeeded attempt with retention: keeps the task, now `message`, as completed.
    pub(crate) async fn complete(
        &self,
        keys: &QueueKeys,
        lease: Lease<'_>,
        message: &[u8],
        retention: Duration,
        now: Now,
    ) -> Result<Settled, Error> {
        let day = keys.processed_on(&now.date());
        let call = Call::new(&scripts::COMPLETE, &[&keys.active, &keys.lease, &keys.completed, &keys.processed, &day])
            .with(&keys.task_prefix)
            .with(now.plus(DAY_COUNTER_LIFE).seconds())
            .with(lease.id)
            .with(lease.token)
            .with(message)
            .with(now.plus(retention).seconds());
        self.run(call).await.map(settled)
    }

    /// Hands tasks of one queue back, to run next, without using up a retry.
    pub(crate) async fn requeue(
        &self,
        keys: &QueueKeys,
        leases: &[Lease<'_>],
        now: Now,
    ) -> Result<Vec<Settled>, Error> {
        let mut call = Call::new(&scripts::REQUEUE, &[&keys.active, &keys.lease, &keys.pending]);
        call.arg(&keys.task_prefix).arg(now.0).arg(&self.wake).arg(&keys.name);
        for lease in leases {
            call.arg(lease.id).arg(lease.token);
        }
        Ok(self.run::<Vec<bool>>(call).await?.into_iter().map(settled).collect())
    }

    /// A failed attempt that is followed by another.
    pub(crate) async fn retry(
        &self,
        keys: &QueueKeys,
        id: &str,
        guard: Guard<'_>,
        next: NextAttempt<'_>,
        now: Now,
    ) -> Result<Settled, Error> {
        let due = now.plus(next.delay);
        let call = failure_call(&scripts::RETRY, keys, &keys.retry, now)
            .with(&self.wake)
            .with(id)
            .with(guard.token())
            .with(guard.expiry())
            .with(next.message)
            .with(due.seconds())
            .with(due.millis())
            .with(i32::from(next.counted));
        self.run(call).await.map(settled)
    }

    /// The last failed attempt: keeps the task, now `message`, as archived and trims the archive. An empty message
    /// leaves the task's bytes as they are.
    pub(crate) async fn archive(
        &self,
        keys: &QueueKeys,
        id: &str,
        guard: Guard<'_>,
        message: &[u8],
        now: Now,
    ) -> Result<Settled, Error> {
        let oldest = Now(now.0 - ARCHIVE_MAX_AGE.as_nanos() as i64);
        let call = failure_call(&scripts::ARCHIVE, keys, &keys.archived, now)
            .with(now.seconds())
            .with(id)
            .with(guard.token())
            .with(guard.expiry())
            .with(message)
            .with(oldest.seconds())
            .with(MAX_ARCHIVED)
            .with(ARCHIVE_STEP);
        let (done, trimmed): (bool, u64) = parse("archive", self.run::<Value>(call).await?)?;
        if trimmed > 0 {
            metrics::counter!("queue_tasks_trimmed_total", "queue" => keys.name.clone()).increment(trimmed);
        }
        Ok(settled(done))
    }
}

impl Guard<'_> {
    fn token(&self) -> &str {
        match self {
            Self::Token(token) => token,
            Self::ExpiredLease(_) => "",
        }
    }

    fn expiry(&self) -> i64 {
        match self {
            Self::Token(_) => 0,
            Self::ExpiredLease(expiry) => *expiry,
        }
    }
}

/// What retry and archive have in common: keys, task prefix, expiry of the counters.
fn failure_call(script: &'static std::sync::LazyLock<Script>, keys: &QueueKeys, container: &str, now: Now) -> Call {
    let date = now.date();
    let (processed, failed) = (keys.processed_on(&date), keys.failed_on(&date));
    let names = [&*keys.active, &*keys.lease, container, &*keys.processed, &*processed, &*keys.failed, &*failed];
    Call::new(script, &names).with(&keys.task_prefix).with(now.plus(DAY_COUNTER_LIFE).seconds())
}

fn settled(done: bool) -> Settled {
    if done { Settled::Done } else { Settled::NotMine }
}
