//! What all of a process share to speak with Redis: one multiplexed connection to a server or to the master that
//! sentinels name, or one to each node of a cluster. Opened at the first use and again after every loss. Gives raw
//! replies in order. Does not repeat commands: whether that is safe is for the caller to know.
//!
//! # Layout
//!
//! - `dial`: opens one connection; `link`, `slot`: keep one; `tracking`: what a server tells by itself
//! - `sentinel`: finds the master; `cluster`: finds the node of a key; `first_answers`: how both ask

mod cluster;
mod dial;
mod first_answers;
mod link;
mod sentinel;
mod slot;
mod tracking;

pub(crate) use tracking::Changes;
pub use tracking::{Heard, Untracked};

use crate::{
    certificates::Certificates,
    clock::Clock,
    error::Error,
    uri::{Host, Place, RedisUri},
};
use cluster::Cluster;
use dial::{Dialer, RESPONSE_TIMEOUT, Target, timed_out};
use link::{Link, Origin};
use redis::{Cmd, Pipeline, Value};
use sentinel::Sentinels;
use slot::Live;
use std::sync::{Arc, OnceLock};

/// A cheap handle: clones share the sockets.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Arc<Dialer>,
    link: Link,
    /// The nodes of the URI; empty where it names a socket or sentinels.
    hosts: Vec<Host>,
    /// Set by the URI, or when the server says that it is part of one.
    cluster: OnceLock<Cluster>,
    clock: Arc<Clock>,
}

/// Where commands go.
enum Route<'a> {
    One(Live),
    Nodes(&'a Cluster),
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares a connection to what `uri` names, in any form of [`RedisUri`]; `ca_pem` replaces the built-in roots.
    /// Succeeds with Redis down, since nothing is sent yet. That a server is part of a cluster is found out by itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`], [`Error::InvalidCertificate`].
    pub fn open(uri: &str, ca_pem: Option<&[u8]>) -> Result<Self, Error> {
        Self::open_with(uri, Certificates { authority: ca_pem, client: None })
    }

    /// As [`open`](Self::open), with a certificate for a server that asks for one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`], [`Error::InvalidCertificate`].
    pub fn open_with(uri: &str, certificates: Certificates<'_>) -> Result<Self, Error> {
        Self::open_parsed(&RedisUri::parse(uri)?, certificates, None)
    }

    /// As [`open_with`](Self::open_with); `changes` hears of what other clients change, where the server tells.
    pub(crate) fn open_parsed(
        uri: &RedisUri,
        certificates: Certificates<'_>,
        changes: Option<Arc<Changes>>,
    ) -> Result<Self, Error> {
        let dialer = Arc::new(Dialer::new(uri, certificates)?);
        let clock = Arc::new(Clock::default());
        let (origin, hosts) = match &uri.place {
            Place::Socket(path) => (Origin::Server(Target::Socket(path.clone())), Vec::new()),
            Place::Sentinels(hosts) => (Origin::Sentinels(Sentinels::new(uri, hosts, certificates)), Vec::new()),
            Place::Server(host) => (Origin::Server(Target::Tcp(host.clone())), vec![host.clone()]),
            // The link stays unused.
            Place::Cluster(hosts) => (Origin::Server(Target::Tcp(hosts[0].clone())), hosts.clone()),
        };
        let link = Link::new(Arc::clone(&dialer), origin, Some(Arc::clone(&clock))).heard_by(changes);
        let shared = Shared { dialer, link, hosts, cluster: OnceLock::new(), clock };
        if matches!(uri.place, Place::Cluster(_)) {
            shared.cluster();
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The database index of the URI. Pub/sub ignores it, so our channel names contain it.
    pub(crate) fn database(&self) -> i64 {
        self.shared.dialer.database()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Which connection stands, if any: another number means that Redis may have lost its data in between.
    pub(crate) fn number(&self) -> Option<u64> {
        match self.shared.cluster.get() {
            None => self.shared.link.number(),
            Some(cluster) => cluster.number(),
        }
    }

    /// True when queues are on several nodes, of which one may be away and others not.
    pub(crate) fn is_cluster(&self) -> bool {
        self.shared.cluster.get().is_some()
    }

    /// Why no changes are heard of; opens the connection if there is none.
    pub(crate) async fn untracked(&self) -> Result<Option<Untracked>, Error> {
        match self.route().await? {
            Route::One(live) => Ok(live.untracked),
            Route::Nodes(_) => Ok(Some(Untracked::Cluster)),
        }
    }

    /// Runs one command. A reply that is an error is an error here.
    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Error> {
        match self.route().await? {
            Route::One(live) => self.shared.link.command(live, command).await,
            Route::Nodes(cluster) => cluster.command(command).await,
        }
    }

    /// Runs a pipeline in one round trip, on a cluster in one for each node. Replies that are errors keep their
    /// positions; so do those of nodes that did not answer while others did.
    pub(crate) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Result<Value, Error>>, Error> {
        match self.route().await? {
            Route::One(live) => self.shared.link.pipeline(live, pipeline).await,
            Route::Nodes(cluster) => cluster.pipeline(pipeline).await,
        }
    }

    /// A connection of its own for subscriptions.
    pub(crate) async fn subscriber(&self) -> Result<redis::aio::PubSub, Error> {
        let client = match self.route().await? {
            Route::One(_) => self.shared.link.client().await?,
            Route::Nodes(cluster) => cluster.client().await?,
        };
        match tokio::time::timeout(RESPONSE_TIMEOUT, client.get_async_pubsub()).await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(timed_out()),
        }
    }

    /// Measures how far the local clock is from that of Redis.
    pub(crate) async fn measure_clock(&self) -> Result<(), Error> {
        match self.route().await? {
            Route::One(live) => self.shared.link.measure(live, &self.shared.clock).await,
            Route::Nodes(cluster) => cluster.measure().await,
        }
    }

    async fn route(&self) -> Result<Route<'_>, Error> {
        if let Some(cluster) = self.shared.cluster.get() {
            return Ok(Route::Nodes(cluster));
        }
        let live = self.shared.link.live().await?;
        // Sentinels and sockets lead to one server, whatever it says of itself.
        if live.is_cluster && !self.shared.hosts.is_empty() {
            return Ok(Route::Nodes(self.shared.cluster()));
        }
        Ok(Route::One(live))
    }
}

/// What a refused SELECT means.
pub(crate) fn selection_error(error: Error) -> Error {
    match error {
        Error::Refused(error) => dial::opening_error(error),
        other => other,
    }
}

impl Shared {
    fn cluster(&self) -> &Cluster {
        let new = || Cluster::new(Arc::clone(&self.dialer), self.hosts.clone(), Arc::clone(&self.clock));
        self.cluster.get_or_init(new)
    }
}
