//! Finds the master that sentinels watch, and hears of the next one at once.
//!
//! Takes: the sentinels' addresses and the master's name. Gives: a connection to the server that is the master now.
//! Does not: trust one sentinel: all are asked at the same time, and the youngest configuration counts, since one that
//! was cut off still names the old master.
//!
//! After a failover by hand the old master takes writes until it is told to be a replica, and those are lost. So each
//! sentinel is listened to, and the connection is left at the first `+switch-master`.

use super::{
    dial::{Dialer, Opened, RESPONSE_TIMEOUT, Target, timed_out},
    first_answers::first_answers,
    slot::Slot,
};
use crate::{
    certificates::Certificates,
    clock::Clock,
    error::Error,
    uri::{Host, RedisUri, SentinelHosts},
};
use futures::StreamExt;
use parking_lot::Mutex;
use redis::{ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisError, ServerErrorKind, Value};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::task::JoinSet;

/// Pause before a sentinel that does not answer is listened to again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// Published by a sentinel that has changed its mind: name, old address and port, new address and port.
const SWITCH: &str = "+switch-master";

/// The sentinels of one master.
pub(super) struct Sentinels {
    asked: Arc<Asked>,
    /// Ends with this.
    listening: Mutex<Option<JoinSet<()>>>,
}

struct Asked {
    dialer: Dialer,
    hosts: Vec<Host>,
    master: String,
}

/// What one sentinel says. Ordered by age, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    epoch: i64,
    master: Host,
}

impl Sentinels {
    pub(super) fn new(uri: &RedisUri, sentinels: &SentinelHosts, certificates: Certificates<'_>) -> Self {
        let SentinelHosts { hosts, master, login, .. } = sentinels.clone();
        let dialer = Dialer::with_login(uri, certificates, login, 0);
        Self { asked: Arc::new(Asked { dialer, hosts, master }), listening: Mutex::default() }
    }

    /// Opens a connection to the master by `servers`; gives its address too.
    pub(super) async fn open_master<P>(
        &self,
        servers: &Dialer,
        clock: Option<&Clock>,
        on_push: impl Fn() -> P,
    ) -> Result<(Target, Opened), Error>
    where
        P: Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    {
        let (answers, failure) = first_answers(self.asked.hosts.iter().map(|host| self.asked.ask(host))).await;
        let mut known: Vec<Answer> = answers.iter().flatten().cloned().collect();
        known.sort_unstable();
        let mut masters: Vec<Host> = known.into_iter().rev().map(|answer| answer.master).collect();
        masters.dedup();
        let unknown = || Error::NoMaster { master: self.asked.master.clone() };
        let mut failure = if answers.is_empty() { failure.unwrap_or_else(timed_out) } else { unknown() };
        for master in masters {
            let target = Target::Tcp(master);
            match servers.open(&target, clock, on_push()).await {
                Ok(opened) if opened.facts.is_replica => failure = demoted(),
                Ok(opened) => return Ok((target, opened)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Begins to listen, at the first call: `slot` is left when another master is named.
    pub(super) fn watch(&self, slot: &Arc<Slot>) {
        self.listening.lock().get_or_insert_with(|| {
            let mut listening = JoinSet::new();
            for host in self.asked.hosts.iter().cloned() {
                listening.spawn(listen(Arc::clone(&self.asked), host, Arc::downgrade(slot)));
            }
            listening
        });
    }
}

impl Asked {
    /// Asks one sentinel; `None` when it does not know the master.
    async fn ask(&self, host: &Host) -> Result<Option<Answer>, Error> {
        let target = Target::Tcp(host.clone());
        let mut opened = self.dialer.open_resp2(&target).await.map_err(Error::sentinel)?;
        let mut pipeline = Pipeline::with_capacity(2);
        // Of a failover under way the first tells the new master and the second the old one, but with the new epoch.
        pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        pipeline.cmd("SENTINEL").arg("MASTER").arg(&self.master);
        let replies = opened.send_packed_commands(&pipeline, 0, pipeline.len()).await.map_err(Error::sentinel)?;
        let mut replies = replies.into_iter();
        let address = replies.next().unwrap_or(Value::Nil).extract_error().map_err(Error::sentinel)?;
        let known = redis::from_redis_value::<Option<(String, u16)>>(address);
        let Some((name, port)) = known.map_err(|_| Error::UnexpectedReply { script: "SENTINEL" })? else {
            return Ok(None);
        };
        let state = replies.next().and_then(|state| redis::from_redis_value::<Vec<String>>(state).ok());
        Ok(Some(Answer { epoch: state.and_then(epoch).unwrap_or(0), master: Host { name, port } }))
    }
}

/// The `config-epoch` among names and values in turn.
fn epoch(state: Vec<String>) -> Option<i64> {
    state.chunks(2).find(|pair| pair[0] == "config-epoch")?.get(1)?.parse().ok()
}

async fn listen(asked: Arc<Asked>, host: Host, slot: Weak<Slot>) {
    loop {
        // Whatever it ended with: connections are opened by what the sentinels answer, heard or not.
        let _ = listen_once(&asked, &host, &slot).await;
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen_once(asked: &Asked, host: &Host, slot: &Weak<Slot>) -> Result<(), Error> {
    let client = asked.dialer.client(&Target::Tcp(host.clone()), ProtocolVersion::RESP2).map_err(Error::sentinel)?;
    let subscribing = async {
        let mut subscriber = client.get_async_pubsub().await?;
        subscriber.subscribe(SWITCH).await?;
        Ok::<_, RedisError>(subscriber)
    };
    let subscribed = tokio::time::timeout(RESPONSE_TIMEOUT, subscribing).await;
    let mut messages = subscribed.map_err(|_| timed_out())?.map_err(Error::sentinel)?.into_on_message();
    while let Some(message) = messages.next().await {
        let text = String::from_utf8_lossy(message.get_payload_bytes());
        let Some(slot) = slot.upgrade() else { return Ok(()) };
        if let Some(master) = switched(&text, &asked.master) {
            slot.leave_for(&master);
        }
    }
    Ok(())
}

/// The new address in a message of [`SWITCH`], if it is about this master.
fn switched(message: &str, master: &str) -> Option<Host> {
    let about = message.strip_prefix(master)?.strip_prefix(' ')?;
    let mut words = about.split_ascii_whitespace().skip(2);
    Some(Host { name: words.next()?.to_owned(), port: words.next()?.parse().ok()? })
}

fn demoted() -> Error {
    Error::ReadOnly((ErrorKind::Server(ServerErrorKind::ReadOnly), "the sentinels name a replica").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_of_this_master_alone_is_followed() {
        let to = |name: &str, port| Some(Host { name: name.into(), port });
        assert_eq!(switched("m 10.0.0.1 6379 10.0.0.2 6380", "m"), to("10.0.0.2", 6380));
        assert_eq!(switched("m 10.0.0.1 6379 ::1 6380", "m"), to("::1", 6380));
        assert_eq!(switched("mm 10.0.0.1 6379 10.0.0.2 6380", "m"), None);
        assert_eq!(switched("m 10.0.0.1 6379 10.0.0.2", "m"), None);
    }

    #[test]
    fn the_youngest_configuration_counts() {
        let answer = |epoch, name: &str| Answer { epoch, master: Host { name: name.into(), port: 6379 } };
        let mut answers = [answer(2, "new"), answer(10, "newest"), answer(1, "old")];
        answers.sort_unstable();
        assert_eq!(answers.last().map(|answer| &*answer.master.name), Some("newest"));
        let state = ["name", "m", "config-epoch", "7"].map(str::to_owned).to_vec();
        assert_eq!(epoch(state), Some(7));
    }
}
