//! Several servers behind one URI, of which one is the right one.
//!
//! Takes: how to connect to each, in order, and what the URI's `target_session_attrs` asks for. Gives: the one to
//! connect to, found by trying them in turn, as libpq does. Does not: look again while that one answers and is what is
//! asked for: a server that comes back does not get the connections back.

use crate::store::unready::NoHost;
use pipeline::postgres_uri::TargetSessionAttrs;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long one host is tried when the URI does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a search found holds this long for those who wait for it, so that they do not search one after the other.
const MAX_AGE: Duration = Duration::from_millis(200);

/// The servers of a URI.
#[derive(Debug)]
pub(in crate::store) struct Hosts {
    all: Vec<PgConnectOptions>,
    wanted: TargetSessionAttrs,
    timeout: Duration,
    current: AtomicUsize,
    /// False: the current one has to be found, or may be the wrong one by now.
    is_found: AtomicBool,
    /// One search at a time; what the last one came to.
    search: Mutex<Option<(Instant, Result<(), NoHost>)>>,
}

impl Hosts {
    /// Needs one at least. `timeout` is that of one host.
    pub(in crate::store) fn new(
        all: Vec<PgConnectOptions>,
        wanted: TargetSessionAttrs,
        timeout: Option<Duration>,
    ) -> Self {
        let is_found = all.len() == 1 && wanted == TargetSessionAttrs::Any;
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        let (current, is_found) = (AtomicUsize::new(0), AtomicBool::new(is_found));
        // The driver would ask for digits of floating-point numbers, of which there are none here.
        let all = all.into_iter().map(|options| options.extra_float_digits(None)).collect();
        Self { all, wanted, timeout, current, is_found, search: Mutex::default() }
    }

    /// Whether there is nothing to choose.
    pub(super) fn is_one(&self) -> bool {
        self.all.len() == 1 && self.wanted == TargetSessionAttrs::Any
    }

    /// How the current one is connected to.
    pub(super) fn current(&self) -> &PgConnectOptions {
        &self.all[self.current.load(Ordering::Relaxed)]
    }

    /// Has the right one found anew before the next connection.
    pub(super) fn doubt(&self) {
        if !self.is_one() {
            self.is_found.store(false, Ordering::Relaxed);
        }
    }

    /// Number of the right one: known already, or found now; with `again` it is looked for in any case.
    ///
    /// # Errors
    ///
    /// [`NoHost`] after all have been tried.
    pub(super) async fn find(&self, again: bool) -> Result<usize, NoHost> {
        if again || !self.is_found.load(Ordering::Relaxed) {
            let mut search = self.search.lock().await;
            match &*search {
                Some((at, result)) if at.elapsed() < MAX_AGE => result.clone()?,
                _ => {
                    let result = self.look().await;
                    *search = Some((Instant::now(), result.clone()));
                    result?;
                }
            }
        }
        Ok(self.current.load(Ordering::Relaxed))
    }

    async fn look(&self) -> Result<(), NoHost> {
        let (index, connection) = self.try_in_turn().await?;
        self.current.store(index, Ordering::Relaxed);
        self.is_found.store(true, Ordering::Relaxed);
        // It has served its purpose.
        drop(connection.close().await);
        Ok(())
    }

    /// Puts a connection to the right server in the place of one to a wrong server; false when it did.
    ///
    /// # Errors
    ///
    /// The server's, or [`NoHost`].
    pub(super) async fn settle(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        if matches!(self.wanted, TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby)
            || Role::of(connection).await?.is(self.wanted)
        {
            return Ok(true);
        }
        self.doubt();
        let (_, right) = self.try_in_turn().await?;
        let wrong = std::mem::replace(connection, right);
        drop(wrong.close().await);
        Ok(false)
    }

    /// The current one first, then all others in their order; a preference is a second round without it.
    async fn try_in_turn(&self) -> Result<(usize, PgConnection), NoHost> {
        let rounds: &[TargetSessionAttrs] = match &self.wanted {
            TargetSessionAttrs::PreferStandby => &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any],
            wanted => std::slice::from_ref(wanted),
        };
        let current = self.current.load(Ordering::Relaxed);
        let order = || std::iter::once(current).chain((0..self.all.len()).filter(|index| *index != current));
        let mut failure = None;
        for (wanted, index) in rounds.iter().flat_map(|wanted| order().map(move |index| (*wanted, index))) {
            let trying = tokio::time::timeout(self.timeout, self.try_one(index, wanted));
            match trying.await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(Some(connection)) => return Ok((index, connection)),
                Ok(None) => failure = Some(NoHost::NoneMatches),
                // An answer says more than silence.
                Err(error) if failure.is_none() || matches!(error, sqlx::Error::Database(_)) => {
                    failure = Some(NoHost::NoneAnswers(Arc::new(error)));
                }
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or(NoHost::NoneMatches))
    }

    async fn try_one(&self, index: usize, wanted: TargetSessionAttrs) -> Result<Option<PgConnection>, sqlx::Error> {
        let mut connection = self.all[index].connect().await?;
        if wanted == TargetSessionAttrs::Any || Role::of(&mut connection).await?.is(wanted) {
            return Ok(Some(connection));
        }
        drop(connection.close().await);
        Ok(None)
    }
}

/// What a server is.
struct Role {
    is_standby: bool,
    is_read_only: bool,
}

impl Role {
    /// Asks without a prepared statement, which a pooler may not keep.
    async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let question = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let row = connection.fetch_one(sqlx::raw_sql(question)).await?;
        Ok(Self { is_standby: row.try_get(0)?, is_read_only: row.try_get(1)? })
    }

    /// As libpq tells them apart (PostgreSQL 17 manual, 34.1.2, `target_session_attrs`).
    fn is(&self, wanted: TargetSessionAttrs) -> bool {
        match wanted {
            TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
            TargetSessionAttrs::ReadWrite => !self.is_read_only,
            TargetSessionAttrs::ReadOnly => self.is_read_only,
            TargetSessionAttrs::Primary => !self.is_standby,
            TargetSessionAttrs::Standby => self.is_standby,
        }
    }
}
