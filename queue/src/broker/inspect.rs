//! Reads without changing anything, by the Redis clock.

use std::time::Duration;

use prost::Message as _;
use redis::Value;

use super::{Broker, Call, parse};
use crate::error::Error;
use crate::keys::{self, QueueKeys};
use crate::message::wire;
use crate::scripts;

/// What `queue_state.lua` answers.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Pending, active, scheduled, retry, archived, completed, due, due within the look-ahead, processed, failed, paused.
    pub(crate) counts: [i64; 11],
    /// Unix time, seconds, of the next scheduled or retry entry.
    pub(crate) next_due_s: Option<i64>,
    /// Unix time, nanoseconds, since when the task that runs next has been pending.
    pub(crate) pending_since_ns: Option<i64>,
}

impl Broker {
    /// One queue's figures.
    pub(crate) async fn queue_state(&self, keys: &QueueKeys, ahead: Duration) -> Result<Figures, Error> {
        let containers = [&keys.pending, &keys.active, &keys.scheduled, &keys.retry, &keys.archived, &keys.completed];
        let others = [&keys.processed, &keys.failed, &keys.paused];
        let names: Vec<&str> = containers.into_iter().chain(others).map(String::as_str).collect();
        let call = Call::new(&scripts::QUEUE_STATE, &names).with(&keys.task_prefix).with(ahead.as_secs());
        let (next_due, since, counts): (i64, String, Vec<i64>) = self.run(call).await?;
        let counts = counts.try_into().map_err(|_| Error::UnexpectedReply { script: "queue_state" })?;
        Ok(Figures { counts, next_due_s: (next_due >= 0).then_some(next_due), pending_since_ns: since.parse().ok() })
    }

    /// The registry of queues.
    pub(crate) async fn registered_queues(&self) -> Result<Vec<String>, Error> {
        parse("SMEMBERS", self.connection.command(redis::cmd("SMEMBERS").arg(keys::QUEUES)).await?)
    }

    /// What live servers last said of themselves; what does not decode is left out, as asynq does.
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
        let decode = |reply| match reply {
            Value::BulkString(bytes) => wire::ServerInfo::decode(&*bytes).ok(),
            _ => None,
        };
        Ok(replies.into_iter().filter_map(decode).collect())
    }
}
