//! What the tests of the store share: a fresh database with the schema, a policy, keys, and ways to bend time in SQL.
//!
//! Every test has its own database on one real PostgreSQL. Time is bent by moving the stored times, because everything
//! is decided by the database's clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has to stop there")]

use signup::{Created, EmailAddress, FullName, Keys, LeaseOutcome, Leased, NewUser, Policy, State, Store, Username};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::time::Duration;
use uuid::Uuid;

/// A lease long enough for any test.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// One database and what a signup needs.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    /// Looks at rows and moves times, beside the store.
    pub(crate) sql: PgPool,
    pub(crate) policy: Policy,
    pub(crate) keys: Keys,
    pub(crate) uri: String,
}

impl Fixture {
    /// A migrated database; the policy has no delay.
    pub(crate) async fn new() -> Self {
        let fixture = Self::without_schema().await;
        fixture.store.migrate().await.unwrap();
        fixture
    }

    pub(crate) async fn without_schema() -> Self {
        let uri = servers::postgres().create_database().unwrap();
        let store = Store::connect(&uri, None, 10).unwrap();
        let sql = PgPoolOptions::new().max_connections(4).connect(&uri).await.unwrap();
        Self { store, sql, policy: policy(), keys: keys(b'k'), uri }
    }

    /// Signs `username` up with the address `username@example.com`.
    pub(crate) async fn sign_up(&self, username: &str) -> Created {
        let new = new_user(username, &format!("{username}@example.com"));
        self.store.create_user(&new, &self.policy, &self.keys).await.unwrap()
    }

    /// Signs up and leases the mail, which must be due.
    pub(crate) async fn leased(&self, username: &str) -> Leased {
        let created = self.sign_up(username).await;
        self.lease(created.intent.id).await
    }

    /// Leases an intent that must be free and due.
    pub(crate) async fn lease(&self, id: Uuid) -> Leased {
        match self.store.lease(id, "worker", LEASE).await.unwrap() {
            LeaseOutcome::Leased(leased) => *leased,
            other => panic!("the intent should be free and due, but is {other:?}"),
        }
    }

    pub(crate) async fn state(&self, id: Uuid) -> State {
        self.value::<String>("state", id).await.parse().unwrap()
    }

    /// One column (or SQL expression) of an intent.
    pub(crate) async fn value<T>(&self, expression: &str, id: Uuid) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let statement = format!("SELECT {expression} FROM email_intents WHERE id = $1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(id).fetch_one(&self.sql).await.unwrap()
    }

    /// Changes columns of an intent, to move time or to set a scene.
    pub(crate) async fn set(&self, assignments: &str, id: Uuid) {
        let statement = format!("UPDATE email_intents SET {assignments} WHERE id = $1");
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).execute(&self.sql).await.unwrap();
    }

    /// Lets the lease of an intent expire.
    pub(crate) async fn let_lease_expire(&self, id: Uuid) {
        self.set("lease_until = clock_timestamp() - interval '1 millisecond'", id).await;
    }

    /// How often an index was used so far, once it was, and how many of its entries were read.
    pub(crate) async fn index_reads(&self, index: &str) -> (i64, i64) {
        let statement = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = $1";
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let reads: (i64, i64) = sqlx::query_as(statement).bind(index).fetch_one(&self.sql).await.unwrap();
            if reads.0 > 0 || tokio::time::Instant::now() > deadline {
                return reads;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&self.sql).await.unwrap();
    }

    /// The code of the link in the mail of a lease.
    pub(crate) fn code(&self, leased: &Leased) -> String {
        self.keys.code(&leased.key_id, leased.intent.id).unwrap().as_str().to_owned()
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        delay: Duration::ZERO,
        queue: "critical".into(),
        max_retries: 10,
        deadline: Duration::from_secs(72 * 3600),
        timeout: Duration::from_secs(30),
        public_url: "https://app.example.com".into(),
        link_ttl: Duration::from_secs(24 * 3600),
        message_id_domain: "example.com".into(),
    }
}

/// Keys whose current one is made of one repeated byte.
pub(crate) fn keys(byte: u8) -> Keys {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("current"), [byte; 32]).unwrap();
    Keys::load(folder.path()).unwrap()
}

pub(crate) fn new_user(username: &str, email: &str) -> NewUser {
    NewUser {
        username: Username::parse(username).unwrap(),
        full_name: FullName::parse("Test User").unwrap(),
        email: EmailAddress::parse(email).unwrap(),
        hashed_password: "$argon2id$not-checked-here".into(),
    }
}
