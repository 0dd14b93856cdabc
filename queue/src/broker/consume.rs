//! Takes tasks and keeps their leases.

use super::{Broker, Call, parse};
use crate::{clock::Now, error::Error, keys::QueueKeys, scripts};
use redis::Value;
use std::{sync::Arc, time::Duration};

/// How long a lease lasts. Go's recoverer relies on no lease being much longer (asynq v0.26.0, `internal/rdb/rdb.go`).
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// At most this many tasks are taken by one dequeue, which bounds how long Redis serves no other client.
pub(crate) const MAX_TASKS_PER_DEQUEUE: usize = 250;

/// A request for up to `count` tasks of one queue, under `token`.
pub(crate) struct Dequeue {
    pub(crate) keys: Arc<QueueKeys>,
    pub(crate) token: Arc<str>,
    pub(crate) count: usize,
}

/// A task taken, as stored.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) message: Vec<u8>,
}

/// The exclusive right to a task: its id and the fencing token of its dequeue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease<'a> {
    pub(crate) id: &'a str,
    pub(crate) token: &'a str,
}

impl Broker {
    /// Takes tasks from several queues in one round trip; one answer per request.
    pub(crate) async fn dequeue(
        &self,
        requests: &[Dequeue],
        now: Now,
    ) -> Result<Vec<Result<Vec<Taken>, Error>>, Error> {
        let expiry = now.plus(LEASE).seconds();
        let call = |request: &Dequeue| {
            let keys = &request.keys;
            Call::new(&scripts::DEQUEUE, &[&keys.pending, &keys.paused, &keys.active, &keys.lease])
                .with(&keys.task_prefix)
                .with(expiry)
                .with(&*request.token)
                .with(request.count.min(MAX_TASKS_PER_DEQUEUE))
        };
        let replies = self.run_all(requests.iter().map(call).collect()).await?;
        Ok(replies.into_iter().map(|reply| taken("dequeue", reply?)).collect())
    }

    /// Finds what a dequeue under `token` took when its reply was lost.
    pub(crate) async fn reclaim(&self, keys: &QueueKeys, token: &str) -> Result<Vec<Taken>, Error> {
        let call = Call::new(&scripts::RECLAIM, &[&keys.lease]).with(&keys.task_prefix).with(token);
        taken("reclaim", self.run(call).await?)
    }

    /// Extends leases of one queue; says of each whether it is still the caller's.
    pub(crate) async fn extend_leases(
        &self,
        keys: &QueueKeys,
        leases: &[Lease<'_>],
        now: Now,
    ) -> Result<Vec<bool>, Error> {
        let mut call =
            Call::new(&scripts::EXTEND_LEASE, &[&keys.lease]).with(&keys.task_prefix).with(now.plus(LEASE).seconds());
        for lease in leases {
            call.arg(lease.id).arg(lease.token);
        }
        self.run(call).await
    }
}

/// Turns `id, message, id, message, ...` into tasks without copying.
fn taken(script: &'static str, reply: Value) -> Result<Vec<Taken>, Error> {
    let Value::Array(items) = reply else {
        return Err(Error::UnexpectedReply { script });
    };
    let mut tasks = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(id), Some(message)) = (items.next(), items.next()) {
        let Value::BulkString(message) = message else {
            return Err(Error::UnexpectedReply { script });
        };
        tasks.push(Taken { id: parse(script, id)?, message });
    }
    Ok(tasks)
}
