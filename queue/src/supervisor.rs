//! What somebody who watches the processes of servers says of them: an operator, whose word the servers act upon.
//! Everything it writes is two keys, `asynq:ended` and `asynq:draining`; it needs no right on tasks.

use crate::{
    broker::{Broker, MARK_LIFE},
    connection::Connection,
    error::Error,
};
use std::time::Duration;

/// Speaks of servers by their [`identity`](crate::ServerInfo::identity).
#[derive(Debug, Clone)]
pub struct Supervisor {
    broker: Broker,
}

impl Supervisor {
    /// A mark that [`drain`](Self::drain) does not renew ends after this time.
    pub const MARK_LIFE: Duration = MARK_LIFE;

    /// Speaks through `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { broker: Broker::new(connection) }
    }

    /// Says that the processes of these servers have ended, which the caller knows and does not guess. Half a second
    /// later the living servers give their tasks to others, as after a lease that ran out. A server that lives and
    /// hears of it denies it; one that does not hear of it loses its tasks, and what it writes back is refused.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should; the tasks then wait for their leases.
    pub async fn ended(&self, servers: &[String]) -> Result<(), Error> {
        if servers.is_empty() { Ok(()) } else { self.broker.tell_ended(servers).await.map(drop) }
    }

    /// Asks these servers to take no more tasks, and all others that `owner` asked before to take some again. They
    /// confirm it by the status `stopped` of their heartbeat, usually at once. Holds for [`MARK_LIFE`](Self::MARK_LIFE)
    /// from each call on.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn drain(&self, owner: &str, servers: &[String]) -> Result<(), Error> {
        self.broker.mark_draining(owner, servers).await.map(drop)
    }

    /// The servers that `owner` asked to take no more tasks, be it another process of the same name; sorted.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn draining(&self, owner: &str) -> Result<Vec<String>, Error> {
        self.broker.connection().measure_clock().await?;
        self.broker.draining(owner, self.broker.now()).await
    }
}
