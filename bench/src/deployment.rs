//! The whole pipeline on this machine: PostgreSQL, Redis, inbox, and a `pipeline.yaml` for api and worker.
//!
//! Takes: the folder of the programs and what differs between measurements. Gives: started servers, and api and worker
//! when asked for. Does not: tune anything; apart from what [`Variation`] says the document holds the documented
//! defaults.

use crate::{program::Program, requests::Requests};
use anyhow::{Context, ensure};
use pipeline::document::{
    Backoff, BackoffFormula, Database, Document, LogFormat, Mail, Migrations, Observability, Queue, Signup, Smtp,
    SmtpTls, Task, Verification, Worker,
};
use servers::{Postgres, Redis};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a measurement sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variation {
    /// Time between a signup and its mail.
    pub(crate) delay: Duration,
    /// Tasks that one worker runs at once.
    pub(crate) concurrency: u32,
}

/// Servers that run until this is dropped. Fields are dropped in order: programs before servers before the folder.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) inbox: Program,
    pub(crate) redis: Redis,
    _postgres: Postgres,
    pub(crate) database_uri: String,
    pub(crate) document: Document,
    programs: PathBuf,
    folder: tempfile::TempDir,
}

/// Queue of the verification mails.
pub(crate) const QUEUE: &str = "critical";
/// Start of api, migrations included, on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

impl Deployment {
    pub(crate) fn start(programs: &Path, variation: Variation) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let postgres = Postgres::start()?;
        let redis = Redis::start()?;
        let database_uri = postgres.create_database()?;
        let inbox = start_inbox(programs, folder.path())?;
        write(folder.path(), "database-uri", &database_uri)?;
        write(folder.path(), "redis-uri", &redis.uri(0))?;
        std::fs::create_dir(folder.path().join("keys"))?;
        write(&folder.path().join("keys"), "current", &random_key()?)?;
        let document = document(folder.path(), inbox.address("smtp")?.port(), variation);
        write(folder.path(), "pipeline.yaml", &document.to_yaml()?)?;
        let programs = programs.to_owned();
        Ok(Self { inbox, redis, _postgres: postgres, database_uri, document, programs, folder })
    }

    /// Starts `api` and waits until it is ready.
    pub(crate) async fn api(&self) -> anyhow::Result<Program> {
        let config = self.config();
        let flags = ["--config", &config, "--http", LOCAL, "--grpc", LOCAL, "--admin", LOCAL];
        ready(Program::start(&self.programs, "api", &flags)?).await
    }

    /// Starts a `worker` and waits until it is ready.
    pub(crate) async fn worker(&self) -> anyhow::Result<Program> {
        ready(Program::start(&self.programs, "worker", &["--config", &self.config(), "--admin", LOCAL])?).await
    }

    /// One line per mail that the inbox accepted.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Certificate that clients of the inbox trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificates/ca.pem")
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn config(&self) -> String {
        self.folder.path().join("pipeline.yaml").display().to_string()
    }
}

const LOCAL: &str = "127.0.0.1:0";

fn start_inbox(programs: &Path, folder: &Path) -> anyhow::Result<Program> {
    let [certificates, journal] = ["certificates", "journal"].map(|name| folder.join(name).display().to_string());
    let flags = ["--smtp", LOCAL, "--http", LOCAL, "--tls", "starttls", "--cert-dir", &certificates, "--log", &journal];
    Program::start(programs, "inbox", &flags)
}

async fn ready(program: Program) -> anyhow::Result<Program> {
    let (admin, start) = (program.address("admin")?, Instant::now());
    let mut requests = Requests::open(admin).await?;
    loop {
        let answer = requests.get("/readyz").await?;
        if answer.status == 200 {
            return Ok(program);
        }
        let reason = String::from_utf8_lossy(&answer.body).trim().to_owned();
        ensure!(start.elapsed() < READY_TIMEOUT, "the program does not become ready: {reason}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The documented defaults, but for the variation and where things are.
fn document(folder: &Path, smtp_port: u16, variation: Variation) -> Document {
    Document {
        pipeline: "bench/bench".to_owned(),
        task: task(variation.delay),
        queues: [(QUEUE, 10), ("default", 5)].map(|(name, priority)| queue(name, priority)).into(),
        strict_priority: false,
        database: Database {
            uri_file: folder.join("database-uri"),
            ca_file: None,
            max_connections_per_pod: 10,
            migrations: Migrations::Auto,
        },
        redis: pipeline::document::Redis { uri_file: folder.join("redis-uri"), ca_file: None },
        mail: mail(folder.join("certificates/ca.pem"), smtp_port),
        verification: Verification {
            public_url: "https://app.example.com".to_owned(),
            link_ttl: Duration::from_secs(24 * 3600),
            keys_dir: folder.join("keys"),
        },
        signup: Signup {
            password_min_length: 6,
            hide_existing_accounts: false,
            per_minute_per_ip: 10,
            behind_proxy: false,
        },
        worker: Worker { concurrency: variation.concurrency, shutdown_grace_period: Duration::from_secs(40) },
        observability: Observability {
            log_level: "info".to_owned(),
            log_format: LogFormat::Json,
            log_personal_data: false,
        },
    }
}

fn task(delay: Duration) -> Task {
    Task {
        delay,
        max_retries: 10,
        queue: QUEUE.to_owned(),
        deadline: Duration::from_secs(72 * 3600),
        timeout: Duration::from_secs(30),
        backoff: Backoff {
            initial: Duration::from_secs(15),
            max: Duration::from_secs(30 * 60),
            formula: BackoffFormula::Jitter,
        },
    }
}

fn mail(ca_file: PathBuf, port: u16) -> Mail {
    let smtp = Smtp {
        host: "localhost".to_owned(),
        port,
        tls: SmtpTls::StartTLS,
        auth_dir: None,
        ca_file: Some(ca_file),
        max_per_second: None,
    };
    Mail { from: "no-reply@example.com".to_owned(), smtp, templates_dir: None }
}

fn queue(name: &str, priority: u32) -> Queue {
    Queue { name: name.to_owned(), priority, paused: false }
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// 64 hexadecimal digits, as the operator makes them.
fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
