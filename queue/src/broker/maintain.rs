//! What happens to tasks without a worker's doing: forward, list expired leases, repair, delete after the retention;
//! and a server's own entry in Redis.

use super::{
    Broker, Call,
    consume::{BYTES_PER_REPLY, longest_message, message_or_length},
    parse,
};
use crate::{
    clock::Now,
    error::Error,
    keys::{self, QueueKeys},
    scripts,
};
use redis::Value;
use std::time::Duration;

/// At most this many entries are read by one call, which bounds how long Redis serves no other client (a few ms).
const ENTRIES_PER_FORWARD: usize = 2_000;
/// At most this many expired leases, repairs and deletions per call.
const ENTRIES_PER_CALL: usize = 500;
/// How long a server is believed to live after a heartbeat (asynq v0.26.0, `heartbeat.go`).
const SERVER_LIFE: Duration = Duration::from_secs(10);
/// Servers are taken out of the register this long after their end.
const DEAD_SERVER_LISTED: Duration = Duration::from_secs(60);

/// What one forward did to one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// Tasks that became pending.
    pub(crate) forwarded: usize,
    /// There may be more due entries than one call reads.
    pub(crate) more: bool,
    /// When to poll again for the next entry; Unix time, milliseconds.
    pub(crate) next_poll_ms: Option<i64>,
}

/// An active task whose lease ran out.
#[derive(Debug)]
pub(crate) struct Expired {
    pub(crate) id: String,
    /// Unix time, seconds.
    pub(crate) expiry: i64,
    /// Empty when it was not read.
    pub(crate) message: Vec<u8>,
    /// Length of a message that is too long to be read.
    pub(crate) unread_bytes: Option<u64>,
}

impl Broker {
    /// Moves due tasks of the queues to pending; answers are two per queue, scheduled and retry. On a cluster some may
    /// be errors; all of them is an error of the whole.
    pub(crate) async fn forward(
        &self,
        queues: &[&QueueKeys],
        now: Now,
    ) -> Result<Vec<Result<Forwarded, Error>>, Error> {
        let mut calls = Vec::with_capacity(queues.len() * 2);
        for keys in queues {
            calls.extend([&keys.scheduled, &keys.retry].map(|source| self.forward_call(keys, source, now)));
        }
        let replies = self.run_all(calls).await?;
        let read = |reply: Result<Value, Error>| {
            let (seen, forwarded, next_poll_ms): (usize, usize, i64) = parse("forward", reply?)?;
            let next_poll_ms = (next_poll_ms >= 0).then_some(next_poll_ms);
            Ok(Forwarded { forwarded, more: seen >= ENTRIES_PER_FORWARD && forwarded > 0, next_poll_ms })
        };
        Ok(replies.into_iter().map(read).collect())
    }

    fn forward_call(&self, keys: &QueueKeys, source: &str, now: Now) -> Call {
        Call::new(&scripts::FORWARD, &[source, &keys.pending, &keys.groups])
            .with(&keys.task_prefix)
            .with(now.seconds())
            .with(now.millis())
            .with(now.0)
            .with(&self.wake)
            .with(&keys.name)
            .with(&keys.group_prefix)
            .with(ENTRIES_PER_FORWARD)
    }

    /// Active tasks whose lease ran out by `cutoff`, and the earliest expiry of those that are left (Unix time,
    /// seconds). Not later than `cutoff` when more have run out than one reply holds.
    pub(crate) async fn list_expired(
        &self,
        keys: &QueueKeys,
        cutoff: Now,
        max_payload_bytes: usize,
    ) -> Result<(Vec<Expired>, Option<i64>), Error> {
        let call = Call::new(&scripts::LIST_EXPIRED, &[&keys.active, &keys.lease])
            .with(&keys.task_prefix)
            .with(cutoff.seconds())
            .with(ENTRIES_PER_CALL)
            .with(longest_message(max_payload_bytes))
            .with(BYTES_PER_REPLY);
        let mut items = self.run::<Vec<Value>>(call).await?.into_iter();
        let next: i64 = parse("list_expired", items.next().unwrap_or(Value::Int(-1)))?;
        let mut expired = Vec::new();
        while let (Some(id), Some(expiry), Some(message)) = (items.next(), items.next(), items.next()) {
            let (message, unread_bytes) = message_or_length("list_expired", message)?;
            let (id, expiry) = (parse("list_expired", id)?, parse("list_expired", expiry)?);
            expired.push(Expired { id, expiry, message, unread_bytes });
        }
        Ok((expired, (next >= 0).then_some(next)))
    }

    /// Repairs active and lease, drops dangling ids from windows of the other containers, deletes what outlived its
    /// retention. Returns how many repairs were made; deletions are no repairs.
    pub(crate) async fn repair(&self, keys: &QueueKeys, window: usize, now: Now) -> Result<u64, Error> {
        let fresh_lease = now.plus(super::consume::LEASE).seconds();
        let active = Call::new(&scripts::REPAIR_ACTIVE, &[&keys.active, &keys.lease])
            .with(&keys.task_prefix)
            .with(fresh_lease)
            .with(ENTRIES_PER_CALL)
            .with(now.seconds());
        let last = window + ENTRIES_PER_CALL - 1;
        let dangling = |container: &str, kind: &str| {
            Call::new(&scripts::DROP_DANGLING, &[container]).with(&keys.task_prefix).with(window).with(last).with(kind)
        };
        let mut calls = vec![active, dangling(&keys.pending, "list")];
        calls
            .extend([&keys.scheduled, &keys.retry, &keys.archived, &keys.completed].map(|zset| dangling(zset, "zset")));
        let mut replies = self.run_all(calls).await?.into_iter();
        let mut repairs: u64 = parse("repair_active", replies.next().unwrap_or(Ok(Value::Int(0)))?)?;
        for reply in replies {
            let (_, dropped): (u64, u64) = parse("drop_dangling", reply?)?;
            repairs += dropped;
        }
        Ok(repairs)
    }

    /// Deletes completed tasks whose retention ended; returns how many.
    pub(crate) async fn delete_expired(&self, keys: &QueueKeys, now: Now) -> Result<usize, Error> {
        let mut deleted = 0;
        loop {
            let call = Call::new(&scripts::DELETE_EXPIRED, &[&keys.completed])
                .with(&keys.task_prefix)
                .with(now.seconds())
                .with(ENTRIES_PER_CALL);
            let step: usize = self.run(call).await?;
            deleted += step;
            if step < ENTRIES_PER_CALL {
                return Ok(deleted);
            }
        }
    }

    /// Publishes a server and its running tasks for 10 s, and removes the entries of servers that died. `workers` are
    /// ids and encoded `WorkerInfo`s.
    pub(crate) async fn write_server(
        &self,
        identity: &str,
        info: &[u8],
        workers: &[(String, Vec<u8>)],
        now: Now,
    ) -> Result<(), Error> {
        let (server, running) = (keys::server(identity), keys::workers(identity));
        let expiry = now.plus(SERVER_LIFE).seconds();
        let mut call = Call::new(&scripts::WRITE_SERVER, &[&server, &running]).with(SERVER_LIFE.as_secs()).with(info);
        for (id, worker) in workers {
            call.arg(id).arg(worker);
        }
        let died = now.seconds() - DEAD_SERVER_LISTED.as_secs() as i64;
        let list = |register: &str, entry: &str| {
            Call::new(&scripts::LIST_SERVER, &[register]).with(expiry).with(died).with(entry)
        };
        let calls = vec![call, list(keys::SERVERS, &server), list(keys::WORKERS, &running)];
        self.run_all(calls).await?.into_iter().try_for_each(|reply| reply.map(drop))
    }

    /// Removes a server's entry, as the last thing it does.
    pub(crate) async fn clear_server(&self, identity: &str) -> Result<(), Error> {
        let (server, running) = (keys::server(identity), keys::workers(identity));
        self.connection.command(redis::cmd("ZREM").arg(keys::SERVERS).arg(&server)).await?;
        self.connection.command(redis::cmd("ZREM").arg(keys::WORKERS).arg(&running)).await?;
        self.connection.command(redis::cmd("DEL").arg(&server).arg(&running)).await.map(drop)
    }
}
