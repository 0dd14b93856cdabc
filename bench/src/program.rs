//! One of the project's programs, running.
//!
//! Takes: the path of the program and its flags. Gives: the addresses it says it listens on, and its process id.
//! Does not: let it outlive us: dropped, or however we end, it is told to end in order (SIGTERM).

use anyhow::Context;
use servers::Process;
use std::{net::SocketAddr, path::Path, process::Command};

/// A running program; dropped, it is stopped and waited for.
#[derive(Debug)]
pub(crate) struct Program {
    process: Process,
    listening: serde_json::Value,
}

impl Program {
    /// Starts the program `name` of `folder` and waits for its log line `listening`.
    pub(crate) fn start(folder: &Path, name: &'static str, flags: &[&str]) -> anyhow::Result<Self> {
        let mut process = Process::new(name, rustix::process::Signal::TERM)?;
        let path = folder.join(name);
        let mut command = Command::new(&path);
        command.args(flags);
        process.spawn(command).with_context(|| format!("failed to start {}; build it first", path.display()))?;
        let log = process.folder().join("log");
        process.until(name, || listening(&log).is_some())?;
        let listening = listening(&log).with_context(|| format!("{name} does not say where it listens"))?;
        Ok(Self { process, listening })
    }

    /// The address of one of its interfaces, as named in the log line.
    pub(crate) fn address(&self, interface: &str) -> anyhow::Result<SocketAddr> {
        Ok(self.said(interface)?.parse()?)
    }

    /// A field of that log line.
    pub(crate) fn said(&self, field: &str) -> anyhow::Result<&str> {
        self.listening[field].as_str().with_context(|| format!("its log line `listening` lacks {field}"))
    }

    /// How many lines of its log say `text`.
    pub(crate) fn count_in_log(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.process.folder().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(text)).count()
    }

    /// Kills it without warning (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.process.end(rustix::process::Signal::KILL);
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.pid().context("the program does not run")
    }
}

fn listening(log: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.into_iter().find(|line| line["message"] == "listening")
}
