//! What can go wrong between a caller and Redis. Tells apart what the caller would handle differently: a full Redis, a
//! read-only replica, an unreachable server, a refused command, a task that cannot be stored. Never carries payloads or URIs.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Failure of one call to the queue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The connection URI or CA certificate cannot be used. Never contains the URI, which may hold a password.
    #[error(
        "failed to understand the Redis URI or CA certificate. Fix: use redis[s]://[user:password@]host:port/index"
    )]
    InvalidUri(#[source] RedisError),
    /// No answer: connection refused, dropped or timed out. The write may or may not have happened; repeating it is safe.
    #[error("failed to reach Redis")]
    Unreachable(#[source] RedisError),
    /// Redis is over its memory limit and refuses writes (reply `OOM`).
    #[error("failed to write: Redis is out of memory. Fix: raise maxmemory, with maxmemory-policy noeviction")]
    OutOfMemory(#[source] RedisError),
    /// The node is a replica, as after a failover (reply `READONLY`).
    #[error("failed to write: Redis is a read-only replica")]
    ReadOnly(#[source] RedisError),
    /// Redis answered with another error, for example `NOPERM` or `WRONGTYPE`.
    #[error("failed to run a command: Redis refused it")]
    Refused(#[source] RedisError),
    /// A field of the task breaks a rule of asynq's format.
    #[error("invalid task: {field} {rule}")]
    InvalidTask {
        /// The field of [`crate::Task`].
        field: &'static str,
        /// What the field must satisfy, and does not.
        rule: &'static str,
    },
    /// A stored message is not a valid protobuf `TaskMessage` (or another message of asynq's).
    #[error("failed to decode a stored message")]
    Undecodable(#[source] prost::DecodeError),
    /// Redis answered with a shape that no script of ours returns.
    #[error("failed to understand the reply of {script}")]
    UnexpectedReply {
        /// The script or command that was run.
        script: &'static str,
    },
}

impl Error {
    /// True when no answer came at all, so that waiting and trying again is the only cure.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly(error),
            ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => Self::Unreachable(error),
            _ if is_out_of_memory(&error) => Self::OutOfMemory(error),
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => Self::Unreachable(error),
            _ if error.is_unrecoverable_error() => Self::Unreachable(error),
            _ => Self::Refused(error),
        }
    }
}

/// `OOM command not allowed`, directly or (Redis 7) as the cause of a script's error.
fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.detail().is_some_and(|detail| detail.contains("OOM command not allowed"))
}
