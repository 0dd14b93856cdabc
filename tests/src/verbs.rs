//! What tests do with a pipeline.
//!
//! Takes: a running [`Pipeline`]. Gives: verbs in the words of the scenarios, and the checker. Does not: assert
//! anything but that the verbs themselves worked.

use crate::{
    canary, check,
    database::{Database, Row},
    files,
    gate::{Gate, Point},
    mails,
    mails::Line,
    pipeline::Pipeline,
    program::Program,
    report::Report,
    signups::{Attempt, Load},
    until::{PATIENCE, until},
};
use pipeline::{Document, Live};
use queue::{Connection, Inspector, QueueState};
use std::{collections::HashSet, process::Command, sync::Arc, time::Duration};

impl Pipeline {
    /// Signs `count` users up, `concurrency` at a time, and says what each client was told.
    pub async fn sign_up(&self, count: usize, concurrency: usize) -> Vec<Attempt> {
        self.signups.many(count, concurrency).await
    }

    /// Signs one user up in the background; the answer may be long in coming, or never come.
    pub fn sign_up_in_background(&self) -> tokio::task::JoinHandle<Attempt> {
        let signups = Arc::clone(&self.signups);
        tokio::spawn(async move { signups.one().await })
    }

    /// Signs users up in the background until the load is stopped.
    pub fn load(&self, concurrency: usize) -> Load {
        self.signups.load(concurrency)
    }

    /// Clients told 200 so far.
    pub fn acknowledged(&self) -> usize {
        let attempts = self.signups.attempts();
        attempts.iter().filter(|attempt| attempt.outcome == crate::Outcome::Acknowledged).count()
    }

    /// The schema `public` now, as `pg_dump` writes it.
    ///
    /// # Panics
    ///
    /// When `pg_dump` does not run.
    pub fn neighbour_now(&self) -> String {
        crate::database::dump(&self.database_uri).expect("a dump")
    }

    /// Waits until this many clients were told 200.
    ///
    /// # Panics
    ///
    /// When they were not.
    pub async fn until_acknowledged(&self, signups: usize) {
        until("signups are acknowledged", PATIENCE, async || self.acknowledged() >= signups).await;
    }

    /// What each client was told.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.signups.attempts()
    }

    /// Lets the first PostgreSQL take no more writes, its standby take its place, and the name lead there.
    ///
    /// # Panics
    ///
    /// When a server refuses.
    pub async fn fail_over(&mut self) {
        let failover = Arc::clone(self.failover.as_ref().expect("a pipeline with failover"));
        let uri = failover.on_standby(&self.database_uri);
        let moving = tokio::task::spawn_blocking(move || failover.demote().and_then(|()| failover.promote()));
        moving.await.expect("no panic").expect("the name moves");
        // The checker's connections stay with the old server, as every client's that does not look again.
        self.database = Database::new(&uri).expect("a URI");
        self.database_uri = uri;
    }

    /// Starts one more worker.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_worker(&mut self) {
        let mut worker = Program::worker(self.files.path(), self.place).expect("a folder for the program");
        worker.start().await;
        self.workers.push(worker);
    }

    /// The document as it is in the file.
    pub fn document(&self) -> &Document {
        self.files.document()
    }

    /// Changes the document and waits until every running program says that it has applied it.
    ///
    /// # Panics
    ///
    /// When one does not.
    pub async fn edit(&mut self, change: impl FnOnce(&mut Document)) {
        self.files.edit(change).expect("the document is written");
        let hash = Live::open(&self.files.path()).expect("a valid document").now().hash;
        for program in self.running() {
            until("the edit is applied", PATIENCE, async || {
                program.admin("/config").await.is_some_and(|config| config.contains(&hash))
            })
            .await;
        }
    }

    /// Waits until no mail is owed any more.
    ///
    /// # Panics
    ///
    /// With the report, when mails are still owed at the deadline.
    pub async fn settle(&self, deadline: Duration) {
        let owed = async || self.database.owed().await.is_ok_and(|owed| owed == 0);
        let settled = tokio::time::timeout(deadline, until("no mail is owed", 2 * deadline, owed)).await;
        if settled.is_err() {
            panic!("mails are still owed after {deadline:?}:\n{}", self.check().await);
        }
    }

    /// All users with the intents of their mails.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub async fn rows(&self) -> Vec<Row> {
        self.database.rows().await.expect("the database answers")
    }

    /// Runs statements, for what only time or an accident does.
    ///
    /// # Panics
    ///
    /// When the database refuses.
    pub async fn run_sql(&self, statements: &str) {
        self.database.run(statements).await.expect("the statements run");
    }

    /// The number that a query gives; `None` while the database is down.
    pub async fn number(&self, sql: &str) -> Option<i64> {
        self.database.number(sql).await.ok()
    }

    /// Waits until a query gives 1 or more.
    ///
    /// # Panics
    ///
    /// With `what`, when it does not.
    pub async fn until_some(&self, what: &str, sql: &str) {
        until(what, PATIENCE, async || self.number(sql).await.is_some_and(|number| number > 0)).await;
    }

    /// Holds statements at a point until the gate is opened.
    ///
    /// # Panics
    ///
    /// When the database refuses.
    pub async fn close_gate(&self, point: Point) -> Gate {
        Gate::close(&self.database, point).await.expect("the database answers")
    }

    /// The queue `critical` as it is; `None` while Redis is down.
    pub async fn queue(&self) -> Option<QueueState> {
        let connection = Connection::open(&self.redis_uri, None).expect("a valid URI");
        Inspector::new(connection).queue("critical", Duration::ZERO).await.ok()
    }

    /// Runs a command with the client that Redis' package brings, as an accident would.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn redis_command(&self, command: &[&str]) {
        // The client wants the name of the user that has the password.
        let uri = self.redis.uri(0).replace("redis://:", "redis://default:");
        let output = Command::new("redis-cli").args(["-e", "--no-auth-warning", "-u", &uri]).args(command).output();
        let output = output.expect("`redis-cli` runs; install it with `make setup`");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// The mails that the mail server accepted, copies included, in order.
    ///
    /// # Panics
    ///
    /// When the journal cannot be read.
    pub fn accepted(&self) -> Vec<Line> {
        let lines = mails::read(&self.journal()).expect("a journal");
        mails::accepted(&lines).cloned().collect()
    }

    /// Joins what clients were told, what is stored and what arrived, and searches all output for secrets.
    ///
    /// # Panics
    ///
    /// When the database or the journal cannot be read.
    pub async fn check(&self) -> Report {
        let leaks = self.leaks().await;
        let (rows, accepted) = (self.rows().await, self.accepted());
        let report = check::check(&self.signups.attempts(), &rows, &accepted.iter().collect::<Vec<_>>());
        Report { leaks, ..report }
    }

    /// Lines of logs, metrics and the other admin pages that show a secret.
    async fn leaks(&self) -> Vec<String> {
        let uris = [&self.database_uri, &self.redis_uri];
        let passwords = uris.iter().filter_map(|uri| canary::password(uri));
        let secrets: Vec<String> = passwords.chain([files::SMTP_PASSWORD.to_owned(), files::KEY.to_owned()]).collect();
        let mails = self.inbox.messages();
        let texts = mails.iter().filter_map(|mail| mail.text.as_deref());
        let codes: HashSet<String> = texts.flat_map(canary::codes).map(str::to_owned).collect();
        let mut leaks = Vec::new();
        for program in self.programs() {
            leaks.extend(canary::leaks(program.name(), &program.log(), &secrets, &codes));
        }
        for program in self.running() {
            for path in ["/metrics", "/config", "/readyz"] {
                let page = program.admin(path).await.unwrap_or_default();
                leaks.extend(canary::leaks(&format!("{}{path}", program.name()), &page, &secrets, &codes));
            }
        }
        leaks
    }
}
