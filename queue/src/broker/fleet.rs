//! What the members of a fleet tell each other.

use super::{Broker, Call};
use crate::{
    error::Error,
    fleet::{Exchanged, Fleet},
    keys, scripts,
};
use std::time::Duration;

impl Broker {
    /// Tells and learns, in one round trip.
    pub(crate) async fn exchange(
        &self,
        fleet: &str,
        member: &str,
        limit: &str,
        cost: Duration,
        taken: &[(String, u32)],
    ) -> Result<Exchanged, Error> {
        let (members, of_limit) = (keys::fleet_members(fleet), keys::fleet_limit(fleet, limit));
        let mut call = Call::new(&scripts::EXCHANGE, &[&members, &of_limit])
            .with(member)
            .with(micros(Fleet::LIFE))
            .with(micros(cost))
            .with(Fleet::MAX_ENTRIES);
        for (whose, count) in taken {
            call.arg(whose).arg(count);
        }
        let (members, told, known): (usize, Vec<u64>, Vec<(String, u64)>) = self.run(call).await?;
        if told.len() != taken.len() {
            return Err(Error::UnexpectedReply { script: "exchange" });
        }
        Ok(Exchanged {
            members,
            told: told.into_iter().map(Duration::from_micros).collect(),
            known: known.into_iter().map(|(whose, us)| (whose, Duration::from_micros(us))).collect(),
        })
    }

    /// Takes a member out.
    pub(crate) async fn leave(&self, fleet: &str, member: &str) -> Result<(), Error> {
        self.connection.command(redis::cmd("ZREM").arg(keys::fleet_members(fleet)).arg(member)).await.map(drop)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
