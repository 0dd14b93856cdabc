//! Tasks as bytes: asynq's protobuf messages, built from and turned into [`Task`]. Fields that a newer asynq added
//! survive our rewriting (Go's own programs drop them).

use crate::{
    clock::Now,
    error::Error,
    task::{DEFAULT_TIMEOUT, Task},
};
use jiff::Timestamp;
use prost::{
    Message as _,
    encoding::{DecodeContext, decode_key, encode_key, skip_field},
};
use std::{collections::BTreeMap, time::Duration};

/// The generated types of `proto/asynq.proto`.
#[allow(
    dead_code,
    unreachable_pub,
    reason = "generated code; the proto file documents the fields, also those of Go alone"
)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/asynq.rs"));
}

/// Stored causes are cut here, so that a chatty error cannot fill Redis.
const MAX_CAUSE_BYTES: usize = 8 * 1024;
/// Highest field number of a `TaskMessage` that we know.
const LAST_KNOWN_FIELD: u32 = 15;

/// The bytes of a new task. `unique_key` is the full name of its lock, or empty.
pub(crate) fn encode(task: &Task, unique_key: &str) -> Vec<u8> {
    let deadline = task.deadline.map_or(0, Timestamp::as_second);
    let mut timeout = task.timeout.as_secs() as i64;
    if timeout == 0 && deadline == 0 {
        timeout = DEFAULT_TIMEOUT.as_secs() as i64;
    }
    wire::TaskMessage {
        r#type: task.kind.clone(),
        payload: task.payload.clone(),
        id: task.id.clone(),
        queue: task.queue.clone(),
        retry: i32::try_from(task.max_retries).unwrap_or(i32::MAX),
        timeout,
        deadline,
        unique_key: unique_key.to_owned(),
        retention: task.retention.as_secs() as i64,
        headers: task.headers.clone(),
        ..wire::TaskMessage::default()
    }
    .encode_to_vec()
}

/// A stored task, decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    known: wire::TaskMessage,
    /// Encoded fields of unknown number, kept as they are.
    unknown: Vec<u8>,
}

impl Stored {
    /// # Errors
    ///
    /// [`Error::Undecodable`] for bytes that are no `TaskMessage`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let known = wire::TaskMessage::decode(bytes).map_err(Error::Undecodable)?;
        let unknown = unknown_fields(bytes).map_err(Error::Undecodable)?;
        Ok(Self { known, unknown })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.known.encode_to_vec();
        bytes.extend_from_slice(&self.unknown);
        bytes
    }

    /// True when a counted failure leads to the archive.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.known.retried >= self.known.retry
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.known.payload.len()
    }

    pub(crate) fn retried(&self) -> u32 {
        u32::try_from(self.known.retried).unwrap_or(0)
    }

    /// The bytes after a failed attempt that is tried again.
    pub(crate) fn failed(mut self, cause: &str, now: Now, counted: bool) -> Vec<u8> {
        self.known.retried += i32::from(counted);
        self.archived(cause, now)
    }

    /// The bytes after the last failed attempt: `retried` stays.
    pub(crate) fn archived(mut self, cause: &str, now: Now) -> Vec<u8> {
        self.known.error_msg = cut(cause).to_owned();
        self.known.last_failed_at = now.seconds();
        self.encode()
    }

    /// The bytes after success.
    pub(crate) fn completed(mut self, now: Now) -> Vec<u8> {
        self.known.completed_at = now.seconds();
        self.encode()
    }

    pub(crate) fn times(&self) -> Times {
        Times { timeout: self.known.timeout.max(0), deadline: self.known.deadline }
    }

    pub(crate) fn retention(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.known.retention).unwrap_or(0))
    }

    pub(crate) fn into_task(self) -> Task {
        let known = self.known;
        let seconds = |value: i64| Duration::from_secs(u64::try_from(value).unwrap_or(0));
        Task {
            id: known.id,
            kind: known.r#type,
            payload: known.payload,
            queue: known.queue,
            max_retries: u32::try_from(known.retry).unwrap_or(0),
            timeout: seconds(known.timeout),
            deadline: (known.deadline != 0).then(|| Timestamp::from_second(known.deadline).unwrap_or(Timestamp::MAX)),
            retention: seconds(known.retention),
            unique_for: None,
            process_at: None,
            headers: known.headers,
        }
    }
}

/// What bounds each attempt at a task, in seconds; zero: nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    timeout: i64,
    /// Unix time.
    deadline: i64,
}

impl Times {
    /// When an attempt that starts at `now` must end: the earlier of timeout and deadline; asynq's 30 minutes without
    /// either.
    pub(crate) fn attempt_ends(self, now: Now) -> Now {
        let after_timeout = now.plus(Duration::from_secs(self.timeout.unsigned_abs()));
        match (self.timeout, self.deadline) {
            (0, 0) => now.plus(DEFAULT_TIMEOUT),
            (_, 0) => after_timeout,
            (0, _) => self.deadline(),
            (_, _) => after_timeout.min(self.deadline()),
        }
    }

    /// True for an end of an attempt that the deadline did not bring about.
    pub(crate) fn is_before_deadline(self, ends: Now) -> bool {
        self.deadline == 0 || ends < self.deadline()
    }

    fn deadline(self) -> Now {
        Now(self.deadline.saturating_mul(1_000_000_000))
    }
}

/// The encoded fields numbered beyond those of v0.26.0.
fn unknown_fields(bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    let mut rest = bytes;
    let mut unknown = Vec::new();
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest)?;
        let value = rest;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
        if tag > LAST_KNOWN_FIELD {
            encode_key(tag, wire_type, &mut unknown);
            unknown.extend_from_slice(&value[..value.len() - rest.len()]);
        }
    }
    Ok(unknown)
}

/// The longest prefix within the limit that is whole characters.
fn cut(cause: &str) -> &str {
    &cause[..cause.floor_char_boundary(MAX_CAUSE_BYTES)]
}

/// A protobuf timestamp.
pub(crate) fn timestamp(now: Now) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: now.seconds(), nanos: now.0.rem_euclid(1_000_000_000) as i32 }
}

/// Queue priorities as `ServerInfo` stores them.
pub(crate) fn priorities<'a>(queues: impl Iterator<Item = (&'a str, u32)>) -> BTreeMap<String, i32> {
    queues.map(|(name, priority)| (name.to_owned(), i32::try_from(priority).unwrap_or(i32::MAX))).collect()
}

#[cfg(test)]
mod tests;
