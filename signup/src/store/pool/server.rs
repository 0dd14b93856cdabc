//! What is known of the server behind a URI, shared by all connections to it.
//!
//! Takes: errors, and sessions that have just begun. Gives: whether a pooler stands between, and which connections are
//! stale. Does not: hold connections, or choose between hosts (`hosts` does).

use super::{ACQUIRE_TIMEOUT, TEST_TIMEOUT, Verdict, answers, hosts::Hosts};
use parking_lot::Mutex;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The setting that marks a session as begun by us. PostgreSQL takes any name with a dot in it ("customized options").
const MARK: &str = "signup.session";

/// Connections become stale at most this often: as long as the old server answers behind the name, statements fail one
/// after the other, and a new connection each would cost it more than the statements.
const RENEW_INTERVAL: Duration = Duration::from_millis(200);

/// A server, or a pooler before one.
#[derive(Debug)]
pub(super) struct Server {
    /// The mark's value, which nobody else has.
    mark: String,
    hosts: Hosts,
    is_pooled: AtomicBool,
    /// The pooler had no server for a connection.
    is_crowded: AtomicBool,
    /// Connections made before this are stale.
    stale_before: Mutex<Option<Instant>>,
}

impl Server {
    pub(super) fn new(hosts: Hosts) -> Self {
        let mark = Uuid::new_v4().simple().to_string();
        let (is_pooled, is_crowded) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { mark, hosts, is_pooled, is_crowded, stale_before: Mutex::new(None) }
    }

    /// Which of several servers it is.
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// How sessions begin: with the mark and our level of isolation as long as no pooler is known.
    pub(super) fn options(&self) -> PgConnectOptions {
        let unmarked = self.hosts.current().clone();
        if self.is_pooled() {
            return unmarked;
        }
        unmarked.options([(MARK, self.mark.as_str()), ("default_transaction_isolation", "read committed")])
    }

    pub(super) fn bears_mark(&self, options: &PgConnectOptions) -> bool {
        options.get_options().is_some_and(|options| options.contains(&self.mark))
    }

    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.load(Ordering::Relaxed)
    }

    /// Whether an error at the start of a session came of the mark: nobody but PostgreSQL itself knows it. Certain only
    /// when the same start succeeds without it; an error of the start without it is the one to tell.
    pub(super) async fn refuses_mark(&self, error: &sqlx::Error) -> Result<bool, sqlx::Error> {
        if self.is_pooled() {
            return Ok(true);
        }
        if !may_refuse_parameters(error) {
            return Ok(false);
        }
        match self.try_connect().await {
            Ok(()) => {
                self.found_pooler();
                Ok(true)
            }
            Err(sqlx::Error::PoolTimedOut) => Ok(false),
            Err(without) => Err(without),
        }
    }

    /// Looks whether a session that has just begun shows the mark: a pooler may take parameters and drop them.
    /// One that lends no server is no session: where others have all servers, it would keep its caller waiting.
    pub(super) async fn look_for_mark(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.is_pooled() {
            return answers(connection, TEST_TIMEOUT).await.inspect_err(|_| self.lacks_servers());
        }
        let row = connection.fetch_one(sqlx::raw_sql("SELECT current_setting('signup.session', true)")).await?;
        if row.try_get::<Option<String>, _>(0)?.as_ref() != Some(&self.mark) {
            self.found_pooler();
        }
        Ok(())
    }

    /// Connects once, for what the server says to it.
    pub(super) async fn try_connect(&self) -> Result<(), sqlx::Error> {
        let connecting = tokio::time::timeout(ACQUIRE_TIMEOUT, self.hosts.current().connect()).await;
        // It has served its purpose.
        drop(connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut))?.close().await);
        Ok(())
    }

    fn found_pooler(&self) {
        if !self.is_pooled.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "a connection pooler stands before PostgreSQL; statements are sent unnamed, each in a transaction"
            );
        }
    }

    fn lacks_servers(&self) {
        if !self.is_crowded.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the connection pooler has no server for another connection; raise its pool size, or lower \
                 database.maxConnectionsPerPod"
            );
        }
    }

    /// Draws the conclusions from an error.
    pub(super) fn learn(&self, error: &sqlx::Error) {
        match Verdict::on(error) {
            Verdict::Stale => self.renew(),
            Verdict::Pooled => self.found_pooler(),
            Verdict::Other => {}
        }
    }

    /// Makes connections that are open now stale, and has the host looked for again where there are several.
    pub(super) fn renew(&self) {
        self.hosts.doubt();
        let mut stale_before = self.stale_before.lock();
        if stale_before.is_none_or(|at| at.elapsed() >= RENEW_INTERVAL) {
            *stale_before = Some(Instant::now());
        }
    }

    /// Whether a connection of this age was made before the last renewal.
    pub(super) fn is_stale(&self, age: Duration) -> bool {
        self.stale_before.lock().is_some_and(|at| at.elapsed() <= age)
    }
}

/// Whether an error at the start can be about its parameters: it is an answer, and not one about the user (28), the
/// database (3D), too many connections (53) or a server that starts or stops (57; appendix A of PostgreSQL's manual).
fn may_refuse_parameters(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| !["28", "3D", "53", "57"].iter().any(|class| code.starts_with(class)))
}
