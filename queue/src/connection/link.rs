//! One connection to one server, or to the master that sentinels name: opened at the first use and again after every
//! loss.
//!
//! Takes: commands. Gives: raw replies in order. Does not: repeat commands, or follow redirections of a cluster.

use super::{
    dial::{Dialer, Target, measured, timed_out},
    sentinel::Sentinels,
    slot::{Live, Slot, on_push},
    tracking::{self, Changes},
};
use crate::{clock::Clock, error::Error, uri::Host};
use redis::{Client, Cmd, ErrorKind, Pipeline, RedisError, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// After a failed attempt to connect, callers get that error at once for this long instead of queueing up attempts.
const FAILED_ATTEMPT_MAX_AGE: Duration = Duration::from_millis(50);

/// Where a link leads.
pub(super) enum Origin {
    Server(Target),
    Sentinels(Sentinels),
}

/// A connection that is replaced when it is lost.
pub(super) struct Link {
    dialer: Arc<Dialer>,
    origin: Origin,
    slot: Arc<Slot>,
    /// Serialises attempts to connect; holds the last failure.
    attempt: Mutex<Option<(Instant, Error)>>,
    /// Follows the server's; nodes of a cluster but for one have none.
    clock: Option<Arc<Clock>>,
}

impl Link {
    pub(super) fn new(dialer: Arc<Dialer>, origin: Origin, clock: Option<Arc<Clock>>) -> Self {
        Self { dialer, origin, slot: Arc::default(), attempt: Mutex::default(), clock }
    }

    /// One whose connections tell `changes` what may have changed.
    pub(super) fn heard_by(self, changes: Option<Arc<Changes>>) -> Self {
        Self { slot: Arc::new(Slot { changes, ..Slot::default() }), ..self }
    }

    /// Where it leads, if that is one server of the network.
    pub(super) fn host(&self) -> Option<&Host> {
        match &self.origin {
            Origin::Server(Target::Tcp(host)) => Some(host),
            Origin::Server(Target::Socket(_)) | Origin::Sentinels(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.slot.live.read().as_ref().map(|live| live.number)
    }

    /// Runs one command. A reply that is an error is an error here.
    pub(super) async fn command(&self, mut live: Live, command: &Cmd) -> Result<Value, Error> {
        let reply = live.connection.send_packed_command(command).await.and_then(Value::extract_error);
        reply.map_err(|error| self.note_failure(live.number, error))
    }

    /// Runs a pipeline in one round trip. Replies that are errors keep their positions.
    pub(super) async fn pipeline(
        &self,
        mut live: Live,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        let replies = live.connection.send_packed_commands(pipeline, 0, pipeline.len()).await;
        let replies = replies.map_err(|error| self.note_failure(live.number, error))?;
        let result = |reply: Value| reply.extract_error().map_err(|error| self.note_failure(live.number, error));
        Ok(replies.into_iter().map(result).collect())
    }

    /// Runs one command on the connection that stands, or on a new one.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Error> {
        self.command(self.live().await?, command).await
    }

    /// The same at a node of a cluster that is just getting the slot: it answers once it is told that the asker knows.
    pub(super) async fn ask_importing(&self, command: &Cmd) -> Result<Value, Error> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("ASKING");
        pipeline.add_command(command.clone());
        let replies = self.pipeline(self.live().await?, &pipeline).await?;
        replies.into_iter().next_back().unwrap_or_else(|| Err(timed_out()))
    }

    /// What opens another connection to the server of this one.
    pub(super) async fn client(&self) -> Result<Client, Error> {
        self.live().await?;
        self.slot.opened.read().as_ref().map(|(_, client)| client.clone()).ok_or_else(timed_out)
    }

    /// Measures how far the local clock is from the server's.
    pub(super) async fn measure(&self, mut live: Live, clock: &Clock) -> Result<(), Error> {
        let sent = Instant::now();
        let time = live.connection.send_packed_command(&redis::cmd("TIME")).await;
        let done = time.and_then(|time| measured(clock, time, sent));
        done.map_err(|error| self.note_failure(live.number, error))
    }

    /// The connection, opened if there is none.
    pub(super) async fn live(&self) -> Result<Live, Error> {
        if let Some(live) = self.slot.current() {
            return Ok(live);
        }
        let mut attempt = self.attempt.lock().await;
        if let Some(live) = self.slot.current() {
            return Ok(live);
        }
        if let Some((at, error)) = attempt.as_ref()
            && at.elapsed() < FAILED_ATTEMPT_MAX_AGE
        {
            return Err(error.clone());
        }
        let connected = self.connect().await;
        *attempt = connected.as_ref().err().map(|error| (Instant::now(), error.clone()));
        connected
    }

    async fn connect(&self) -> Result<Live, Error> {
        let number = connection_number();
        let on_push = || on_push(Arc::downgrade(&self.slot), number);
        let (target, mut opened) = match &self.origin {
            Origin::Server(target) => {
                (target.clone(), self.dialer.open(target, self.clock.as_deref(), on_push()).await?)
            }
            Origin::Sentinels(sentinels) => {
                sentinels.watch(&self.slot);
                sentinels.open_master(&self.dialer, self.clock.as_deref(), on_push).await?
            }
        };
        let untracked = match &self.slot.changes {
            Some(_) => tracking::begin(&mut opened).await?,
            None => None,
        };
        let live = Live { number, is_cluster: opened.facts.is_cluster, untracked, connection: opened.connection };
        *self.slot.opened.write() = Some((target, opened.client));
        *self.slot.live.write() = Some(live.clone());
        Ok(live)
    }

    /// Gives up the connection after an error that another connection may not have: lost, silent, or demoted to
    /// replica.
    fn note_failure(&self, number: u64, error: RedisError) -> Error {
        use redis::ServerErrorKind::{ClusterDown, TryAgain};
        let is_of_all =
            matches!(error.kind(), ErrorKind::Server(ClusterDown | TryAgain)) || error.code() == Some("BUSY");
        let error = Error::from(error);
        if matches!(error, Error::Unreachable(_) | Error::ReadOnly(_)) && !is_of_all {
            self.slot.forget(number);
        }
        error
    }
}

/// Distinguishes connections, so that the late failure of an old one does not drop its successor.
fn connection_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
