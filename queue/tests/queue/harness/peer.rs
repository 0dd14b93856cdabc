//! The real asynq of Go: builds the program in `tests/go` once, runs its subcommands, and talks to its worker.

use super::DEADLINE;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const MIN_GO: (u32, u32) = (1, 26);

/// The built program.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peer");
        let mut build = std::process::Command::new(go(root));
        build.args(["build", "-o"]).arg(&program).arg(".").current_dir(root.join("tests/go"));
        let built = build.output().expect("go runs");
        assert!(built.status.success(), "go build failed: {}", String::from_utf8_lossy(&built.stderr));
        program
    })
}

/// A Go that can build the program: on `PATH`, or where `make setup` puts it.
fn go(root: &Path) -> PathBuf {
    let candidates = [PathBuf::from("go"), root.join("target/tools/go/bin/go"), PathBuf::from("/usr/local/go/bin/go")];
    let found = candidates.into_iter().find(|go| version(go).is_some_and(|version| version >= MIN_GO));
    found.expect("no Go of 1.26 or newer on this machine. Fix: run `make setup`")
}

fn version(go: &Path) -> Option<(u32, u32)> {
    let output = std::process::Command::new(go).args(["env", "GOVERSION"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.trim().strip_prefix("go")?.split(['.', '-', 'r']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Runs a subcommand to its end; gives what it printed, or what it complained of.
pub(crate) async fn run(redis: &str, args: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new(program());
    command.arg(args[0]).args(["-redis", redis]).args(&args[1..]).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("the peer ends").expect("the peer runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    Ok(text.lines().map(|line| serde_json::from_str(line).expect("one JSON value per line")).collect())
}

/// A worker of Go's.
pub(crate) struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts a worker and waits until it takes tasks.
    pub(crate) async fn start(redis: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg("work").args(["-redis", redis]).args(args).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the peer starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut worker = Self { child, lines };
        assert_eq!(worker.next().await["event"], "ready");
        worker
    }

    /// The next attempt it starts.
    pub(crate) async fn next(&mut self) -> Value {
        let line =
            tokio::time::timeout(DEADLINE, self.lines.next_line()).await.expect("an attempt within the deadline");
        serde_json::from_str(&line.expect("readable").expect("the worker lives")).expect("JSON")
    }

    /// kill -9
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it was running");
    }
}
