//! What the tests of the store share: a fresh database with the schema, a policy, keys, and ways to bend time in SQL.
//!
//! Every test has its own database on one real PostgreSQL. Where the test program names a schema (`crate::SCHEMA`), the
//! tables are in it, and in `public` stand another application's under the same names. Time is bent by moving the
//! stored times, because everything is decided by the database's clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has to stop there")]

use signup::{Created, EmailAddress, FullName, Keys, LeaseOutcome, Leased, NewUser, Policy, State, Store, Username};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
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
        let mut options: PgConnectOptions = uri.parse().unwrap();
        if let Some(schema) = crate::SCHEMA {
            let sql = PgPoolOptions::new().connect(&uri).await.unwrap();
            sqlx::raw_sql(ANOTHER_APPLICATION).execute(&sql).await.unwrap();
            options = options.options([("search_path", format!("\"{schema}\""))]);
        }
        let sql = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        Self { store: store(&uri, 10), sql, policy: policy(), keys: keys(b'k'), uri }
    }

    /// The same, with a schema to put tables into before the migrations come.
    pub(crate) async fn with_schema_alone() -> Self {
        let fixture = Self::without_schema().await;
        if let Some(schema) = crate::SCHEMA {
            fixture.execute(&format!("CREATE SCHEMA \"{schema}\"")).await;
        }
        fixture
    }

    /// A store of its own on the same tables.
    pub(crate) fn another_store(&self) -> Store {
        store(&self.uri, 2)
    }

    /// A store of a new role, which has no privileges but those of everybody.
    pub(crate) async fn store_of(&self, role: &str) -> Store {
        self.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await;
        let (_, place) = self.uri.split_once('@').unwrap();
        store(&format!("postgres://{role}:{role}@{place}"), 2)
    }

    /// The schema of the tables, as SQL writes it.
    pub(crate) fn schema() -> String {
        crate::SCHEMA.map_or_else(|| "public".to_owned(), |name| format!("\"{name}\""))
    }

    /// Every table with its rows, column, constraint, index, trigger and function of a schema, as text.
    pub(crate) async fn everything(&self, schema: &str) -> Vec<String> {
        let tables = "SELECT format('%s: %s', name, rows) FROM (
                 SELECT relname AS name, query_to_xml(format('TABLE %s', oid::regclass), true, true, '')::text AS rows
                 FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'
             ) AS tables
             UNION ALL SELECT concat_ws(' ', relname, relkind, relowner, relacl, relhastriggers) FROM pg_class
             WHERE relnamespace = to_regnamespace($1)
             UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull, atthasdef)
             FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = to_regnamespace($1)
             UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
             WHERE connamespace = to_regnamespace($1)
             UNION ALL SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
             WHERE relnamespace = to_regnamespace($1)
             UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = to_regnamespace($1)
             ORDER BY 1";
        sqlx::query_scalar(tables).bind(schema).fetch_all(&self.sql).await.unwrap()
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

pub(crate) fn store(uri: &str, connections: u32) -> Store {
    Store::connect(uri, None, connections).unwrap().in_schema(crate::SCHEMA)
}

/// Whatever a statement, a function or a migration of ours meets here, it must not touch.
pub(crate) const ANOTHER_APPLICATION: &str = "
    CREATE TABLE users (id bigserial PRIMARY KEY, username text, email text, password text,
        created_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO users (username, email, password) VALUES ('a', 'a@example.com', 'x'), ('b', 'a@example.com', 'x');
    CREATE TABLE verify_emails (id bigserial PRIMARY KEY, user_id bigint REFERENCES users (id));
    CREATE TABLE email_intents (id bigint);
    CREATE TABLE refusals (id bigint, why text);
    CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, success boolean NOT NULL,
        installed_on timestamptz NOT NULL DEFAULT now(), checksum bytea NOT NULL, execution_time bigint NOT NULL);
    INSERT INTO _sqlx_migrations VALUES (20240101000000, 'its own', true, now(), 'x', 1);
    CREATE FUNCTION canonical_email(address text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'another application''s';
    CREATE FUNCTION fill_email_canonical() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'another application''s'; END $$;
    CREATE TRIGGER users_fill_email_canonical BEFORE UPDATE ON users FOR EACH ROW
        EXECUTE FUNCTION fill_email_canonical();";

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
        locale: None,
    }
}
