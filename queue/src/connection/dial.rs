//! Opens a connection to one server: TLS, login, database, and what is learnt of the server while it is opened.
//!
//! Takes: a URI's login and a place. Gives: a multiplexed connection and [`Facts`]. Does not: choose the place, keep
//! the connection, or repeat a command.
//!
//! RESP3 is spoken where the server knows HELLO. Redis before 6 and proxies answer that they do not know it, or hang
//! up; then RESP2 is spoken, and what is lost by that is logged once.

use crate::{
    certificates::Certificates,
    clock::Clock,
    error::Error,
    uri::{Host, Login, RedisUri, UriError},
};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// An answer that takes longer is given up; the connection is then replaced.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The kernel drops a connection whose data is not acknowledged for this long, so a vanished server is noticed.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// At most this many commands wait for the socket before callers are held back.
const MAX_WAITING_COMMANDS: usize = 1024;

/// A place at which a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp(Host),
    Socket(PathBuf),
}

/// How servers of one URI are spoken to.
pub(super) struct Dialer {
    is_tls: bool,
    certificates: TlsCertificates,
    login: Login,
    database: i64,
    is_resp2: bool,
    /// The loss of RESP3 was logged.
    has_told: AtomicBool,
}

/// What a server says of itself at HELLO; unknown where it does not know that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) is_cluster: bool,
    pub(super) is_replica: bool,
    is_sentinel: bool,
}

/// An open connection.
pub(super) struct Opened {
    pub(super) connection: MultiplexedConnection,
    /// Opens others to the same server in the same way.
    pub(super) client: Client,
    pub(super) facts: Facts,
    /// The server may speak without being asked.
    pub(super) is_resp3: bool,
}

impl Dialer {
    /// For the servers that hold tasks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`] when a certificate cannot be used.
    pub(super) fn new(uri: &RedisUri, certificates: Certificates<'_>) -> Result<Self, Error> {
        let dialer = Self::with_login(uri, certificates, uri.login.clone(), uri.database);
        if certificates.authority.is_some() && !uri.is_tls {
            let fix = "write rediss://, or give no certificate (redis.caSecretRef)";
            return Err(UriError::new("it is without TLS, and a CA certificate is given", fix).into());
        }
        let anywhere = Target::Tcp(Host { name: "localhost".to_owned(), port: 1 });
        dialer.client(&anywhere, ProtocolVersion::RESP2).map_err(Error::InvalidCertificate)?;
        Ok(dialer)
    }

    /// For others beside them: sentinels have a login of their own, and no databases.
    pub(super) fn with_login(uri: &RedisUri, certificates: Certificates<'_>, login: Login, database: i64) -> Self {
        let certificates = certificates.for_driver();
        Self {
            is_tls: uri.is_tls,
            certificates,
            login,
            database,
            is_resp2: uri.is_resp2,
            has_told: AtomicBool::new(false),
        }
    }

    pub(super) fn database(&self) -> i64 {
        self.database
    }

    /// Opens a connection and measures the server's clock into `clock`; a second at most. `on_push` hears of its end.
    pub(super) async fn open(
        &self,
        target: &Target,
        clock: Option<&Clock>,
        on_push: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> Result<Opened, Error> {
        let opening = async {
            if !self.is_resp2 {
                let client = self.client(target, ProtocolVersion::RESP3)?;
                match client.get_multiplexed_async_connection_with_config(&config().set_push_sender(on_push)).await {
                    Ok(connection) => {
                        return introduced(connection, client, clock, true)
                            .await
                            .map(|opened| Opened { is_resp3: true, ..opened });
                    }
                    Err(error) if is_without_hello(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            let client = self.client(target, ProtocolVersion::RESP2)?;
            let connection = client.get_multiplexed_async_connection_with_config(&config()).await?;
            let opened = introduced(connection, client, clock, self.is_resp2).await?;
            if !self.is_resp2 && !self.has_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "Redis, or a proxy before it, does not know HELLO: RESP2 is spoken, and a lost connection is \
                     noticed at the next command only"
                );
            }
            Ok(opened)
        };
        match tokio::time::timeout(RESPONSE_TIMEOUT * 2, opening).await {
            Ok(Ok(opened)) if opened.facts.is_sentinel => {
                let fix = "write redis+sentinel://host:26379/master/0, with the name that `sentinel monitor` gives it";
                Err(UriError::new("it leads to a sentinel, which holds no tasks", fix).into())
            }
            Ok(opened) => opened.map_err(opening_error),
            Err(_) => Err(timed_out()),
        }
    }

    /// Opens a connection that speaks RESP2, and asks nothing.
    pub(super) async fn open_resp2(&self, target: &Target) -> Result<MultiplexedConnection, RedisError> {
        let client = self.client(target, ProtocolVersion::RESP2)?;
        client.get_multiplexed_async_connection_with_config(&config()).await
    }

    /// A client of the server at `target`; nothing is sent.
    pub(super) fn client(&self, target: &Target, protocol: ProtocolVersion) -> Result<Client, RedisError> {
        let mut settings = RedisConnectionInfo::default().set_db(self.database).set_protocol(protocol);
        if let Some(user) = &self.login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password);
        }
        if protocol == ProtocolVersion::RESP2 {
            // Proxies hang up on what they do not know.
            settings = settings.set_skip_set_lib_name();
        }
        let address = match target.clone() {
            Target::Socket(path) => ConnectionAddr::Unix(path),
            Target::Tcp(Host { name, port }) if self.is_tls => {
                ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
            }
            Target::Tcp(Host { name, port }) => ConnectionAddr::Tcp(name, port),
        };
        let info = address.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp_settings());
        let has_own = self.certificates.root_cert.is_some() || self.certificates.client_tls.is_some();
        // Without TLS the driver refuses certificates of any kind.
        if has_own && self.is_tls {
            Client::build_with_tls(info, self.certificates.clone())
        } else {
            Client::open(info)
        }
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(RESPONSE_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(MAX_WAITING_COMMANDS)
}

/// Asks the server what it is and what its time is, in one round trip.
async fn introduced(
    mut connection: MultiplexedConnection,
    client: Client,
    clock: Option<&Clock>,
    knows_hello: bool,
) -> Result<Opened, RedisError> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.cmd("TIME");
    if knows_hello {
        // Without a version it changes nothing and tells what the server is.
        pipeline.cmd("HELLO");
    }
    let sent = Instant::now();
    let replies = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
    let mut replies = replies.into_iter();
    let time = replies.next().unwrap_or(Value::Nil);
    if let Some(clock) = clock {
        measured(clock, time, sent)?;
    }
    let facts = replies.next().map(facts).unwrap_or_default();
    Ok(Opened { connection, client, facts, is_resp3: false })
}

/// Takes over an answer to TIME. Where it is not known, the local clock is used.
pub(super) fn measured(clock: &Clock, time: Value, sent: Instant) -> Result<(), RedisError> {
    let round_trip = sent.elapsed();
    match time.extract_error() {
        Ok(time) => {
            let (seconds, micros): (i64, i64) = redis::from_redis_value(time)?;
            clock.measured(seconds * 1_000_000 + micros, SystemTime::now(), round_trip);
            Ok(())
        }
        Err(error) if is_unknown_command(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn facts(hello: Value) -> Facts {
    let pairs: Vec<(Value, Value)> = match hello {
        Value::Map(pairs) => pairs,
        Value::Array(items) => {
            let mut items = items.into_iter();
            std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
        }
        // Not known, or not allowed: as without HELLO.
        _ => return Facts::default(),
    };
    let says = |name: &str, value: &str| {
        pairs.iter().any(|(key, is)| text(key) == Some(name.as_bytes()) && text(is) == Some(value.as_bytes()))
    };
    let is_replica = says("role", "replica") || says("role", "slave");
    Facts { is_cluster: says("mode", "cluster"), is_replica, is_sentinel: says("mode", "sentinel") }
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// HELLO is not known, or the server hung up on it. Valkey 9 does not say to strangers which commands it knows; where
/// it knows HELLO, it answers to the password in it.
fn is_without_hello(error: &RedisError) -> bool {
    let hung_up = error.is_connection_dropped() && !error.is_connection_refusal();
    let hides_it = error.code() == Some("NOAUTH");
    error.kind() == ErrorKind::RESP3NotSupported || is_unknown_command(error) || hung_up || hides_it
}

fn is_unknown_command(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.to_ascii_lowercase().contains("unknown command"))
}

/// A server of a cluster refuses the database index while the connection is opened.
pub(super) fn opening_error(error: RedisError) -> Error {
    if error.detail().is_some_and(|detail| detail.contains("not allowed in cluster mode")) {
        let fix = "remove the index: a cluster has database 0 alone, so each pipeline needs a cluster of its own";
        return UriError::new("its database index is not 0, and the server is part of a cluster", fix).into();
    }
    if error.detail().is_some_and(|detail| detail.contains("DB index is out of range")) {
        // Valkey 9 says so in a cluster, too.
        let fix = "choose a lower one, or raise `databases`; a cluster has database 0 alone unless \
                   `cluster-databases` of Valkey says more, so each pipeline needs a cluster of its own";
        return UriError::new("its database index is higher than the server has databases", fix).into();
    }
    Error::from(error)
}

pub(super) fn timed_out() -> Error {
    Error::Unreachable(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(USER_TIMEOUT)
}
