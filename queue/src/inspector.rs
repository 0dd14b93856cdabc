//! Looks at queues and servers without changing anything. The clock is that of Redis, so ages and due counts are right
//! whatever the local clock says.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::error::Error;
use crate::keys::QueueKeys;
use crate::message::wire;

/// Read-only view of a Redis.
#[derive(Debug, Clone)]
pub struct Inspector {
    broker: Broker,
}

/// One queue at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueState {
    /// Tasks ready to run.
    pub pending: u64,
    /// Tasks being run.
    pub active: u64,
    /// Tasks scheduled for later, due ones that nobody forwarded yet included.
    pub scheduled: u64,
    /// Tasks waiting for their next attempt, due ones included.
    pub retry: u64,
    /// Tasks given up.
    pub archived: u64,
    /// Succeeded tasks within their retention.
    pub completed: u64,
    /// Scheduled and retry tasks that are due by the Redis clock.
    pub due: u64,
    /// Scheduled and retry tasks that are due now or within the asked period.
    pub due_within: u64,
    /// When the next scheduled or retry task is (or was) due; whole seconds.
    pub next_due_at: Option<Timestamp>,
    /// Since when the task that runs next has been pending. `None` when nothing is pending or its producer did not say.
    pub oldest_pending_since: Option<Timestamp>,
    /// Attempts that ended, ever.
    pub processed: u64,
    /// Attempts that failed, ever.
    pub failed: u64,
    /// asynq's pause flag.
    pub paused: bool,
}

/// One live server, ours or Go's, as its last heartbeat told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Host (in Kubernetes the pod).
    pub host: String,
    /// Process id.
    pub pid: i32,
    /// Random id.
    pub id: String,
    /// Most attempts at once.
    pub concurrency: u32,
    /// Queue name to priority.
    pub queues: BTreeMap<String, u32>,
    /// Strict priorities instead of weights.
    pub strict_priority: bool,
    /// `active` or `stopped` (taking no more tasks).
    pub status: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Attempts running.
    pub running: u32,
}

impl Inspector {
    /// A view through `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { broker: Broker::new(connection) }
    }

    /// The registered queues, sorted.
    ///
    /// # Errors
    /// [`Error`] when Redis does not answer as it should.
    pub async fn queues(&self) -> Result<Vec<String>, Error> {
        let mut queues = self.broker.registered_queues().await?;
        queues.sort_unstable();
        Ok(queues)
    }

    /// The state of one queue, in one round trip. `due_within` (whole seconds) bounds the field of that name. A queue that does
    /// not exist is an empty one.
    ///
    /// # Errors
    /// [`Error`] when Redis does not answer as it should.
    pub async fn queue(&self, name: &str, due_within: Duration) -> Result<QueueState, Error> {
        let figures = self.broker.queue_state(&QueueKeys::new(name), due_within).await?;
        let [pending, active, scheduled, retry, archived, completed, due, due_within, processed, failed, paused] =
            figures.counts;
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let since = figures.pending_since_ns.and_then(|nanos| Timestamp::from_nanosecond(i128::from(nanos)).ok());
        Ok(QueueState {
            pending: count(pending),
            active: count(active),
            scheduled: count(scheduled),
            retry: count(retry),
            archived: count(archived),
            completed: count(completed),
            due: count(due),
            due_within: count(due_within),
            next_due_at: figures.next_due_s.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            oldest_pending_since: since,
            processed: count(processed),
            failed: count(failed),
            paused: paused != 0,
        })
    }

    /// The live servers, ours and Go's, sorted by host, process id and id.
    ///
    /// # Errors
    /// [`Error`] when Redis does not answer as it should.
    pub async fn servers(&self) -> Result<Vec<ServerInfo>, Error> {
        let stored = self.broker.live_servers().await?;
        let mut servers: Vec<ServerInfo> = stored.into_iter().map(ServerInfo::from).collect();
        servers.sort_by(|a, b| (&a.host, a.pid, &a.id).cmp(&(&b.host, b.pid, &b.id)));
        Ok(servers)
    }
}

impl From<wire::ServerInfo> for ServerInfo {
    fn from(stored: wire::ServerInfo) -> Self {
        let count = |value: i32| u32::try_from(value).unwrap_or(0);
        let started = stored.start_time.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        Self {
            host: stored.host,
            pid: stored.pid,
            id: stored.server_id,
            concurrency: count(stored.concurrency),
            queues: stored.queues.into_iter().map(|(name, priority)| (name, count(priority))).collect(),
            strict_priority: stored.strict_priority,
            status: stored.status,
            started_at: started,
            running: count(stored.active_worker_count),
        }
    }
}
