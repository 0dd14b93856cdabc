//! Reads the state of queues and servers without changing anything. The clock is that of Redis, so ages and due counts
//! are right whatever the local clock says.

use crate::{
    broker::Broker,
    connection::Connection,
    error::Error,
    keys::QueueKeys,
    message::wire,
    queue_state::{QueueReading, QueueState},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Read-only view of a Redis.
#[derive(Debug, Clone)]
pub struct Inspector {
    broker: Broker,
}

/// One live server, ours or Go's, as of its last heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Host (in Kubernetes the pod).
    pub host: String,
    /// Process id.
    pub pid: i32,
    /// Random id.
    pub id: String,
    /// Attempts that it runs at once, at most.
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

impl ServerInfo {
    /// `<host>:<pid>:<id>`, as a [`crate::Supervisor`] names it.
    pub fn identity(&self) -> String {
        format!("{}:{}:{}", self.host, self.pid, self.id)
    }
}

impl Inspector {
    /// A view through `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { broker: Broker::new(connection) }
    }

    /// The registered queues, sorted.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn queues(&self) -> Result<Vec<String>, Error> {
        let mut queues = self.broker.registered_queues().await?;
        queues.sort_unstable();
        Ok(queues)
    }

    /// The state of one queue, in one round trip. `due_within` (whole seconds) bounds the field of that name. A queue
    /// that does not exist is an empty one.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn queue(&self, name: &str, due_within: Duration) -> Result<QueueState, Error> {
        self.reading(name, due_within).await.map(|reading| reading.state)
    }

    /// The same with the time of Redis and what comes due later.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn reading(&self, name: &str, due_within: Duration) -> Result<QueueReading, Error> {
        self.broker.queue_reading(&QueueKeys::new(name), due_within).await
    }

    /// The live servers, ours and Go's, sorted by host, process id and id.
    ///
    /// # Errors
    ///
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
