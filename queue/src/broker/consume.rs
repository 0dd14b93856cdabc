//! Takes tasks and keeps their leases.

use super::{Broker, Call, parse};
use crate::{clock::Now, error::Error, keys::QueueKeys, scripts};
use redis::Value;
use std::{sync::Arc, time::Duration, vec::IntoIter};

/// How long a lease lasts. Go's recoverer relies on no lease being much longer (asynq v0.26.0, `internal/rdb/rdb.go`).
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// At most this many tasks are taken by one dequeue, which bounds how long Redis serves no other client.
pub(crate) const MAX_TASKS_PER_DEQUEUE: usize = 250;

/// At most so many bytes of messages come with one reply, unless a single message has more: what Redis has not answered
/// within a second is given up, so this is what a network of 10 MB/s carries in half of it.
pub(super) const BYTES_PER_REPLY: usize = 4 * 1024 * 1024;
/// What a message has beside its payload: id, kind, headers, and a cause of 8 KiB at most. Whoever has longer headers
/// has a smaller payload.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// The longest message (bytes) that may hold a payload of `max_payload_bytes`.
pub(super) fn longest_message(max_payload_bytes: usize) -> usize {
    max_payload_bytes.saturating_add(ENVELOPE_BYTES)
}

/// A request for up to `count` tasks of one queue, under `token`.
pub(crate) struct Dequeue {
    pub(crate) keys: Arc<QueueKeys>,
    pub(crate) token: Arc<str>,
    pub(crate) count: usize,
    /// Of a longer payload nothing is read.
    pub(crate) max_payload_bytes: usize,
}

/// What a dequeue took of one queue.
#[derive(Debug)]
pub(crate) struct Dequeued {
    pub(crate) taken: Vec<Taken>,
    /// True: more are pending than were taken.
    pub(crate) more: bool,
}

/// A task taken, as stored.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: String,
    /// Empty when it was not read.
    pub(crate) message: Vec<u8>,
    /// Length of a message that is too long to be read.
    pub(crate) unread_bytes: Option<u64>,
}

/// The exclusive right to a task: its id and the fencing token of its dequeue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease<'a> {
    pub(crate) id: &'a str,
    pub(crate) token: &'a str,
}

impl Broker {
    /// Takes tasks from several queues in one round trip; one answer per request.
    pub(crate) async fn dequeue(&self, requests: &[Dequeue], now: Now) -> Result<Vec<Result<Dequeued, Error>>, Error> {
        let expiry = now.plus(LEASE).seconds();
        let call = |request: &Dequeue| {
            let keys = &request.keys;
            Call::new(&scripts::DEQUEUE, &[&keys.pending, &keys.paused, &keys.active, &keys.lease])
                .with(&keys.task_prefix)
                .with(expiry)
                .with(&*request.token)
                .with(request.count.min(MAX_TASKS_PER_DEQUEUE))
                .with(longest_message(request.max_payload_bytes))
                .with(BYTES_PER_REPLY)
        };
        let replies = self.run_all(requests.iter().map(call).collect()).await?;
        Ok(replies.into_iter().map(|reply| dequeued(reply?)).collect())
    }

    /// Finds what a dequeue under `token` took when its reply was lost.
    pub(crate) async fn reclaim(
        &self,
        keys: &QueueKeys,
        token: &str,
        max_payload_bytes: usize,
    ) -> Result<Vec<Taken>, Error> {
        let call = Call::new(&scripts::RECLAIM, &[&keys.lease])
            .with(&keys.task_prefix)
            .with(token)
            .with(longest_message(max_payload_bytes));
        taken("reclaim", items("reclaim", self.run(call).await?)?)
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

fn items(script: &'static str, reply: Value) -> Result<IntoIter<Value>, Error> {
    match reply {
        Value::Array(items) => Ok(items.into_iter()),
        _ => Err(Error::UnexpectedReply { script }),
    }
}

fn dequeued(reply: Value) -> Result<Dequeued, Error> {
    let mut items = items("dequeue", reply)?;
    let left: i64 = parse("dequeue", items.next().unwrap_or(Value::Int(0)))?;
    Ok(Dequeued { taken: taken("dequeue", items)?, more: left > 0 })
}

/// Turns `id, message, id, message, ...` into tasks without copying.
fn taken(script: &'static str, mut items: IntoIter<Value>) -> Result<Vec<Taken>, Error> {
    let mut tasks = Vec::with_capacity(items.len() / 2);
    while let (Some(id), Some(message)) = (items.next(), items.next()) {
        let (message, unread_bytes) = message_or_length(script, message)?;
        tasks.push(Taken { id: parse(script, id)?, message, unread_bytes });
    }
    Ok(tasks)
}

/// A message as the scripts give it, or the length that stands in its place.
pub(super) fn message_or_length(script: &'static str, value: Value) -> Result<(Vec<u8>, Option<u64>), Error> {
    match value {
        Value::BulkString(message) => Ok((message, None)),
        Value::Int(length) => Ok((Vec::new(), Some(u64::try_from(length).unwrap_or_default()))),
        _ => Err(Error::UnexpectedReply { script }),
    }
}
