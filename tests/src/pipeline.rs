//! The parts of a running pipeline, and its start.
//!
//! Takes: [`Options`]. Gives: a [`Pipeline`] whose programs are ready. Does not: share anything with another test but,
//! unless asked otherwise, the PostgreSQL server (with a database of its own).

use crate::{
    database::Database,
    files::Files,
    options::Options,
    place::Place,
    program::Program,
    signups::Signups,
    until::{PATIENCE, until},
};
use anyhow::{Context as _, Result};
use inbox::{Certificates, Credentials, Inbox, Settings, Tls};
use servers::{Failover, PgBouncer, Postgres, Redis};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// api, worker, PostgreSQL, Redis and a mail server, running. Dropped, all of it ends.
#[derive(Debug)]
pub struct Pipeline {
    /// The api processes.
    pub apis: Vec<Program>,
    /// The worker processes.
    pub workers: Vec<Program>,
    /// The mail server.
    pub inbox: Inbox,
    /// A Redis server of this pipeline alone, which the programs use unless the test brings another.
    pub redis: Redis,
    /// The PostgreSQL server, when it is this pipeline's alone.
    pub postgres: Option<Postgres>,
    /// The schema `public` before the pipeline came, as `pg_dump` writes it.
    pub neighbour: String,
    /// The servers behind a name that moves, when the pipeline has such.
    pub failover: Option<Arc<Failover>>,
    _pooler: Option<PgBouncer>,
    pub(crate) place: Place,
    pub(crate) files: Files,
    pub(crate) database: Database,
    pub(crate) database_uri: String,
    pub(crate) redis_uri: String,
    pub(crate) signups: Arc<Signups>,
}

impl Pipeline {
    /// Starts everything and waits until every program is ready.
    ///
    /// # Panics
    ///
    /// With the reason, when something does not start.
    pub async fn start(options: Options) -> Self {
        let pipeline = Self::start_programs(options).await;
        pipeline.until_ready().await;
        pipeline
    }

    /// Starts everything and waits until every program listens; that they cannot become ready may be what is tested.
    ///
    /// # Panics
    ///
    /// With the reason, when something does not start.
    pub async fn start_programs(options: Options) -> Self {
        let mut pipeline = Self::prepare(options).await.unwrap_or_else(|error| panic!("{error:#}"));
        for program in pipeline.apis.iter_mut().chain(&mut pipeline.workers) {
            program.start().await;
        }
        let apis = pipeline.apis.iter().map(|api| api.address("http")).collect();
        pipeline.signups = Arc::new(Signups::new(apis).expect("a client"));
        pipeline
    }

    async fn prepare(options: Options) -> Result<Self> {
        let Options { mut document, apis, workers, redis_uri, neighbour, pooler, failover, place, .. } = options;
        let postgres = place.postgres(options.own_postgres)?;
        let failover = if failover { Some(Arc::new(Failover::start()?)) } else { None };
        let server = postgres.as_ref().unwrap_or_else(|| servers::postgres());
        let database_uri = match (&failover, options.database_uri) {
            (Some(failover), _) => failover.create_database()?,
            (None, given) => given.map_or_else(|| server.create_database(), Ok)?,
        };
        let pooler = pooler.map(|mode| PgBouncer::start(server, mode, "")).transpose()?;
        let programs_uri = pooler.as_ref().map_or(database_uri.clone(), |pooler| pooler.before(&database_uri));
        let set_up = |statements| crate::database::set_up(&database_uri, statements);
        let neighbour = if neighbour.is_empty() { String::new() } else { set_up(neighbour)? };
        let redis = place.redis()?;
        let redis_uri = redis_uri.unwrap_or_else(|| redis.uri(0));
        let journal = tempfile::Builder::new().prefix("journal-").tempdir()?;
        let inbox = start_inbox(journal.path(), place)?;
        document.mail.smtp.port = inbox.smtp_addr().port();
        document.mail.smtp.host = place.mail_host(&document.mail.smtp.host);
        let database = Database::in_schema(&database_uri, document.database.schema.as_deref())?;
        let ca_pem = inbox.ca_pem().context("the inbox speaks TLS")?;
        let (database_at, redis_at) = (place.uri(&programs_uri), place.uri(&redis_uri));
        let files = Files::new(document, &database_at, &redis_at, ca_pem, options.key, journal)?;
        Ok(Self {
            apis: (0..apis).map(|_| Program::api(files.path(), place)).collect::<Result<_>>()?,
            workers: (0..workers).map(|_| Program::worker(files.path(), place)).collect::<Result<_>>()?,
            inbox,
            redis,
            postgres,
            neighbour,
            failover,
            _pooler: pooler,
            place,
            files,
            database,
            database_uri,
            redis_uri,
            signups: Arc::new(Signups::new(Vec::new())?),
        })
    }

    /// Waits until every program that runs says that it is ready.
    ///
    /// # Panics
    ///
    /// When one does not.
    pub async fn until_ready(&self) {
        for program in self.running() {
            until("the program is ready", PATIENCE, async || {
                let url = format!("http://{}/readyz", program.address("admin"));
                reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
        }
    }

    /// The URI of its database.
    pub fn database_uri(&self) -> &str {
        &self.database_uri
    }

    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.apis.iter().chain(&self.workers)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Program> {
        self.programs().filter(|program| program.is_running())
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.files.journal()
    }
}

impl Drop for Pipeline {
    /// A failed test shows what the programs said last.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for program in self.programs() {
                let log = program.log();
                let last: Vec<&str> = log.lines().rev().take(15).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                eprintln!("--- the end of the log of {}:\n{}", program.name(), last.join("\n"));
            }
        }
    }
}

/// An inbox that asks for TLS and the password, and writes down every dialogue.
fn start_inbox(journal: &Path, place: Place) -> Result<Inbox> {
    Ok(Inbox::start(Settings {
        smtp: place.listener(),
        tls: Tls::StartTls(Certificates::generate()?),
        credentials: Some(Credentials::new(crate::files::SMTP_USER, crate::files::SMTP_PASSWORD)),
        log: Some(journal.join("journal")),
        ..Settings::default()
    })?)
}
