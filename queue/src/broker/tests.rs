//! The transitions against a real Redis at a fixed time: the whole database before and after is compared as text.

mod cluster;
mod ensure;
mod fencing;
mod fleet;
mod forgetting;
mod heartbeat;
mod held;
mod presence;
mod too_long;
mod transitions;
mod upkeep;

use super::{
    Broker, NextAttempt,
    consume::{Dequeue, Lease, Taken},
};
use crate::{
    clock::Now, connection::Connection, keys::QueueKeys, message::Stored, settings::MAX_PAYLOAD_BYTES, task::Task,
};
use redis::Value;
use std::{collections::BTreeMap, time::Duration};

/// 2023-11-14T22:13:20.123456789Z, the clock of the reference's table of states.
pub(crate) const NOW: Now = Now(1_700_000_000_123_456_789);
/// The task of that table, as asynq encodes it.
pub(crate) const M0: &str = "0a0c656d61696c3a76657269667912077b2275223a317d1a0254312201712819401e";
/// The same after one counted failure with the cause `boom` at that time.
pub(crate) const FAILED: &str =
    "0a0c656d61696c3a76657269667912077b2275223a317d1a025431220171281930013a04626f6f6d401e5880e2cfaa06";

/// Fields of ours in the task's hash, which Go's programs ignore.
const PRIVATE: [&str; 3] = ["lease_token", "lease_score", "process_at_ms"];

/// An empty database and access to it.
pub(crate) struct Fixture {
    uri: String,
    pub(crate) broker: Broker,
    pub(crate) keys: QueueKeys,
}

/// The task T1 of the reference's table.
pub(crate) fn t1() -> Task {
    let mut task = Task::new("email:verify", r#"{"u":1}"#);
    task.id = "T1".to_owned();
    task.queue = "q".to_owned();
    task.timeout = Duration::from_secs(30);
    task
}

pub(crate) fn with_id(id: &str) -> Task {
    Task { id: id.to_owned(), ..t1() }
}

/// Makes a connection's clock wrong by so many seconds, as when the machine's is set after Redis' was measured.
pub(crate) async fn step_clock(connection: &Connection, seconds: i64) {
    connection.measure_clock().await.unwrap();
    let received = std::time::SystemTime::now();
    let wrong = connection.clock().now().0 / 1_000 + seconds * 1_000_000;
    connection.clock().measured(wrong, received, Duration::ZERO);
}

/// That many seconds after [`NOW`].
pub(crate) fn at(seconds: i64) -> jiff::Timestamp {
    Now(NOW.0 + seconds * 1_000_000_000).timestamp()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn stored(taken: &Taken) -> Stored {
    Stored::decode(&taken.message).unwrap()
}

pub(crate) fn lease<'a>(id: &'a str, token: &'a str) -> Lease<'a> {
    Lease { id, token }
}

pub(crate) fn next_attempt(message: &[u8], delay: Duration, counted: bool) -> NextAttempt<'_> {
    NextAttempt { message, delay, counted }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let uri = servers::redis().fresh_database();
        let connection = Connection::open(&uri, None).unwrap();
        Self { uri, broker: Broker::new(connection), keys: QueueKeys::new("q") }
    }

    /// Access to the same database as another user of Redis, who needs no password.
    pub(crate) fn as_user(&self, user: &str) -> Broker {
        let address = self.uri.rsplit_once('@').unwrap().1;
        Broker::new(Connection::open(&format!("redis://{user}:none@{address}"), None).unwrap())
    }

    /// A database in which T1 is active, taken under the token `A`.
    pub(crate) async fn with_active() -> (Self, Taken) {
        let fixture = Self::new();
        fixture.broker.enqueue(&t1(), NOW).await.unwrap();
        let taken = fixture.dequeue("A", 1, NOW).await.remove(0);
        (fixture, taken)
    }

    pub(crate) async fn dequeue(&self, token: &str, count: usize, now: Now) -> Vec<Taken> {
        let request = Dequeue {
            keys: std::sync::Arc::new(QueueKeys::new("q")),
            token: token.into(),
            count,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
        };
        self.broker.dequeue(&[request], now).await.unwrap().remove(0).unwrap().taken
    }

    pub(crate) async fn redis(&self, command: &[&str]) -> Value {
        self.broker.connection().command(redis::cmd(command[0]).arg(&command[1..])).await.unwrap()
    }

    pub(crate) async fn read<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        T::from_redis_value(self.redis(command).await).unwrap()
    }

    /// The whole database, one line per key, sorted; the queue's prefix and our private hash fields are left out, and
    /// so are the day counters, whose expiry lies in the past at the fixed clock.
    pub(crate) async fn dump(&self) -> Vec<String> {
        let mut names: Vec<String> = self.read(&["KEYS", "*"]).await;
        names.sort();
        let mut lines = Vec::new();
        for name in names {
            let short = name.trim_start_matches("asynq:{q}:");
            lines.push(format!("{short} {}", self.dump_key(&name).await));
        }
        lines
    }

    async fn dump_key(&self, name: &str) -> String {
        match self.read::<String>(&["TYPE", name]).await.as_str() {
            "hash" => {
                let mut fields: BTreeMap<String, Vec<u8>> = self.read(&["HGETALL", name]).await;
                fields.retain(|field, _| !PRIVATE.contains(&field.as_str()));
                let show = |(field, value): (String, Vec<u8>)| {
                    let text = if field == "msg" { hex(&value) } else { String::from_utf8(value).unwrap() };
                    format!("{field}={text}")
                };
                fields.into_iter().map(show).collect::<Vec<_>>().join(" ")
            }
            "list" => format!("{:?}", self.read::<Vec<String>>(&["LRANGE", name, "0", "-1"]).await),
            "zset" => {
                format!("{:?}", self.read::<Vec<(String, i64)>>(&["ZRANGE", name, "0", "-1", "WITHSCORES"]).await)
            }
            "set" => format!("{:?}", self.read::<Vec<String>>(&["SMEMBERS", name]).await),
            _ => self.read::<String>(&["GET", name]).await,
        }
    }
}
