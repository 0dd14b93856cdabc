//! PostgreSQL, the truth: every statement of the service, one function per query.
//!
//! Takes: a connection URI. Gives: a [`Store`], whose methods live in the files below. Does not: read a local clock;
//! what is due, expired or too late is decided by the database's.
//!
//! # Layout
//!
//! - `users`: a signup, in one statement; `users_together`: several in one; `hiding`: one that hides whether its
//!   address was taken; `once`: one under a key of its client's
//! - `relay`: committed intents on their way to Redis
//! - `lease`: the exclusive right to send one mail; `notice`: the same for a notice to the owner of an address
//! - `record`: what came of it; in both, `together`: several by one statement; `refusals`: whether a refusal is news
//!   about the mailbox
//! - `sweeper`: what nobody finished
//! - `verify`: a click on the link; `digits`: what people type instead
//! - `delivery`: what became of the mail, for whoever signed up
//! - `requests`: how often something was asked for; `resend`: another mail; `resend_once`: one under a key;
//!   `correction`: another address
//! - `schema`: where the tables are, named in every statement; `ours`: what of the database is ours
//! - `pool`: the connections, through a pooler or straight
//! - `migrations`, `apply`: bringing the database up to date; `adoption`, `found`: whether what is there may be ours
//! - `owner`: whose the database is
//! - `complete`: whether all of it is there still; `unready`: what a failure to use the database means
//! - `intents`: an intent for a task without one; `counts`: how many there are
//! - `retention`: what goes after a while; `deletion`: a user who goes
//! - `new_intent`: what all statements that make one share
//! - `webhooks`: who is told of users and mails, and what is owed to them
//! - `listing`, `by_hand`: intents as people look at them, put them back and give them up

mod adoption;
mod apply;
mod by_hand;
mod complete;
mod correction;
mod counts;
mod deletion;
mod delivery;
mod digits;
mod found;
mod hiding;
mod intents;
mod lease;
mod listing;
mod migrations;
mod new_intent;
mod notice;
mod once;
mod ours;
mod owner;
mod pool;
mod record;
mod refusals;
mod relay;
mod requests;
mod resend;
mod resend_once;
mod retention;
pub(crate) mod rows;
mod schema;
mod sweeper;
mod unready;
mod users;
mod users_together;
mod verify;
mod webhooks;

pub use by_hand::{Change, Refusal};
pub use correction::CorrectionError;
pub use counts::Counts;
pub use deletion::{Deleted, Deletion};
pub use found::Foreign;
pub use intents::IntentFor;
pub use lease::{LeaseOutcome, Leased};
pub use listing::{Filter, IntentRecord};
pub use once::{Answered, Keyed, Once};
pub use owner::Claimant;
pub use record::{RecordError, RetryOutcome};
pub use refusals::{Ground, RefusalOutcome};
pub use relay::Claim;
pub use requests::Admission;
pub use resend_once::{AskError, AskedOnce};
pub use retention::{Pace, Step};
pub use unready::unready;
pub use users::{CreateError, Created, NewUser, User};
pub use verify::{LinkStanding, VerifyError};
pub use webhooks::{Delivery, DeliveryEnd};

use crate::batch::Batch;
use lease::LeaseRequest;
use parking_lot::Mutex;
use pipeline::{
    Unready,
    document::Database,
    postgres_uri::{PostgresUri, PostgresUriError},
    secret,
};
use pool::{Connections, Hosts};
use record::SentRequest;
use schema::Schema;
use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, postgres::PgConnectOptions};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

/// How long a database may take no writes before that counts: a failover by name goes through such a time, and a
/// replica that says it is not ready gets no requests for a while after it.
const READ_ONLY_GRACE: Duration = Duration::from_secs(10);

/// The database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Connections,
    /// One connection for signs of life: whether PostgreSQL answers is asked when all others are busy, too.
    probe: Connections,
    schema: Schema,
    /// Where the tables are brought up to date, when not on `pool`. Read when it is used: only `api` has the files.
    direct: Option<Arc<Database>>,
    /// Since when `probe` finds that no writes are taken.
    read_only_since: Arc<Mutex<Option<Instant>>>,
    leases: Batch<LeaseRequest>,
    sent: Batch<SentRequest>,
    /// In which term of the database's owner it was found to be ours; 0: nobody asked.
    term: Arc<AtomicI64>,
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URI is not one of PostgreSQL's. The cause never repeats it, for it may hold a password.
    #[error("the database URI is invalid")]
    InvalidUri(#[from] PostgresUriError),
    /// The driver does not take what the URI says.
    #[error("the database URI cannot be used")]
    UnusableUri(#[source] sqlx::Error),
    /// The file with the URI cannot be read.
    #[error("failed to read the database URI")]
    Secret(#[from] secret::SecretError),
    /// A statement or connection failed.
    #[error("failed to use the database")]
    Database(#[from] sqlx::Error),
    /// The statement that several calls shared failed.
    #[error("failed to use the database")]
    Group(#[source] std::sync::Arc<sqlx::Error>),
    /// What stands where something of ours goes is another application's; nothing was changed.
    #[error("failed to adopt the database")]
    Foreign(#[from] Foreign),
    /// The database answers and is not as the statements need it.
    #[error("the database cannot be used as it is: {0}")]
    Unfit(Unready),
    /// The schema could not be brought up to date.
    #[error("failed to apply the database schema")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Store {
    /// Prepares the connections that a document asks for, see [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`StoreError::Secret`], [`StoreError::UnusableUri`].
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let store = Self::connect_to(&database.read()?, database.max_connections_per_pod)?;
        let uri_file = database.migrations_uri_file.clone();
        let direct = uri_file.map(|uri_file| Arc::new(Database { uri_file, ..database.clone() }));
        Ok(Self { direct, ..store.in_schema(database.schema.as_deref()) })
    }

    /// The same database with its tables in that schema; `None`: where the role's `search_path` leads.
    #[must_use]
    pub fn in_schema(self, name: Option<&str>) -> Self {
        Self { schema: Schema::new(name), ..self }
    }

    /// Prepares at most `max_connections`, which is 2 or more, one of them for [`ping`](Self::ping); the first use
    /// connects, so this succeeds while the database is down. Needs a Tokio runtime. With a `ca_file` and no `sslmode`
    /// in the URI the server's certificate and name are checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidUri`], [`StoreError::UnusableUri`].
    pub fn connect(uri: &str, ca_file: Option<&Path>, max_connections: u32) -> Result<Self, StoreError> {
        let uri = PostgresUri::parse(uri)?;
        Self::connect_to(&ca_file.map_or_else(|| uri.clone(), |file| uri.clone().with_authority(file)), max_connections)
    }

    fn connect_to(uri: &PostgresUri, max_connections: u32) -> Result<Self, StoreError> {
        let pool = Connections::new(max_connections.saturating_sub(1).max(1), hosts(uri)?);
        let probe = pool.probe();
        Ok(Self {
            pool,
            probe,
            schema: Schema::new(None),
            direct: None,
            read_only_since: Arc::default(),
            leases: Batch::default(),
            sent: Batch::default(),
            term: Arc::default(),
        })
    }

    /// Asks the database for a sign of life. One that takes no writes is asked anew under its name each time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; [`StoreError::Unfit`] after 10 s without writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let is_read_only: bool =
            sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'on'").fetch_one(&self.probe).await?;
        let mut since = self.read_only_since.lock();
        if !is_read_only {
            *since = None;
            return Ok(());
        }
        self.probe.renew();
        let is_lasting = since.get_or_insert_with(Instant::now).elapsed() > READ_ONLY_GRACE;
        if is_lasting { Err(StoreError::Unfit(Unready::ReadOnly)) } else { Ok(()) }
    }

    /// A statement that writes `schema.` before each table, with the schema's name there.
    fn sql(&self, statement: &'static str) -> AssertSqlSafe<String> {
        self.schema.sql(statement)
    }

    /// Closes every connection after its last use; later calls fail.
    pub async fn close(&self) {
        tokio::join!(self.pool.close(), self.probe.close());
    }
}

fn hosts(uri: &PostgresUri) -> Result<Hosts, StoreError> {
    let options = |host| uri.uri_of(host).expose_secret().parse().map_err(StoreError::UnusableUri);
    let all: Vec<PgConnectOptions> = uri.hosts().iter().map(options).collect::<Result<_, _>>()?;
    Ok(Hosts::new(all, uri.target_session_attrs(), uri.connect_timeout()))
}

/// Whether PostgreSQL can hold the text at all: it knows no NUL. What cannot be stored cannot be found either.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A duration as SQL sees it; every statement multiplies by `interval '1 millisecond'`.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
