//! One running `api` with a database and a Redis database of its own, and verbs to talk to it.
//!
//! Takes: changes to the usual set-up. Gives: a [`TestApi`] that is ready. When it is dropped, the program is killed
//! and its log is searched for what must never be in one. Does not: reach into the program; tests see what clients see.

pub(crate) mod client;
pub(crate) mod proxy;
mod setup;
mod table_lock;
pub(crate) mod tasks;

pub(crate) use setup::Setup;

use pipeline::Document;
use rustix::process::Signal;
use serde_json::Value;
use servers::Process;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Part of every password and address the tests send, and therefore of no log line.
pub(crate) const CANARY: &str = "canary";

/// How long a condition may take to come true on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The running program.
pub(crate) struct TestApi {
    process: Process,
    setup: Setup,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    client: reqwest::Client,
}

impl TestApi {
    /// Starts the program as most tests want it, and waits until it is ready.
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(Setup::new()).await
    }

    /// Starts the program with another set-up, and waits until it is ready.
    pub(crate) async fn spawn_with(setup: Setup) -> Self {
        let api = Self::start(setup).await;
        api.until("ready", async || api.readyz().await.0 == 200).await;
        api
    }

    /// Starts the program and waits until it listens.
    pub(crate) async fn start(setup: Setup) -> Self {
        let mut process = Process::new("api", Signal::KILL).expect("a folder for the program");
        let arguments = setup.write(process.folder());
        let mut all = setup.through.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_api")]);
        let mut command = Command::new(all.next().expect("the program itself"));
        command.args(all);
        for variable in ["CONFIG", "HTTP_ADDR", "GRPC_ADDR", "ADMIN_ADDR", "MAX_CONNECTIONS", "MAX_WAITING_PER_CORE"]
            .into_iter()
            .chain(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"])
        {
            command.env_remove(variable);
        }
        command.args(arguments).envs(setup.variables.iter().cloned());
        process.spawn(command).expect("the program starts");
        let log = process.folder().join("log");
        process.until("api", || !lines(&log, "listening").is_empty()).expect("the program listens");
        let listening = lines(&log, "listening").remove(0);
        let address = |name: &str| listening[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let (http, grpc, admin) = (address("http"), address("grpc"), address("admin"));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { process, setup, http, grpc, admin, client }
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let seen = || format!("the log:\n{}", self.log());
        servers::until(what, PATIENCE, async || condition().await.then_some(()).ok_or_else(seen)).await;
    }

    /// Everything the program printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// The log lines with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        lines(&self.folder().join("log"), message)
    }

    /// Changes the configuration of the running program and waits until it says that it applied it.
    pub(crate) async fn edit(&mut self, change: impl FnOnce(&mut Document)) {
        let before = self.lines("configuration applied").len();
        change(&mut self.setup.document);
        self.setup.write_document(&self.process.folder().join("pipeline.yaml"));
        self.until("configuration applied", async || self.lines("configuration applied").len() > before).await;
    }

    /// The folder with the program's configuration, keys and log.
    pub(crate) fn folder(&self) -> PathBuf {
        self.process.folder().to_owned()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Whether the program still runs.
    pub(crate) fn is_running(&self) -> bool {
        let stat = self.process.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        stat.is_some_and(|stat| !stat.contains(") Z "))
    }

    /// KiB of memory the program keeps in RAM.
    pub(crate) fn resident_kib(&self) -> u64 {
        let pid = self.process.pid().expect("the program runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the program runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of every process");
        line.trim_end_matches("kB").trim().parse().expect("a number")
    }

    /// URI of the program's database.
    pub(crate) fn database(&self) -> String {
        self.setup.database.clone()
    }

    /// Runs SQL in the program's database and returns the values, `|` between columns, one row a line.
    pub(crate) fn sql(&self, statement: &str) -> String {
        sql(&self.setup.database, statement)
    }

    /// How many users, and how many owed mails, are stored.
    pub(crate) fn stored(&self) -> (usize, usize) {
        let counts = self.sql("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM email_intents)");
        let (users, intents) = counts.split_once('|').expect("two columns");
        (users.parse().expect("a count"), intents.parse().expect("a count"))
    }

    /// Id and code of the link that the mail to this user will hold, made as a worker makes them.
    pub(crate) fn link(&self, username: &str) -> (i64, String) {
        let (id, code, _) = self.mailed(username);
        (id, code)
    }

    /// The digits in the same mail.
    pub(crate) fn digits(&self, username: &str) -> String {
        self.mailed(username).2
    }

    fn mailed(&self, username: &str) -> (i64, String, String) {
        let row = self.sql(&format!(
            "SELECT id, intent_id, key_id FROM verify_emails WHERE username = '{username}'
             ORDER BY created_at DESC LIMIT 1"
        ));
        let mut columns = row.split('|');
        let mut next = || columns.next().expect("three columns");
        let (id, intent, key) = (next().parse().expect("an id"), next().parse().expect("a UUID"), next());
        let keys = signup::Keys::load(&self.folder().join("keys")).expect("keys");
        let (code, digits) = (keys.code(key, intent), keys.digits(key, intent));
        let (code, digits) = (code.expect("the key is there"), digits.expect("the key is there"));
        (id, code.as_str().to_owned(), digits.text())
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        let log = self.log();
        if !std::thread::panicking() {
            assert!(!log.contains(CANARY), "a password or an address is in the log:\n{log}");
            assert!(!log.contains("panicked at"), "the program panicked:\n{log}");
        }
    }
}

/// Runs SQL with the client that PostgreSQL's package brings.
pub(crate) fn sql(database: &str, statement: &str) -> String {
    let psql = Command::new("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]).output();
    let output = psql.expect("`psql` runs; install it with `make setup`");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// The committed description of the HTTP interface.
pub(crate) fn described() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let text = std::fs::read_to_string(file).expect("docs/openapi.json is there");
    serde_json::from_str(&text).expect("JSON")
}

fn lines(log: &Path, message: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}
