//! Every Redis key and channel, one function or field each. The braces are literal: they keep a queue's keys in one
//! slot of a Redis Cluster. Names are asynq's (v0.26.0, `internal/base/base.go`) but for the private ones at the end.

use md5::{Digest, Md5};

/// Set of all queue names.
pub(crate) const QUEUES: &str = "asynq:queues";
/// Sorted set: full key of a server -> expiry (s).
pub(crate) const SERVERS: &str = "asynq:servers";
/// Sorted set: full key of a server's workers -> expiry (s).
pub(crate) const WORKERS: &str = "asynq:workers";
/// Pub/sub channel; a message is the id of a task to cancel.
pub(crate) const CANCEL: &str = "asynq:cancel";

/// The keys of one queue.
#[derive(Debug)]
pub(crate) struct QueueKeys {
    pub(crate) name: String,
    /// `asynq:{queue}:`, with which all of them start.
    base: String,
    pub(crate) task_prefix: String,
    pub(crate) pending: String,
    pub(crate) active: String,
    pub(crate) lease: String,
    pub(crate) scheduled: String,
    pub(crate) retry: String,
    pub(crate) archived: String,
    pub(crate) completed: String,
    pub(crate) paused: String,
    pub(crate) processed: String,
    pub(crate) failed: String,
    pub(crate) groups: String,
    pub(crate) group_prefix: String,
}

impl QueueKeys {
    pub(crate) fn new(queue: &str) -> Self {
        let base = format!("asynq:{{{queue}}}:");
        let key = |suffix: &str| format!("{base}{suffix}");
        Self {
            name: queue.to_owned(),
            task_prefix: key("t:"),
            pending: key("pending"),
            active: key("active"),
            lease: key("lease"),
            scheduled: key("scheduled"),
            retry: key("retry"),
            archived: key("archived"),
            completed: key("completed"),
            paused: key("paused"),
            processed: key("processed"),
            failed: key("failed"),
            groups: key("groups"),
            group_prefix: key("g:"),
            base,
        }
    }

    /// Attempts that ended on a UTC day such as `2026-02-03`.
    pub(crate) fn processed_on(&self, date: &str) -> String {
        format!("{}processed:{date}", self.base)
    }

    /// Attempts that failed on a UTC day.
    pub(crate) fn failed_on(&self, date: &str) -> String {
        format!("{}failed:{date}", self.base)
    }
}

/// Prefix of the task hashes of `queue`, for producers, which need only this and one container.
pub(crate) fn task_prefix(queue: &str) -> String {
    format!("asynq:{{{queue}}}:t:")
}

/// List of ready tasks of `queue`.
pub(crate) fn pending(queue: &str) -> String {
    format!("asynq:{{{queue}}}:pending")
}

/// Sorted set of the tasks of `queue` that wait for their time.
pub(crate) fn scheduled(queue: &str) -> String {
    format!("asynq:{{{queue}}}:scheduled")
}

/// Uniqueness lock. An absent payload in Go has an empty digest; ours are never absent, an empty one hashes like Go's
/// `[]byte{}`.
pub(crate) fn unique(queue: &str, kind: &str, payload: &[u8]) -> String {
    let mut digest = String::with_capacity(32);
    for byte in Md5::digest(payload) {
        digest.push_str(&format!("{byte:02x}"));
    }
    format!("asynq:{{{queue}}}:unique:{kind}:{digest}")
}

/// One server: `<host>:<pid>:<id>` in braces.
pub(crate) fn server(identity: &str) -> String {
    format!("asynq:servers:{{{identity}}}")
}

/// The running tasks of one server.
pub(crate) fn workers(identity: &str) -> String {
    format!("asynq:workers:{{{identity}}}")
}

/// Private channel that says `pending:<queue>`, `due:<ms>`, `ended:<server>` or `drain`. The database index is in the
/// name because pub/sub ignores it.
pub(crate) fn wake(database: i64) -> String {
    format!("asynq:wake:{database}")
}

/// The channels of all databases of a server.
pub(crate) const WAKE_PATTERN: &str = "asynq:wake:*";

/// The database of a channel of [`wake`].
pub(crate) fn woken_database(channel: &str) -> Option<i64> {
    channel.strip_prefix("asynq:wake:")?.parse().ok()
}

/// The queue of a key of one.
pub(crate) fn queue_of(key: &str) -> Option<&str> {
    Some(key.strip_prefix("asynq:{")?.split_once("}:")?.0)
}

/// Private key: a random value that is lost together with the data.
pub(crate) const INCARNATION: &str = "asynq:incarnation";

/// Private sorted set: server that is known to have ended -> when that was told (ms).
pub(crate) const ENDED: &str = "asynq:ended";

/// Private hash: server that shall take no tasks -> until when (ms), and who says so.
pub(crate) const DRAINING: &str = "asynq:draining";

/// Private sorted set: who uses the database -> until when that holds (ms)
pub(crate) const PRESENCE: &str = "asynq:presence";

/// Private sorted set: member of a fleet -> until when it is one (us).
pub(crate) fn fleet_members(fleet: &str) -> String {
    format!("asynq:fleet:{{{fleet}}}:members")
}

/// Private sorted set: who took of a limit of a fleet -> when that is paid off (us).
pub(crate) fn fleet_limit(fleet: &str, limit: &str) -> String {
    format!("asynq:fleet:{{{fleet}}}:limit:{limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_locks_are_named_as_by_go() {
        let name = unique("critical", "email:verify", br#"{"user_id":42}"#);
        assert_eq!(name, "asynq:{critical}:unique:email:verify:1181f89307fa271072c095747d5813cc");
        assert!(unique("critical", "email:verify", b"").ends_with(":d41d8cd98f00b204e9800998ecf8427e"));
    }

    #[test]
    fn all_keys_of_a_queue_share_its_hash_tag() {
        let keys = QueueKeys::new("q");
        assert_eq!(keys.task_prefix, task_prefix("q"));
        assert_eq!(keys.pending, pending("q"));
        assert_eq!(keys.scheduled, scheduled("q"));
        assert_eq!(keys.processed_on("2026-02-03"), "asynq:{q}:processed:2026-02-03");
        assert_eq!(keys.failed_on("2026-02-03"), "asynq:{q}:failed:2026-02-03");
    }
}
