//! The whole pipeline on this machine: PostgreSQL, Redis, inbox, and a `pipeline.yaml` for api and worker.
//!
//! Takes: the folder of the programs and what differs between measurements. Gives: started servers, and api and worker
//! when asked for. Does not: tune anything; apart from what [`Variation`] says the document holds the documented
//! defaults.

use crate::{program::Program, requests::Requests};
use anyhow::{Context, ensure};
use pipeline::Document;
use servers::{Postgres, Redis};
use std::{
    path::{Path, PathBuf},
    process::Command,
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
    pub(crate) postgres: Postgres,
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
        Ok(Self { inbox, redis, postgres, database_uri, document, programs, folder })
    }

    /// Sends the mails in clear to another mail server than the inbox, for programs started from now on.
    pub(crate) fn with_mail_server(self, port: u16) -> anyhow::Result<Self> {
        self.with(|document| {
            let smtp = &mut document.mail.smtp;
            (smtp.port, smtp.tls, smtp.ca_file) = (port, pipeline::document::SmtpTls::None, None);
        })
    }

    /// Changes the document for programs started from now on.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Document)) -> anyhow::Result<Self> {
        change(&mut self.document);
        write(self.folder.path(), "pipeline.yaml", &self.document.to_yaml()?)?;
        Ok(self)
    }

    /// Gives programs started from now on another way to PostgreSQL, or another one.
    pub(crate) fn lead_to(&self, database_uri: &str) -> anyhow::Result<()> {
        write(self.folder.path(), "database-uri", database_uri)
    }

    /// The number that a query gives.
    pub(crate) fn number(&self, query: &str) -> anyhow::Result<f64> {
        let rows = self.rows(query)?;
        rows.concat().parse().with_context(|| format!("`{query}` gave {rows:?}"))
    }

    /// The rows that a query gives, `|` between columns.
    pub(crate) fn rows(&self, query: &str) -> anyhow::Result<Vec<String>> {
        rows(&self.database_uri, query)
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

/// The rows that a statement gives, by a client that connects for it alone; `|` between columns.
pub(crate) fn rows(database_uri: &str, statement: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new("psql").args(["-AtXqc", statement, database_uri]).output()?;
    ensure!(output.status.success(), "`{statement}`: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

const LOCAL: &str = "127.0.0.1:0";

fn start_inbox(programs: &Path, folder: &Path) -> anyhow::Result<Program> {
    let [certificates, journal] = ["certificates", "journal"].map(|name| folder.join(name).display().to_string());
    let flags = ["--smtp", LOCAL, "--http", LOCAL, "--tls", "starttls", "--cert-dir", &certificates, "--log", &journal];
    Program::start(programs, "inbox", &flags)
}

async fn ready(program: Program) -> anyhow::Result<Program> {
    let mut requests = Requests::open(program.address("admin")?).await?;
    let start = Instant::now();
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

/// The sample, which holds the documented defaults, but for the variation and where things are.
fn document(folder: &Path, smtp_port: u16, variation: Variation) -> Document {
    let mut document = Document::sample();
    document.pipeline = "bench/bench".to_owned();
    document.task.delay = variation.delay;
    document.task.queue = QUEUE.to_owned();
    document.worker.concurrency = variation.concurrency;
    document.database.uri_file = folder.join("database-uri");
    document.redis.uri_file = folder.join("redis-uri");
    document.verification.keys_dir = folder.join("keys");
    let smtp = &mut document.mail.smtp;
    (smtp.host, smtp.port) = ("localhost".to_owned(), smtp_port);
    smtp.ca_file = Some(folder.join("certificates/ca.pem"));
    document
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
