//! What a server tells by itself: keys that were read and have changed since (client tracking), and the wake-ups of
//! producers.
//!
//! Takes: pushes of RESP3. Gives: [`Heard`], merged until it is taken, and why nothing will be heard ([`Untracked`]).
//! Does not: read anything.
//!
//! Tracking knows names and not databases: who has read a key in one database is told of a change to the same name in
//! another (measured with Redis 7.0; "Client-side caching" in the Redis documentation: there is one namespace of keys).
//! So an invalidation names a queue and no database, and a wake-up, which only our producers send, a database and no
//! queue. A key is told of once, until it is read again.

use super::dial::Opened;
use crate::{error::Error, keys};
use parking_lot::Mutex;
use redis::{Pipeline, PushInfo, PushKind, Value};
use std::{collections::HashSet, fmt, time::Instant};
use tokio::sync::Notify;

/// What may have changed since it was last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Anything: the connection was lost, or all data were.
    pub all: bool,
    /// Queues of these names, each in any database.
    pub queues: HashSet<String>,
    /// Queues of any name in these databases.
    pub databases: HashSet<i64>,
    /// When the first of it was heard.
    pub since: Option<Instant>,
}

/// Why changes are not heard of; queues have to be polled then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untracked {
    /// The server, a proxy before it, or the URI has RESP2 only, in which a server does not speak unasked.
    Resp2,
    /// The user may not run `CLIENT TRACKING`.
    Forbidden,
    /// The server, or a proxy before it, does not know `CLIENT TRACKING`.
    Unknown,
    /// Each node of a cluster would tell of its own keys only.
    Cluster,
}

impl fmt::Display for Untracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resp2 => "Redis, or a proxy before it, speaks RESP2 only",
            Self::Forbidden => "the user may not run CLIENT TRACKING",
            Self::Unknown => "Redis, or a proxy before it, does not know CLIENT TRACKING",
            Self::Cluster => "Redis is a cluster",
        })
    }
}

/// Collects what is heard.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    heard: Mutex<Heard>,
    news: Notify,
}

impl Changes {
    /// Waits for news and takes them. For one caller at a time.
    pub(crate) async fn next(&self) -> Heard {
        loop {
            let heard = std::mem::take(&mut *self.heard.lock());
            if heard.since.is_some() {
                return heard;
            }
            self.news.notified().await;
        }
    }

    /// The connection has ended.
    pub(super) fn lost(&self) {
        self.add(|heard| heard.all = true);
    }

    pub(super) fn hear(&self, push: &PushInfo) {
        self.add(|heard| match (&push.kind, &*push.data) {
            (PushKind::Invalidate, [Value::Array(keys)]) => {
                for key in keys {
                    match text(key).and_then(keys::queue_of) {
                        Some(queue) if heard.queues.contains(queue) => {}
                        Some(queue) => drop(heard.queues.insert(queue.to_owned())),
                        None => heard.all = true,
                    }
                }
            }
            (PushKind::PMessage, [_, channel, ..]) => match text(channel).and_then(keys::woken_database) {
                Some(database) => drop(heard.databases.insert(database)),
                None => heard.all = true,
            },
            // A flush is an invalidation without keys.
            (PushKind::Invalidate, _) => heard.all = true,
            _ => {}
        });
    }

    fn add(&self, change: impl FnOnce(&mut Heard)) {
        let mut heard = self.heard.lock();
        change(&mut heard);
        if heard.all || !heard.queues.is_empty() || !heard.databases.is_empty() {
            heard.since.get_or_insert_with(Instant::now);
            drop(heard);
            self.news.notify_one();
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// Asks the server to tell, on a connection that was just opened. Where it tells of no keys it may still hand on the
/// wake-ups, and where those are forbidden the keys are enough.
pub(super) async fn begin(opened: &mut Opened) -> Result<Option<Untracked>, Error> {
    if !opened.is_resp3 {
        return Ok(Some(Untracked::Resp2));
    }
    if opened.facts.is_cluster {
        return Ok(Some(Untracked::Cluster));
    }
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("CLIENT").arg("TRACKING").arg("ON");
    pipeline.cmd("PSUBSCRIBE").arg(keys::WAKE_PATTERN);
    let replies = opened.connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
    let refusal = replies.into_iter().next().and_then(|reply| reply.extract_error().err());
    Ok(refusal.map(|error| if error.code() == Some("NOPERM") { Untracked::Forbidden } else { Untracked::Unknown }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn heard(pushes: Vec<(PushKind, Vec<Value>)>) -> Heard {
        let changes = Changes::default();
        for (kind, data) in pushes {
            changes.hear(&PushInfo { kind, data });
        }
        let mut heard = changes.heard.into_inner();
        heard.since = None;
        heard
    }

    #[test]
    fn keys_name_queues_and_channels_name_databases() {
        let keys = ["asynq:{low}:pending", "asynq:{low}:active", "asynq:{a:b}:t:1"].map(bulk);
        let wake = vec![bulk(keys::WAKE_PATTERN), bulk(&keys::wake(7)), bulk("pending:low")];
        let heard = heard(vec![(PushKind::Invalidate, vec![Value::Array(keys.into())]), (PushKind::PMessage, wake)]);
        let queues = ["low", "a:b"].map(str::to_owned).into();
        assert_eq!(heard, Heard { queues, databases: [7].into(), ..Heard::default() });
    }

    #[test]
    fn after_a_flush_a_loss_or_a_key_that_is_not_known_anything_may_have_changed() {
        let odd = Value::Array(vec![bulk("other")]);
        for (kind, data) in [(PushKind::Invalidate, vec![Value::Nil]), (PushKind::Invalidate, vec![odd])] {
            assert!(heard(vec![(kind, data)]).all);
        }
        let changes = Changes::default();
        changes.lost();
        assert!(changes.heard.into_inner().since.is_some());
        assert_eq!(heard(vec![(PushKind::PSubscribe, Vec::new())]), Heard::default());
    }
}
