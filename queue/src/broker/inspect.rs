//! Reads without changing anything, by the Redis clock.

use super::{Broker, Call, parse};
use crate::{
    error::Error,
    keys::{self, QueueKeys},
    message::wire,
    queue_state::{DUE_LATER_S, QueueReading, QueueState},
    scripts,
};
use jiff::Timestamp;
use prost::Message as _;
use redis::Value;
use std::time::Duration;

impl Broker {
    /// One queue; what is due is counted up to `ahead` from now, in whole seconds.
    pub(crate) async fn queue_reading(&self, keys: &QueueKeys, ahead: Duration) -> Result<QueueReading, Error> {
        queue_reading(self.run(queue_state_call(keys, ahead)).await?)
    }

    /// The registry of queues.
    pub(crate) async fn registered_queues(&self) -> Result<Vec<String>, Error> {
        parse("SMEMBERS", self.connection.command(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?)
    }

    /// The last heartbeats of live servers; what does not decode is left out, as asynq does. An error as well where
    /// only one node of a cluster is silent: its servers are alive, and who counts them must not miss them.
    pub(crate) async fn live_servers(&self) -> Result<Vec<wire::ServerInfo>, Error> {
        // Not the offset known since the connection was opened: the machine's clock may have been set meanwhile.
        self.connection.measure_clock().await?;
        let now = self.now().seconds();
        let mut list = redis::cmd("ZRANGEBYSCORE");
        list.arg(keys::SERVERS).arg(now).arg("+inf");
        let names: Vec<String> = parse("ZRANGEBYSCORE", self.connection.command(&list).await?)?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::Pipeline::new();
        for name in &names {
            pipeline.cmd("GET").arg(name);
        }
        let replies = self.connection.pipeline(&pipeline).await?;
        let entries = replies.into_iter().collect::<Result<Vec<Value>, Error>>()?;
        let decode = |entry| match entry {
            Value::BulkString(bytes) => wire::ServerInfo::decode(&*bytes).ok(),
            _ => None,
        };
        Ok(entries.into_iter().filter_map(decode).collect())
    }
}

/// The call that reads one queue.
pub(super) fn queue_state_call(keys: &QueueKeys, ahead: Duration) -> Call {
    let containers = [&keys.pending, &keys.active, &keys.scheduled, &keys.retry, &keys.archived, &keys.completed];
    let others = [&keys.processed, &keys.failed, &keys.paused];
    let names: Vec<&str> = containers.into_iter().chain(others).map(String::as_str).collect();
    Call::new(&scripts::QUEUE_STATE, &names).with(&keys.task_prefix).with(ahead.as_secs()).with(&DUE_LATER_S[..])
}

/// Its answer, in the order that the script documents.
pub(super) fn queue_reading(reply: Value) -> Result<QueueReading, Error> {
    let (next_due_s, since_ns, counts, now_ms, next_beyond_s, later): (i64, String, Vec<i64>, i64, i64, Vec<i64>) =
        parse(scripts::QUEUE_STATE.name, reply)?;
    let [pending, active, scheduled, retry, archived, completed, due, due_within, processed, failed, paused] =
        counts.try_into().map_err(|_| Error::UnexpectedReply { script: scripts::QUEUE_STATE.name })?;
    let due_later: [i64; DUE_LATER_S.len()] =
        later.try_into().map_err(|_| Error::UnexpectedReply { script: scripts::QUEUE_STATE.name })?;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    let second = |at: i64| (at >= 0).then(|| Timestamp::from_second(at).ok()).flatten();
    let state = QueueState {
        pending: count(pending),
        active: count(active),
        scheduled: count(scheduled),
        retry: count(retry),
        archived: count(archived),
        completed: count(completed),
        due: count(due),
        due_within: count(due_within),
        next_due_at: second(next_due_s),
        oldest_pending_since: since_ns.parse().ok().and_then(|ns: i64| Timestamp::from_nanosecond(ns.into()).ok()),
        processed: count(processed),
        failed: count(failed),
        paused: paused != 0,
    };
    let at = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    Ok(QueueReading { state, at, next_beyond_at: second(next_beyond_s), due_later: due_later.map(count) })
}
