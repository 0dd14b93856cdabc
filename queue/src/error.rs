//! What can go wrong between a caller and Redis. Tells apart what the caller would handle differently: a full Redis, a
//! read-only replica, an unreachable server, a refused command, a task that cannot be stored. Never carries payloads or
//! URIs.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Failure of one call to the queue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The connection URI or CA certificate cannot be used. Never contains the URI, which may hold a password.
    #[error(
        "failed to understand the Redis URI or CA certificate. Fix: use redis[s]://[user:password@]host:port/index"
    )]
    InvalidUri(#[source] RedisError),
    /// No answer: connection refused, dropped or timed out. The write may or may not have happened; repeating it is
    /// safe.
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

    /// True when the keys or the access list are wrong, and not the state of Redis: repeating is of no use before they
    /// are repaired.
    pub(crate) fn needs_repair(&self) -> bool {
        match self {
            Self::Refused(error) => says(error, "WRONGTYPE") || says(error, "NOPERM"),
            Self::UnexpectedReply { .. } => true,
            _ => false,
        }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => Self::Unreachable(error),
            _ if says(&error, "READONLY") => Self::ReadOnly(error),
            _ if says(&error, "OOM") => Self::OutOfMemory(error),
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => Self::Unreachable(error),
            _ if error.is_unrecoverable_error() => Self::Unreachable(error),
            _ => Self::Refused(error),
        }
    }
}

/// True for a reply with this code: directly, or as the cause of a script's error, which Redis 6.2 words
/// `ERR Error running script (call to f_...): @user_script:1: -READONLY You can't write ...`.
fn says(error: &RedisError, code: &str) -> bool {
    let is_cause = |detail: &str| {
        detail.split_ascii_whitespace().any(|word| word.strip_prefix('-').is_some_and(|word| word == code))
            || detail.contains(&format!("{code} command not allowed"))
    };
    error.code() == Some(code) || error.detail().is_some_and(is_cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connection;

    /// The error that Redis answers with.
    async fn answered(reply: &str) -> Error {
        let connection = Connection::open(&servers::redis().fresh_database(), None).expect("a good URI");
        let script = "return redis.error_reply(ARGV[1])";
        connection.command(redis::cmd("EVAL").arg(script).arg(0).arg(reply)).await.expect_err("an error reply")
    }

    #[tokio::test]
    async fn the_cause_of_a_script_s_error_counts_as_redis_6_2_words_it() {
        let worded =
            |cause| format!("ERR Error running script (call to f_0a1b): @user_script:7: @user_script: 7: {cause}");
        let replica = answered(&worded("-READONLY You can't write against a read only replica.")).await;
        assert!(matches!(replica, Error::ReadOnly(_)), "{replica:?}");
        let full = answered(&worded("-OOM command not allowed when used memory > 'maxmemory'.")).await;
        assert!(matches!(full, Error::OutOfMemory(_)), "{full:?}");
        let wrong = answered(&worded("-WRONGTYPE Operation against a key holding the wrong kind of value")).await;
        assert!(matches!(wrong, Error::Refused(_)), "{wrong:?}");
    }
}
