//! What can go wrong between a caller and Redis. Tells apart what the caller would handle differently: a full Redis, a
//! read-only replica, an unreachable server, a refused command, a task that cannot be stored. Never carries payloads or
//! URIs.

use crate::uri::UriError;
use redis::RedisError;

/// Failure of one call to the queue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The connection URI cannot be used, by itself or with what the server is. Never contains a user or password.
    #[error("the Redis URI cannot be used: {0}")]
    InvalidUri(#[from] UriError),
    /// The CA certificate cannot be used.
    #[error("failed to understand the CA certificate for Redis. Fix: give certificates in PEM form")]
    InvalidCertificate(#[source] RedisError),
    /// No answer: connection refused, dropped or timed out. The write may or may not have happened; repeating it is
    /// safe.
    #[error("failed to reach Redis")]
    Unreachable(#[source] RedisError),
    /// The sentinels that answered watch no master of that name.
    #[error("no sentinel knows the master {master}. Fix: name it in the URI as `sentinel monitor` names it")]
    NoMaster {
        /// Its name in the URI.
        master: String,
    },
    /// A sentinel answered with an error, for example `NOAUTH`.
    #[error("a sentinel refuses to be asked. Fix: give its password in the URI, as ?sentinelPassword=")]
    Sentinel(#[source] RedisError),
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
        matches!(self, Self::Unreachable(_) | Self::NoMaster { .. } | Self::Sentinel(_))
    }

    /// Of a sentinel.
    pub(crate) fn sentinel(error: RedisError) -> Self {
        match Self::from(error) {
            Self::Refused(error) => Self::Sentinel(error),
            other => other,
        }
    }

    /// True when the access list forbids what was tried.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(error) if code(error) == Some("NOPERM"))
    }

    /// True when the server takes no writes of anybody: it cannot save them, or has too few replicas for them.
    pub fn is_about_all_writes(&self) -> bool {
        matches!(self, Self::OutOfMemory(_) | Self::ReadOnly(_))
            || matches!(self, Self::Refused(error) if matches!(code(error), Some("MISCONF" | "NOREPLICAS")))
    }

    /// True when the keys or the access list are wrong, and not the state of Redis: repeating is of no use before they
    /// are repaired.
    pub(crate) fn needs_repair(&self) -> bool {
        match self {
            Self::Refused(error) => matches!(code(error), Some("WRONGTYPE" | "NOPERM")),
            Self::UnexpectedReply { .. } => true,
            _ => false,
        }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match code(&error) {
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY") => Self::Unreachable(error),
            Some("READONLY") => Self::ReadOnly(error),
            Some("OOM") => Self::OutOfMemory(error),
            // `maxclients`: said instead of a first answer, and then the server hangs up.
            Some("ERR") if error.detail().is_some_and(|detail| detail.starts_with("max number of clients")) => {
                Self::Unreachable(error)
            }
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => Self::Unreachable(error),
            _ if error.is_unrecoverable_error() => Self::Unreachable(error),
            _ => Self::Refused(error),
        }
    }
}

/// The code of a reply that is an error; of a script's error the code of what failed in it.
fn code(error: &RedisError) -> Option<&str> {
    error.detail().and_then(cause_in_script).or(error.code())
}

/// The code inside a script's error. Where Redis 7 and Valkey begin with that code, Redis 6.2 words
/// `ERR Error running script (call to f_...): @user_script:7: WRONGTYPE Operation against ...`, with a `-` before the
/// code and the line twice where the command was not even tried: `@user_script:7: @user_script: 7: -READONLY You ...`.
/// A command that the access list forbids has a sentence instead of a code before Redis 7.2.
fn cause_in_script(detail: &str) -> Option<&str> {
    if detail.contains("The user executing the script can't") || detail.contains("ACL failure in script") {
        return Some("NOPERM");
    }
    let (_, place) = detail.rsplit_once("@user_script:")?;
    let (line, cause) = place.trim_start().split_once(": ")?;
    let word = cause.strip_prefix('-').unwrap_or(cause).split(' ').next()?;
    let is_code = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_code && line.bytes().all(|byte| byte.is_ascii_digit())).then_some(word)
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

    fn worded_by_redis_6_2(cause: &str) -> String {
        format!("ERR Error running script (call to f_0a1b): @user_script:7: {cause}")
    }

    #[tokio::test]
    async fn the_cause_of_a_script_s_error_counts_as_redis_6_2_words_it() {
        for (cause, expected) in [
            ("@user_script: 7: -READONLY You can't write against a read only replica.", "ReadOnly"),
            ("READONLY You can't write against a read only replica.", "ReadOnly"),
            ("@user_script: 7: -OOM command not allowed when used memory > 'maxmemory'.", "OutOfMemory"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "OutOfMemory"),
            ("LOADING Redis is loading the dataset in memory", "Unreachable"),
            ("-MASTERDOWN Link with MASTER is down", "Unreachable"),
            ("BUSY Redis is busy running a script.", "Unreachable"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "needs repair"),
            ("-WRONGTYPE Operation against a key holding the wrong kind of value", "needs repair"),
            ("@user_script: 7: The user executing the script can't run this command or subcommand", "needs repair"),
            ("-MISCONF Redis is configured to save RDB snapshots", "Refused"),
            ("NOREPLICAS Not enough good replicas to write.", "Refused"),
            ("bad argument #1 to 'unpack' (table expected, got nil)", "Refused"),
        ] {
            let found = match answered(&worded_by_redis_6_2(cause)).await {
                error if error.needs_repair() => "needs repair",
                Error::ReadOnly(_) => "ReadOnly",
                Error::OutOfMemory(_) => "OutOfMemory",
                Error::Unreachable(_) => "Unreachable",
                _ => "Refused",
            };
            assert_eq!(found, expected, "{cause}");
        }
    }

    #[tokio::test]
    async fn a_server_that_has_no_room_or_no_time_now_is_waited_for() {
        for reply in [
            "ERR max number of clients reached",
            "ERR max number of clients + cluster connections reached",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        ] {
            let error = answered(reply).await;
            assert!(error.is_unreachable(), "{error:?}");
        }
        assert!(!answered("ERR max daily request limit exceeded").await.is_unreachable());
        for (reply, expected) in [
            ("MISCONF Redis is configured to save RDB snapshots, but is unable to persist to disk.", true),
            ("NOREPLICAS Not enough good replicas to write.", true),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", false),
        ] {
            assert_eq!(answered(reply).await.is_about_all_writes(), expected, "{reply}");
        }
    }

    /// A user who may do nothing but run scripts that read.
    async fn reader(connection: &Connection, uri: &str) -> Connection {
        let user = uuid::Uuid::new_v4().to_string();
        let mut make = redis::cmd("ACL");
        make.arg(&["SETUSER", &user, "on", "nopass", "~*", "&*", "+@all", "-set"]);
        connection.command(&make).await.expect("a user");
        let address = uri.rsplit_once('@').expect("a password").1;
        Connection::open(&format!("redis://{user}:none@{address}"), None).expect("a good URI")
    }

    #[tokio::test]
    async fn what_this_redis_says_of_a_command_in_a_script_is_understood() {
        let uri = servers::redis().fresh_database();
        let connection = Connection::open(&uri, None).expect("a good URI");
        let script = |code: &str| redis::cmd("EVAL").arg(code).arg(1).arg("key").to_owned();
        connection.command(&script("return redis.call('SET', KEYS[1], 'text')")).await.expect("written");
        let pushed = connection.command(&script("return redis.call('LPUSH', KEYS[1], 'x')")).await;
        let wrong = pushed.expect_err("the key holds text");
        assert!(wrong.needs_repair(), "{wrong:?}");
        let reader = reader(&connection, &uri).await;
        let set = reader.command(&script("return redis.call('SET', KEYS[1], 'x')")).await;
        let forbidden = set.expect_err("this user may not");
        assert!(forbidden.needs_repair(), "{forbidden:?}");
    }
}
