//! What is said of servers by somebody who watches their processes: that one has ended, or shall take no more tasks.

use super::{
    Broker, Call,
    consume::{BYTES_PER_REPLY, Taken, longest_message, message_or_length},
    parse,
};
use crate::{clock::Now, error::Error, keys, keys::QueueKeys, scripts};
use redis::Value;
use std::{collections::HashMap, time::Duration};

/// That a server has ended is told for this long: until its last lease is over by itself.
pub(crate) const ENDED_LIFE: Duration = Duration::from_secs(40);
/// A mark that nobody renews lasts this long.
pub(crate) const MARK_LIFE: Duration = Duration::from_secs(60);
/// At most this many leases are read by one call, which bounds how long Redis serves no other client.
const LEASES_PER_CALL: usize = 500;

/// A server that is said to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// `<host>:<pid>:<id>`.
    pub(crate) server: String,
    /// Unix time, milliseconds.
    pub(crate) told_ms: i64,
}

/// Active tasks of a server in one window of the leases.
#[derive(Debug)]
pub(crate) struct HeldTasks {
    /// Each with the fencing token under which it is held.
    pub(crate) tasks: Vec<(Taken, String)>,
    /// First rank of the next window, once these tasks have left.
    pub(crate) next: Option<usize>,
}

impl Broker {
    /// Says of servers that they have ended; returns of how many that was not said before.
    pub(crate) async fn tell_ended(&self, servers: &[String]) -> Result<usize, Error> {
        let mut call =
            Call::new(&scripts::TELL_ENDED, &[keys::ENDED]).with(&self.wake).with(ENDED_LIFE.as_millis() as u64);
        call.arg(servers);
        self.run(call).await
    }

    /// Servers that are said to have ended.
    pub(crate) async fn ended(&self, now: Now) -> Result<Vec<Ended>, Error> {
        let oldest = now.millis() - ENDED_LIFE.as_millis() as i64;
        let mut list = redis::cmd("ZRANGEBYSCORE");
        list.arg(keys::ENDED).arg(oldest).arg("+inf").arg("WITHSCORES");
        let rows: Vec<(String, i64)> = parse("ZRANGEBYSCORE", self.connection.command(&list).await?)?;
        Ok(rows.into_iter().map(|(server, told_ms)| Ended { server, told_ms }).collect())
    }

    /// Takes back that a server has ended; false when it was not (any more) said.
    pub(crate) async fn deny_ended(&self, server: &str) -> Result<bool, Error> {
        parse("ZREM", self.connection.command(redis::cmd("ZREM").arg(keys::ENDED).arg(server)).await?)
    }

    /// Active tasks of a queue that the server with this random id holds, in the window from `first`.
    pub(crate) async fn list_held(
        &self,
        keys: &QueueKeys,
        server_id: &str,
        first: usize,
        max_payload_bytes: usize,
    ) -> Result<HeldTasks, Error> {
        let call = Call::new(&scripts::LIST_HELD, &[&keys.lease])
            .with(&keys.task_prefix)
            .with(format!("{server_id}:"))
            .with(first)
            .with(LEASES_PER_CALL)
            .with(longest_message(max_payload_bytes))
            .with(BYTES_PER_REPLY);
        let mut items = self.run::<Vec<Value>>(call).await?.into_iter();
        let next: i64 = parse("list_held", items.next().unwrap_or(Value::Int(-1)))?;
        let mut tasks = Vec::new();
        while let (Some(id), Some(token), Some(message)) = (items.next(), items.next(), items.next()) {
            let (message, unread_bytes) = message_or_length("list_held", message)?;
            let id = parse("list_held", id)?;
            tasks.push((Taken { id, message, unread_bytes }, parse("list_held", token)?));
        }
        Ok(HeldTasks { tasks, next: usize::try_from(next).ok() })
    }

    /// Makes the servers that `owner` drains these, for [`MARK_LIFE`] from now; returns how many marks are new or gone.
    pub(crate) async fn mark_draining(&self, owner: &str, servers: &[String]) -> Result<usize, Error> {
        let mut call = Call::new(&scripts::MARK_DRAINING, &[keys::DRAINING])
            .with(&self.wake)
            .with(owner)
            .with(MARK_LIFE.as_millis() as u64);
        call.arg(servers);
        self.run(call).await
    }

    /// The servers that `owner` drains.
    pub(crate) async fn draining(&self, owner: &str, now: Now) -> Result<Vec<String>, Error> {
        let reply = self.connection.command(redis::cmd("HGETALL").arg(keys::DRAINING)).await?;
        let marks: HashMap<String, String> = parse("HGETALL", reply)?;
        let is_owned = |mark: &str| parse_mark(mark).is_some_and(|(ends_ms, of)| ends_ms > now.millis() && of == owner);
        let mut servers: Vec<String> =
            marks.into_iter().filter(|(_, mark)| is_owned(mark)).map(|(server, _)| server).collect();
        servers.sort_unstable();
        Ok(servers)
    }

    /// How long a server shall take no tasks, from `now`; `None` when it may take some.
    pub(crate) async fn drain_of(&self, server: &str, now: Now) -> Result<Option<Duration>, Error> {
        let reply = self.connection.command(redis::cmd("HGET").arg(keys::DRAINING).arg(server)).await?;
        let mark: Option<String> = parse("HGET", reply)?;
        let left_ms = mark.as_deref().and_then(parse_mark).map_or(0, |(ends_ms, _)| ends_ms - now.millis());
        Ok(u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0).map(Duration::from_millis))
    }
}

/// Until when (ms), and whose.
fn parse_mark(mark: &str) -> Option<(i64, &str)> {
    let (ends_ms, owner) = mark.split_once(' ')?;
    Some((ends_ms.parse().ok()?, owner))
}
