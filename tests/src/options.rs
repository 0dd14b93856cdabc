//! What a pipeline is started with.
//!
//! Takes: changes of the usual. Gives: [`Options`]. Does not: start anything.

use crate::{
    files::{KEY, OTHER_KEY},
    place::Place,
};
use pipeline::Document;
use servers::{Network, PoolMode};
use std::time::Duration;

/// How many programs, whose servers, and which document.
#[derive(Debug)]
pub struct Options {
    pub(crate) document: Document,
    pub(crate) apis: usize,
    pub(crate) workers: usize,
    pub(crate) own_postgres: bool,
    pub(crate) redis_uri: Option<String>,
    pub(crate) database_uri: Option<String>,
    pub(crate) key: &'static str,
    pub(crate) neighbour: &'static str,
    pub(crate) pooler: Option<PoolMode>,
    pub(crate) failover: bool,
    pub(crate) place: Place,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// One api, one worker, a database on the PostgreSQL of this test process; mails due after 1 s, waits of 1 s at
    /// most.
    pub fn new() -> Self {
        Self {
            document: usual(),
            apis: 1,
            workers: 1,
            own_postgres: false,
            redis_uri: None,
            database_uri: None,
            key: KEY,
            neighbour: "",
            pooler: None,
            failover: false,
            place: Place::default(),
        }
    }

    /// With a change of the document. Files and the mail server's port are filled in later.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Document)) -> Self {
        change(&mut self.document);
        self
    }

    /// With this many `api` processes.
    #[must_use]
    pub fn apis(self, apis: usize) -> Self {
        Self { apis, ..self }
    }

    /// With this many `worker` processes.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// With the programs on a Redis of the test's own, which may be several servers.
    #[must_use]
    pub fn redis_at(self, uri: String) -> Self {
        Self { redis_uri: Some(uri), ..self }
    }

    /// In this database of another pipeline, with a key of its own, as a copied manifest gets one.
    #[must_use]
    pub fn in_database(self, uri: &str) -> Self {
        Self { database_uri: Some(uri.to_owned()), key: OTHER_KEY, ..self }
    }

    /// With the key that pipelines have here, which was copied from one to the other.
    #[must_use]
    pub fn with_the_same_key(self) -> Self {
        Self { key: KEY, ..self }
    }

    /// In the database of an application that these statements set up, with the tables in a schema of their own.
    #[must_use]
    pub fn beside(self, neighbour: &'static str, schema: &str) -> Self {
        Self { neighbour, ..self.with(|document| document.database.schema = Some(schema.to_owned())) }
    }

    /// With PgBouncer between the programs and PostgreSQL.
    #[must_use]
    pub fn through_pgbouncer(self, mode: PoolMode) -> Self {
        Self { pooler: Some(mode), ..self }
    }

    /// With a PostgreSQL server and its standby behind a name that moves.
    #[must_use]
    pub fn with_failover(self) -> Self {
        Self { failover: true, ..self }
    }

    /// In the network that the test runs in, with servers of its own: programs listen at every address.
    #[must_use]
    pub fn in_network(self, network: Network) -> Self {
        Self { place: Place(Some(network)), ..self }
    }

    /// With a PostgreSQL server that no other test uses, so that it can be stopped.
    #[must_use]
    pub fn own_postgres(self) -> Self {
        Self { own_postgres: true, ..self }
    }
}

fn usual() -> Document {
    let mut document = Document::sample();
    document.pipeline = "tests/pipeline".into();
    document.task.delay = Duration::from_secs(1);
    document.task.backoff.initial = Duration::from_secs(1);
    document.task.backoff.max = Duration::from_secs(1);
    document.mail.from = "Pipeline <no-reply@pipeline.test>".into();
    document.mail.smtp.host = "localhost".into();
    document.verification.public_url = "http://localhost".into();
    document
}
