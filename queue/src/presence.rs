//! Who uses a database of Redis: names with an expiry in one key, `asynq:presence`, by which those who should not share
//! a database find out that they do, wherever they run. Takes names that mean something to the caller alone. Does not
//! keep anybody out.

use crate::{broker::Broker, connection::Connection, error::Error};
use std::time::Duration;

/// Tells and asks who is there.
#[derive(Debug, Clone)]
pub struct Presence {
    broker: Broker,
}

impl Presence {
    /// Whoever tells nothing for so long is there no more. It is written anew when half of it is left.
    pub const LIFE: Duration = Duration::from_secs(3_600);

    /// At most so many others are told.
    pub const MAX_OTHERS: usize = 20;

    /// Of the database of `connection`.
    pub fn new(connection: Connection) -> Self {
        Self { broker: Broker::new(connection) }
    }

    /// Says that `name` uses the database; gives the others that said so, sorted.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should; [`Error::is_forbidden`] when the access list forbids the key.
    pub async fn tell(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut others = self.broker.tell_presence(name).await?;
        others.sort_unstable();
        Ok(others)
    }

    /// Takes `name` out before its time.
    ///
    /// # Errors
    ///
    /// [`Error`] when Redis does not answer as it should; it goes by itself after [`Presence::LIFE`] then.
    pub async fn leave(&self, name: &str) -> Result<(), Error> {
        self.broker.leave_presence(name).await
    }
}
