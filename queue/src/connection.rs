//! One multiplexed connection to Redis, shared by all clones, opened at the first use and again after every loss. Gives
//! raw replies in order. Does not repeat commands: whether that is safe is for the caller to know.

use crate::{clock::Clock, error::Error};
use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion, PushKind, RedisError, TlsCertificates,
    Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::Mutex;

/// An answer that takes longer is given up; the connection is then replaced.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The kernel drops a connection whose data is not acknowledged for this long, so a vanished server is noticed.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed attempt to connect, callers get that error at once for this long instead of queueing up attempts.
const FAILED_ATTEMPT_MAX_AGE: Duration = Duration::from_millis(50);
/// At most this many commands wait for the socket before callers are held back.
const MAX_WAITING_COMMANDS: usize = 1024;

/// A cheap handle: clones share the socket.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    client: redis::Client,
    live: Arc<RwLock<Option<Live>>>,
    /// Serialises attempts to connect; holds the last failure.
    attempt: Mutex<Option<(Instant, RedisError)>>,
    clock: Clock,
}

#[derive(Clone)]
struct Live {
    number: u64,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares a connection to `uri` (`redis://` or, over TLS, `rediss://`); `ca_pem` replaces the built-in roots.
    /// Succeeds with Redis down, since nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`] when the URI or the certificate cannot be used.
    pub fn open(uri: &str, ca_pem: Option<&[u8]>) -> Result<Self, Error> {
        let info = uri.into_connection_info().map_err(Error::InvalidUri)?;
        let redis_settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(redis_settings).set_tcp_settings(tcp_settings());
        let client = match ca_pem {
            None => redis::Client::open(info),
            Some(pem) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
                redis::Client::build_with_tls(info, certificates)
            }
        };
        let client = client.map_err(Error::InvalidUri)?;
        let shared = Shared { client, live: Arc::default(), attempt: Mutex::default(), clock: Clock::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The database index of the URI. Pub/sub ignores it, so our channel names contain it.
    pub(crate) fn database(&self) -> i64 {
        self.shared.client.get_connection_info().redis_settings().db()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Which connection stands, if any: another number means that Redis may have lost its data in between.
    pub(crate) fn number(&self) -> Option<u64> {
        self.shared.live.read().as_ref().map(|live| live.number)
    }

    /// Runs one command. A reply that is an error is an error here.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Error> {
        let mut live = self.live().await?;
        let reply = live.connection.send_packed_command(command).await.and_then(Value::extract_error);
        reply.map_err(|error| self.note_failure(live.number, error))
    }

    /// Runs a pipeline in one round trip. Replies that are errors keep their positions.
    pub(crate) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Error> {
        let mut live = self.live().await?;
        let replies = live.connection.send_packed_commands(pipeline, 0, pipeline.len()).await;
        let replies = replies.map_err(|error| self.note_failure(live.number, error))?;
        for reply in &replies {
            if let Value::ServerError(error) = reply {
                self.note_failure(live.number, error.clone().into());
            }
        }
        Ok(replies)
    }

    /// A connection of its own for subscriptions.
    pub(crate) async fn subscriber(&self) -> Result<redis::aio::PubSub, Error> {
        let opening = tokio::time::timeout(RESPONSE_TIMEOUT, self.shared.client.get_async_pubsub());
        match opening.await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(Error::Unreachable(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
        }
    }

    /// Measures how far the local clock is from that of Redis.
    pub(crate) async fn measure_clock(&self) -> Result<(), Error> {
        let live = self.live().await?;
        measure(&self.shared.clock, live.connection).await.map_err(|error| self.note_failure(live.number, error))
    }

    fn current(&self) -> Option<Live> {
        self.shared.live.read().clone()
    }

    async fn live(&self) -> Result<Live, Error> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let mut attempt = self.shared.attempt.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((at, error)) = attempt.as_ref()
            && at.elapsed() < FAILED_ATTEMPT_MAX_AGE
        {
            return Err(Error::from(error.clone()));
        }
        match self.connect().await {
            Ok(live) => {
                *attempt = None;
                Ok(live)
            }
            Err(error) => {
                *attempt = Some((Instant::now(), error.clone()));
                Err(Error::from(error))
            }
        }
    }

    async fn connect(&self) -> Result<Live, RedisError> {
        let number = connection_number();
        let slot = Arc::downgrade(&self.shared.live);
        let on_push = move |push: redis::PushInfo| {
            if push.kind == PushKind::Disconnection
                && let Some(slot) = slot.upgrade()
            {
                forget(&slot, number);
            }
            Ok::<(), redis::aio::SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(MAX_WAITING_COMMANDS)
            .set_push_sender(on_push);
        let connection = self.shared.client.get_multiplexed_async_connection_with_config(&config).await?;
        measure(&self.shared.clock, connection.clone()).await?;
        let live = Live { number, connection };
        *self.shared.live.write() = Some(live.clone());
        Ok(live)
    }

    /// Gives up the connection after an error that another connection may not have: lost, silent, or demoted to
    /// replica.
    fn note_failure(&self, number: u64, error: RedisError) -> Error {
        let error = Error::from(error);
        if matches!(error, Error::Unreachable(_) | Error::ReadOnly(_)) {
            forget(&self.shared.live, number);
        }
        error
    }
}

fn forget(slot: &RwLock<Option<Live>>, number: u64) {
    let mut live = slot.write();
    if live.as_ref().is_some_and(|live| live.number == number) {
        *live = None;
    }
}

/// Distinguishes connections, so that the late failure of an old one does not drop its successor.
fn connection_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(USER_TIMEOUT)
}

async fn measure(clock: &Clock, mut connection: MultiplexedConnection) -> Result<(), RedisError> {
    let sent = Instant::now();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
    clock.measured(seconds * 1_000_000 + micros, SystemTime::now(), sent.elapsed());
    Ok(())
}
