//! The connections to PostgreSQL: through a pooler as well as straight, and made anew when the server is another one.
//!
//! Takes: how to connect, and statements. Gives: their rows. Does not: know what a statement is for, or repeat one that
//! may have been carried out.
//!
//! **Poolers.** PgBouncer and its kind lend a server to a client for one transaction and refuse parameters of the
//! start that they do not know. So none is sent that is not needed, but for one: a mark of our own, a setting that
//! PostgreSQL keeps for the session. A session that refuses the mark, or does not show it, is not ours alone: then
//! statements are sent unnamed, each in a transaction, because a named one would be looked for in another session.
//!
//! **Mails.** Statements of which many follow each other closely hand their connection on (`kept`).
//!
//! **Failover.** Behind a name another server may stand any time, while the old one still answers. Errors that tell
//! of it ([`Verdict::Stale`]) make all connections that are open now stale: they are closed instead of used again, and
//! new ones look the name up.
//!
//! **Isolation.** The statements are made for READ COMMITTED: they look again at a row that somebody else changed
//! meanwhile, where a stricter level fails (40001). An application's database may have another default, so each
//! session, or through a pooler each transaction, asks for that level.
//!
//! **Several hosts.** Which of them is the right one is found out before the first connection (`hosts`), after every
//! such error, and while a connection is waited for longer than [`PATIENCE`].

mod executor;
mod hosts;
mod kept;
mod server;

pub(super) use hosts::Hosts;

use super::unready::Verdict;
use kept::Kept;
use server::Server;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction, pool::PoolConnection,
    postgres::PgPoolOptions,
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The statements are made for this, whatever the database's default is, and a pooler may have no default of ours.
const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// How long a caller waits for a free connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was idle longer than this is tested before use; a busy one is not, which saves a round trip.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How long an idle connection may take to show that it works: less than [`ACQUIRE_TIMEOUT`], which has to be enough
/// for another one.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection to one of several hosts is waited for before they are tried in turn again.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a connection may take to show that it works when it is given back. A statement that was given up may have
/// left it waiting for an answer that never comes, and it would keep its permit of the pool for as long as the kernel
/// tries.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections of one process to one database. Clones share them; `&Connections` runs a statement.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pool: PgPool,
    /// Of the pool, on their way from one statement to the next.
    kept: Kept,
    server: Arc<Server>,
    /// Number of the host that sessions of the pool begin at.
    host: Arc<AtomicUsize>,
    /// Whoever waits wants to know what is wrong more than to have a connection.
    is_probe: bool,
}

/// The connections for statements of which many follow each other closely; it runs a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Successive<'c>(&'c Connections);

/// An open transaction; dropped, it is rolled back. `&mut Work` runs a statement in it.
#[derive(Debug)]
pub(super) struct Work {
    transaction: Transaction<'static, Postgres>,
    server: Arc<Server>,
}

impl Connections {
    /// At most `connections`; the first use connects. Needs a Tokio runtime.
    pub(super) fn new(connections: u32, hosts: Hosts) -> Self {
        Self::to(Arc::new(Server::new(hosts)), connections, false)
    }

    /// One to the same server for signs of life: what one learns of it, both know.
    pub(super) fn probe(&self) -> Self {
        Self::to(Arc::clone(&self.server), 1, true)
    }

    fn to(server: Arc<Server>, connections: u32, is_probe: bool) -> Self {
        let pool = pool(&server, connections);
        Self { pool, kept: Kept::default(), server, host: Arc::default(), is_probe }
    }

    /// For statements of which many follow each other closely: a connection is not tested after each of them.
    pub(super) fn successive(&self) -> Successive<'_> {
        Successive(self)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// No connection can be had within 3 s, or PostgreSQL's.
    pub(super) async fn begin(&self) -> Result<Work, sqlx::Error> {
        self.begin_by(READ_COMMITTED).await
    }

    /// Begins a transaction and does `first` in the same round trip: statements without parameters.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub(super) async fn begin_with(&self, first: impl SqlSafeStr) -> Result<Work, sqlx::Error> {
        let first = first.into_sql_str();
        self.begin_by(AssertSqlSafe(format!("{READ_COMMITTED}; {}", first.as_str()))).await
    }

    /// Begins a transaction that sees one moment, and writes nothing.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub(super) async fn begin_snapshot(&self) -> Result<Work, sqlx::Error> {
        self.begin_by("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    async fn begin_by(&self, statement: impl SqlSafeStr) -> Result<Work, sqlx::Error> {
        let statement = statement.into_sql_str();
        let begun = self.open(|| self.pool.begin_with(statement.clone())).await;
        let transaction = begun.inspect_err(|error| self.server.learn(error))?;
        Ok(Work { transaction, server: Arc::clone(&self.server) })
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.open(|| self.pool.acquire()).await
    }

    /// Opens something at the right host; while it is waited for, the host is looked for again.
    async fn open<T, F>(&self, open: impl Fn() -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        self.follow(self.server.hosts().find(false).await?);
        if self.is_probe && self.pool.size() == 0 {
            // The pool tries again while a server is full, starts or refuses, and then says that time is over.
            self.server.try_connect().await?;
        }
        let _waiting = self.kept.wait(self.pool.num_idle() == 0);
        let mut opening = pin!(open());
        let opened = loop {
            tokio::select! {
                opened = &mut opening => break opened,
                () = tokio::time::sleep(PATIENCE), if !self.server.hosts().is_one() => {
                    if self.follow(self.server.hosts().find(true).await?) {
                        opening.set(open());
                    }
                }
            }
        };
        match opened {
            Err(error) => {
                if self.finds_pooler(&error).await? {
                    return open().await;
                }
                Err(error)
            }
            opened => opened,
        }
    }

    /// Whether an error at the start of a session is a pooler's that refuses the mark.
    async fn finds_pooler(&self, error: &sqlx::Error) -> Result<bool, sqlx::Error> {
        let found = if self.bears_mark() { self.server.refuses_mark(error).await } else { Ok(false) };
        self.follow(self.host.load(Ordering::Relaxed));
        found
    }

    /// Lets sessions begin at a host, and without the mark where a pooler is known; true when the host is another one.
    fn follow(&self, host: usize) -> bool {
        let has_moved = self.host.swap(host, Ordering::Relaxed) != host;
        if has_moved || (self.server.is_pooled() && self.bears_mark()) {
            self.pool.set_connect_options(self.server.options());
        }
        has_moved
    }

    fn bears_mark(&self) -> bool {
        self.server.bears_mark(&self.pool.connect_options())
    }

    /// Closes all connections that are open now instead of using them again.
    pub(super) fn renew(&self) {
        self.server.renew();
    }

    /// Closes every connection after its last use; later calls fail.
    pub(super) async fn close(&self) {
        self.kept.clear();
        self.pool.close().await;
    }
}

impl Work {
    /// Makes what was done last.
    ///
    /// # Errors
    ///
    /// PostgreSQL's; whether it was committed is then unknown, unless it says so.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        let Self { transaction, server } = self;
        transaction.commit().await.inspect_err(|error| server.learn(error))
    }

    /// Undoes what was done, and lets go of its locks, before this returns; one that is dropped does so some time
    /// later. Without a connection PostgreSQL does it by itself.
    pub(super) async fn rollback(self) {
        let Self { transaction, server } = self;
        if let Err(error) = transaction.rollback().await {
            server.learn(&error);
        }
    }
}

fn pool(server: &Arc<Server>, connections: u32) -> PgPool {
    let [connecting, before, after] = [(); 3].map(|()| Arc::clone(server));
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let server = Arc::clone(&connecting);
            Box::pin(async move {
                // One that was put in the place of a wrong one bears no mark.
                if server.hosts().settle(connection).await? { server.look_for_mark(connection).await } else { Ok(()) }
            })
        })
        .before_acquire(move |connection, about| {
            let server = Arc::clone(&before);
            Box::pin(async move {
                if server.is_stale(about.age) {
                    return Ok(false);
                }
                if about.idle_for > TEST_AFTER_IDLE {
                    answers(connection, TEST_TIMEOUT).await.inspect_err(|_| server.renew())?;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, about| {
            let server = Arc::clone(&after);
            Box::pin(async move {
                if server.is_stale(about.age) {
                    return Ok(false);
                }
                answers(connection, RELEASE_TIMEOUT).await.inspect_err(|_| server.renew())?;
                Ok(true)
            })
        })
        .connect_lazy_with(server.options())
}

/// An error makes the pool close the connection and open another for the caller that waits.
async fn answers(connection: &mut PgConnection, within: Duration) -> Result<(), sqlx::Error> {
    tokio::time::timeout(within, connection.ping()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
