//! What a pipeline is started with.
//!
//! Takes: changes of the usual. Gives: [`Options`]. Does not: start anything.

use pipeline::Document;

/// How many programs, whose servers, and which document.
#[derive(Debug)]
pub struct Options {
    pub(crate) document: Document,
    pub(crate) apis: usize,
    pub(crate) workers: usize,
    pub(crate) own_postgres: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// One api, one worker, a database on the PostgreSQL of this test process; mails due after 1 s, waits of 1 s at
    /// most.
    ///
    /// # Panics
    ///
    /// Never: the document below is valid.
    pub fn new() -> Self {
        let document = Document::parse(USUAL).expect("the usual document is valid");
        Self { document, apis: 1, workers: 1, own_postgres: false }
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

    /// With a PostgreSQL server that no other test uses, so that it can be stopped.
    #[must_use]
    pub fn own_postgres(self) -> Self {
        Self { own_postgres: true, ..self }
    }
}

const USUAL: &str = r"
pipeline: tests/pipeline
task:
  delay: 1s
  maxRetries: 10
  queue: critical
  deadline: 72h
  timeout: 30s
  backoff: {initial: 1s, max: 1s, formula: Jitter}
queues:
  - {name: critical, priority: 10}
  - {name: default, priority: 5}
strictPriority: false
database: {uriFile: filled-in-later, maxConnectionsPerPod: 10, migrations: Auto}
redis: {uriFile: filled-in-later}
mail:
  from: Pipeline <no-reply@pipeline.test>
  smtp: {host: localhost, port: 25, tls: StartTLS, authDir: filled-in-later, caFile: filled-in-later}
verification: {publicURL: 'http://localhost', linkTTL: 24h, keysDir: filled-in-later}
signup: {passwordMinLength: 6, hideExistingAccounts: false, perMinutePerIP: 10}
worker: {concurrency: 16, shutdownGracePeriod: 40s}
observability: {logLevel: info, logFormat: Json}
";
