//! One child process: `api` or `worker`.
//!
//! Takes: the name of a program in the folder that this test was built into. Gives: start, kill, stop, continue, and
//! what it prints. Does not: let it outlive the test (a [`servers::Process`] sees to that).

use crate::{
    place::Place,
    until::{PATIENCE, until},
};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use servers::Process;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// A program; it keeps its addresses when it is started again.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    process: Process,
    config: PathBuf,
    place: Place,
    /// Flag -> address bound, once known.
    addresses: BTreeMap<&'static str, SocketAddr>,
    is_stopped: bool,
}

impl Program {
    /// An `api`, not started yet.
    pub(crate) fn api(config: PathBuf, place: Place) -> Result<Self> {
        Self::new("api", &["http", "grpc", "admin"], config, place)
    }

    /// A `worker`, not started yet.
    pub(crate) fn worker(config: PathBuf, place: Place) -> Result<Self> {
        Self::new("worker", &["admin"], config, place)
    }

    fn new(name: &'static str, flags: &[&'static str], config: PathBuf, place: Place) -> Result<Self> {
        let process = Process::new(name, Signal::KILL)?;
        let addresses = flags.iter().map(|flag| (*flag, place.listener())).collect();
        Ok(Self { name, process, config, place, addresses, is_stopped: false })
    }

    /// Starts the program and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn start(&mut self) {
        let before = self.lines("listening").len();
        self.spawn().expect("the program starts");
        let log = self.log_path();
        until("the program listens", PATIENCE, async || lines(&log, "listening").len() > before).await;
        let listening = self.lines("listening").pop().unwrap_or_default();
        for (flag, address) in &mut self.addresses {
            *address =
                listening[*flag].as_str().and_then(|text| text.parse().ok()).expect("an address in the log line");
        }
    }

    fn spawn(&mut self) -> Result<()> {
        let path = beside_this_test(self.name)?;
        let mut command = Command::new(path);
        for variable in ["CONFIG", "HTTP_ADDR", "GRPC_ADDR", "ADMIN_ADDR"] {
            command.env_remove(variable);
        }
        command.arg("--config").arg(&self.config);
        for (flag, address) in &self.addresses {
            command.arg(format!("--{flag}")).arg(address.to_string());
        }
        self.is_stopped = false;
        Ok(self.process.spawn(command)?)
    }

    /// kill -9, also of a stopped process, which does not run again before it dies.
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.end(Signal::KILL);
        self.is_stopped = false;
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) {
        self.process.end(Signal::TERM);
    }

    /// SIGSTOP: the process stands still when this returns, its connections stay open.
    ///
    /// # Panics
    ///
    /// When it does not stand still in time.
    pub fn stop(&mut self) {
        self.process.signal(Signal::STOP);
        self.is_stopped = true;
        // The signal reaches one thread; on a busy machine the others run on until that one had its turn.
        let start = Instant::now();
        while !self.stands_still() {
            assert!(start.elapsed() < PATIENCE, "{} does not stop", self.name);
            std::thread::yield_now();
        }
    }

    /// Whether every thread is in state T (proc(5)).
    fn stands_still(&self) -> bool {
        let threads = self.process.pid().map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")));
        let stats = threads.into_iter().flatten().flatten().flatten().map(|thread| thread.path().join("stat"));
        let mut states = stats.map(|stat| std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") T ")));
        states.all(|is_stopped| is_stopped)
    }

    /// SIGCONT.
    pub fn cont(&mut self) {
        self.process.signal(Signal::CONT);
        self.is_stopped = false;
    }

    /// True: it was started, and neither killed nor stopped.
    pub fn is_running(&self) -> bool {
        self.process.pid().is_some() && !self.is_stopped
    }

    /// The address at which a flag's listener is reached: `http`, `grpc` or `admin`.
    ///
    /// # Panics
    ///
    /// When the program has no such flag.
    pub fn address(&self, flag: &str) -> SocketAddr {
        self.place.reached(self.addresses[flag])
    }

    /// Body of a page of the admin port; `None` when it does not answer.
    pub async fn admin(&self, path: &str) -> Option<String> {
        let response = reqwest::get(format!("http://{}{path}", self.address("admin"))).await.ok()?;
        response.text().await.ok()
    }

    /// The log lines with this message, of all starts.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        lines(&self.log_path(), message)
    }

    /// Everything the program printed, on both outputs, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn log_path(&self) -> PathBuf {
        self.process.folder().join("log")
    }
}

fn lines(log: &Path, message: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// `target/debug/deps/thistest-0123` -> `target/debug/NAME`.
fn beside_this_test(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("failed to find this test's own path")?;
    let folder = test.parent().and_then(Path::parent).context("this test is not in a target folder")?;
    let path = folder.join(name);
    ensure!(path.exists(), "{} is missing; run `make test`, which builds the programs first", path.display());
    Ok(path)
}
