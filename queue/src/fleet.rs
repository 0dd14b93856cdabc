//! A fleet of processes that share limits: each tells now and then what it took of one, and learns what all took and
//! how many they are. Does not decide what may be taken: that is for each process to say, without waiting for Redis.

use crate::{broker::Broker, connection::Connection, error::Error};
use std::time::Duration;

/// One member of a fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    broker: Broker,
    name: String,
    member: String,
}

/// What one exchange told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Members that exchanged something within [`Fleet::LIFE`], this one included.
    pub members: usize,
    /// Of each entry that was told, in its order: how long until all that was taken is paid off.
    pub told: Vec<Duration>,
    /// The same of others, those that take longest; at most [`Fleet::MAX_ENTRIES`].
    pub known: Vec<(String, Duration)>,
}

impl Fleet {
    /// Who exchanges nothing for so long is no member any more.
    pub const LIFE: Duration = Duration::from_secs(5);
    /// At most so many entries are told back, which bounds how long Redis serves no other client (1 to 2 ms).
    pub const MAX_ENTRIES: usize = 2_000;

    /// A member of the fleet `name` (no braces), with a random id.
    pub fn new(connection: Connection, name: &str) -> Self {
        let member = uuid::Uuid::new_v4().to_string();
        Self { broker: Broker::new(connection), name: name.to_owned(), member }
    }

    /// Tells what this member took of `limit` since its last exchange (of whom, how many), and learns the rest. Taking
    /// one costs `cost`. Where the answer is lost, what was told may count already.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should.
    pub async fn exchange(&self, limit: &str, cost: Duration, taken: &[(String, u32)]) -> Result<Exchanged, Error> {
        self.broker.exchange(&self.name, &self.member, limit, cost, taken).await
    }

    /// Is no member from now on.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should; it is forgotten after [`Fleet::LIFE`] then.
    pub async fn leave(&self) -> Result<(), Error> {
        self.broker.leave(&self.name, &self.member).await
    }
}
