//! Takes tasks and keeps their leases.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::{Broker, Call, parse};
use crate::clock::Now;
use crate::error::Error;
use crate::keys::QueueKeys;
use crate::scripts;

/// How long a lease lasts. Go's recoverer relies on no lease being much longer (asynq v0.26.0, `internal/rdb/rdb.go`).
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Most tasks of one dequeue: bounds how long Redis serves nobody else.
pub(crate) const TASKS_PER_DEQUEUE: usize = 250;

/// One wish: up to `count` tasks of one queue, under `token`.
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

impl Broker {
    /// Takes tasks from several queues in one round trip; one answer per wish.
    pub(crate) async fn dequeue(&self, wishes: &[Dequeue], now: Now) -> Result<Vec<Result<Vec<Taken>, Error>>, Error> {
        let expiry = now.plus(LEASE).seconds();
        let call = |wish: &Dequeue| {
            let keys = &wish.keys;
            Call::new(&scripts::DEQUEUE, &[&keys.pending, &keys.paused, &keys.active, &keys.lease])
                .with(&keys.task_prefix)
                .with(expiry)
                .with(&*wish.token)
                .with(wish.count.min(TASKS_PER_DEQUEUE))
        };
        let replies = self.run_all(wishes.iter().map(call).collect()).await?;
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
        tasks: &[(&str, &str)],
        now: Now,
    ) -> Result<Vec<bool>, Error> {
        let mut call =
            Call::new(&scripts::EXTEND_LEASE, &[&keys.lease]).with(&keys.task_prefix).with(now.plus(LEASE).seconds());
        for (id, token) in tasks {
            call.arg(id).arg(token);
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
