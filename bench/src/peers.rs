//! The two programs compared in the queue rows: asynq's and ours, with the same commands.
//!
//! Takes: a command, its arguments and a Redis. Gives: the JSON that the process prints, or the process itself while it
//! runs. Does not: let a process outlive this one: it ends when its standard input does.

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

/// Far above what any single measurement takes.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Where asynq's program is built from.
const ASYNQ_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go-asynq");

/// Where both programs are.
#[derive(Debug)]
pub(crate) struct Peers {
    ours: PathBuf,
    asynq: PathBuf,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Ours,
    Asynq,
}

impl Peers {
    /// Builds asynq's program into `folder` when it is needed; ours is this program itself.
    pub(crate) async fn prepare(ours: PathBuf, folder: &Path, needs_asynq: bool) -> anyhow::Result<Self> {
        let asynq = folder.join("asynq-baseline");
        if needs_asynq {
            eprintln!("bench: building the baseline from {ASYNQ_SOURCE}");
            let mut go = Command::new("go");
            go.args(["build", "-trimpath", "-o"]).arg(&asynq).arg(".").current_dir(ASYNQ_SOURCE);
            let built = go.status().await.context("failed to run Go (1.26 or newer); `make setup` installs it")?;
            if !built.success() {
                bail!("failed to build the baseline in {ASYNQ_SOURCE}");
            }
        }
        Ok(Self { ours, asynq })
    }

    /// Runs a command to its end and reads the JSON it prints.
    pub(crate) async fn run<T: DeserializeOwned>(
        &self,
        peer: Peer,
        redis: &str,
        arguments: &[&str],
    ) -> anyhow::Result<T> {
        let mut child = self.start(peer, redis, arguments)?;
        // Held until the process has ended: closing it is the signal to end at once.
        let _input = child.stdin.take();
        let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{peer:?} {arguments:?} took more than {TIMEOUT:?}"))??;
        if !output.status.success() {
            bail!("{peer:?} {arguments:?} failed with {}", output.status);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{peer:?} {arguments:?} printed no result"))
    }

    /// Starts a command; it is killed when the handle is dropped.
    pub(crate) fn start(&self, peer: Peer, redis: &str, arguments: &[&str]) -> anyhow::Result<Child> {
        let mut command = match peer {
            Peer::Ours => Command::new(&self.ours),
            Peer::Asynq => Command::new(&self.asynq),
        };
        if peer == Peer::Ours {
            command.arg("queue");
        }
        command.args(arguments).env("REDIS_URI", redis).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().with_context(|| format!("failed to start {peer:?}"))
    }
}

impl Peer {
    /// Both, the baseline first or last.
    pub(crate) fn in_turn(baseline_first: bool) -> [Self; 2] {
        if baseline_first { [Self::Asynq, Self::Ours] } else { [Self::Ours, Self::Asynq] }
    }
}
