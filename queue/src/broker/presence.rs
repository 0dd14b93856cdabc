//! Who uses the database.

use super::{Broker, Call};
use crate::{error::Error, keys, presence::Presence, scripts};

impl Broker {
    /// Says that `name` is there, and gives the others.
    pub(crate) async fn tell_presence(&self, name: &str) -> Result<Vec<String>, Error> {
        let life = u64::try_from(Presence::LIFE.as_millis()).unwrap_or(u64::MAX);
        let call = Call::new(&scripts::TELL_PRESENCE, &[keys::PRESENCE]);
        self.run(call.with(name).with(life).with(Presence::MAX_OTHERS)).await
    }

    /// Takes a name out.
    pub(crate) async fn leave_presence(&self, name: &str) -> Result<(), Error> {
        self.connection.command(redis::cmd("ZREM").arg(keys::PRESENCE).arg(name)).await.map(drop)
    }
}
