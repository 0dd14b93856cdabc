//! What the worker's tests start with: a database with signups, a Redis database, a scripted mail server, and a
//! configuration file.
//!
//! Everything is real. A test either hands single jobs to the handler ([`Fixture::run`]) and reads what it answers, or
//! starts a whole worker on the same configuration.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has to stop there")]

use inbox::{Inbox, Settings, Tls};
use pipeline::Live;
use queue::{Handler as _, Job, Task, TaskError, TimeLimit};
use signup::{Claimant, Created, EmailAddress, FullName, Keys, NewUser, Policy, Store, Username, task::Payload};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::{
    lease::Timing,
    mail::{Mailer, breaker::Breaker},
    verification_email::VerificationEmail,
};

/// Far longer than anything here takes; reached only by a bug.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Whose leases those of single jobs are.
pub(crate) const SERVER: &str = "host:1:00000000-0000-4000-8000-000000000000";

pub(crate) struct Fixture {
    pub(crate) inbox: Inbox,
    pub(crate) store: Store,
    /// Looks at rows and moves times, beside the store.
    pub(crate) sql: PgPool,
    pub(crate) live: Live,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) redis_uri: String,
    pub(crate) draining: CancellationToken,
    handler: Arc<VerificationEmail>,
    folder: TempDir,
}

/// Leases that are watched ten times a second.
pub(crate) fn timing() -> Timing {
    Timing {
        lease: Duration::from_secs(10),
        extend_every: Duration::from_millis(100),
        spare: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        missing_key: Duration::from_secs(60),
        record_timeout: Duration::from_secs(10),
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default(), timing(), "").await
    }

    /// `more` is YAML under `mail.smtp`, such as `, maxPerSecond: 5`.
    pub(crate) async fn with(settings: Settings, timing: Timing, more: &str) -> Self {
        Self::on(servers::postgres(), settings, timing, more).await
    }

    /// The same on a PostgreSQL server of the test's own.
    pub(crate) async fn on(postgres: &servers::Postgres, settings: Settings, timing: Timing, more: &str) -> Self {
        Self::build(postgres, settings, timing, more, Breaker::new(|shortest, _| shortest)).await
    }

    /// The same with a circuit breaker of the test's own.
    pub(crate) async fn with_breaker(breaker: Breaker) -> Self {
        Self::build(servers::postgres(), Settings::default(), timing(), "", breaker).await
    }

    async fn build(
        postgres: &servers::Postgres,
        settings: Settings,
        timing: Timing,
        more: &str,
        breaker: Breaker,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let tls = match settings.tls {
            Tls::None => "None",
            Tls::StartTls(_) => "StartTLS",
            Tls::Implicit(_) => "Implicit",
        };
        let inbox = Inbox::start(settings).unwrap();
        let database_uri = postgres.create_database().unwrap();
        let redis_uri = servers::redis().fresh_database();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("database", &database_uri);
        write("redis", &redis_uri);
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        write("keys/current", &"k".repeat(32));
        let ca = inbox.ca_pem().map(|pem| {
            write("ca.pem", pem);
            format!(", caFile: {}", folder.path().join("ca.pem").display())
        });
        let more = ca.unwrap_or_default() + more;
        let document = document(&folder, inbox.smtp_addr().port(), tls, &more);
        write("pipeline.yaml", &document);
        let live = Live::open(&folder.path().join("pipeline.yaml")).unwrap();
        let store = Store::connect(&database_uri, None, 10).unwrap();
        store.migrate_for(&Claimant::new(&live)).await.unwrap();
        let sql = format!("{database_uri}?application_name=test");
        let sql = PgPoolOptions::new().max_connections(2).connect(&sql).await.unwrap();
        let mailer = Arc::new(Mailer::new(breaker));
        let draining = CancellationToken::new();
        let handler =
            VerificationEmail::new(live.clone(), store.clone(), Arc::clone(&mailer), timing, draining.clone()).unwrap();
        Self { inbox, store, sql, live, mailer, redis_uri, draining, handler: Arc::new(handler), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::from(&*self.live.document())
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::load(&self.path("keys")).unwrap()
    }

    /// Signs `username` up with the address `username@example.com`; the mail is due at once.
    pub(crate) async fn sign_up(&self, username: &str) -> Created {
        let email = EmailAddress::parse(&format!("{username}@example.com")).unwrap();
        self.sign_up_as(username, email).await
    }

    pub(crate) async fn sign_up_as(&self, username: &str, email: EmailAddress) -> Created {
        let new = NewUser {
            username: Username::parse(username).unwrap(),
            full_name: FullName::parse("Test User").unwrap(),
            email,
            hashed_password: "$argon2id$not-checked-here".into(),
            locale: None,
        };
        self.store.create_user(&new, &self.policy(), &self.keys()).await.unwrap()
    }

    /// Runs one attempt at the mail of an intent.
    pub(crate) async fn run(&self, created: &Created) -> Result<(), TaskError> {
        self.handler.handle(job(task(created))).await
    }

    pub(crate) async fn run_job(&self, job: Job) -> Result<(), TaskError> {
        self.handler.handle(job).await
    }

    /// Starts one attempt in the background.
    pub(crate) fn start(&self, job: Job) -> tokio::task::JoinHandle<Result<(), TaskError>> {
        let handler = Arc::clone(&self.handler);
        tokio::spawn(async move { handler.handle(job).await })
    }

    /// One SQL expression over the row of an intent, as text.
    pub(crate) async fn value(&self, expression: &str, id: Uuid) -> String {
        let statement = format!("SELECT coalesce(({expression})::text, 'NULL') FROM email_intents WHERE id = $1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(id).fetch_one(&self.sql).await.unwrap()
    }

    /// Changes columns of an intent, to move time or to set a scene.
    pub(crate) async fn set(&self, assignments: &str, id: Uuid) {
        let statement = format!("UPDATE email_intents SET {assignments} WHERE id = $1");
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).execute(&self.sql).await.unwrap();
    }

    /// Edits the configuration file and waits until the edit is in force.
    pub(crate) async fn edit(&self, from: &str, to: &str) {
        let before = self.live.now();
        let path = self.path("pipeline.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "nothing to replace: {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        until("the edit", || async { self.live.now().hash != before.hash }).await;
    }

    pub(crate) fn client(&self) -> queue::Client {
        queue::Client::new(queue::Connection::open(&self.redis_uri, None).unwrap())
    }
}

pub(crate) fn task(created: &Created) -> Task {
    let intent = &created.intent;
    let payload = Payload { username: intent.username.clone(), intent_id: Some(intent.id) };
    let mut task = Task::new(signup::task::KIND, payload.to_json());
    task.id = intent.id.to_string();
    task.queue.clone_from(&intent.queue);
    task.max_retries = intent.max_retries;
    task.timeout = intent.timeout;
    task
}

pub(crate) fn job(task: Task) -> Job {
    let (limit, cancelled) = (TimeLimit::default(), CancellationToken::new());
    Job { task, retried: 0, limit, server: SERVER.to_owned(), cancelled }
}

/// Waits until `holds` says yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    servers::until(what, SOON, async || holds().await.then_some(()).ok_or_else(String::new)).await;
}

fn document(folder: &TempDir, port: u16, tls: &str, more: &str) -> String {
    let folder = folder.path().display();
    let smtp = format!("{{host: 127.0.0.1, port: {port}, tls: {tls}{more}}}");
    [
        ("delay: 10s", "delay: 0s".to_owned()),
        ("maxRetries: 10", "maxRetries: 2".to_owned()),
        ("/run/secrets/database/uri", format!("{folder}/database")),
        ("/run/secrets/redis/uri", format!("{folder}/redis")),
        ("from: no-reply@example.com", "from: Example <no-reply@example.com>".to_owned()),
        ("{host: smtp.example.com, port: 587, tls: StartTLS}", smtp),
        ("/run/secrets/keys", format!("{folder}/keys")),
        ("perMinutePerIP: 10", "perMinutePerIP: 0".to_owned()),
    ]
    .into_iter()
    .fold(pipeline::sample::TEXT.to_owned(), |text, (usual, ours)| {
        assert!(text.contains(usual), "{usual}");
        text.replacen(usual, &ours, 1)
    })
}
