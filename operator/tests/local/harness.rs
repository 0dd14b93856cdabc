//! Runs `operator local` as a black box.
//!
//! Takes: a pipeline file's text. Gives: the running program, what it prints, and a folder in which everything it makes
//! must lie, so that a test can see what is left. Does not: know what is inside.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

/// Far above what anything here needs, so that a loaded machine does not fail.
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");

/// The programs that `operator local` starts, built from this checkout.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let operator = Path::new(env!("CARGO_BIN_EXE_operator"));
    let mut build = Command::new(env!("CARGO"));
    // The selection of `make run`: another one has other features, and compiles everything again.
    let selection = ["-p", "api", "-p", "worker", "-p", "operator", "-p", "inbox"];
    servers::nested_cargo(&mut build).args(["build", "--quiet"]).args(selection);
    let folder = operator.parent().expect("a program is in a folder");
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "api, worker and inbox do not build");
    folder.to_owned()
});

/// A run of `operator local`; dropped, it is killed.
pub(crate) struct Local {
    child: Child,
    folder: tempfile::TempDir,
    file: PathBuf,
    output: Arc<Mutex<String>>,
}

impl Local {
    /// Starts it on free ports with `text` as its file.
    pub(crate) fn spawn(text: &str, arguments: &[&str]) -> Self {
        let (folder, file) = (tempfile::tempdir().expect("a folder"), "pipeline.yaml");
        // PostgreSQL runs as another user when we are root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        fs::create_dir(folder.path().join("made")).expect("a folder");
        fs::set_permissions(folder.path().join("made"), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        let file = folder.path().join(file);
        fs::write(&file, text).expect("the file can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.args(["local", "--bin-dir"]).arg(&*PROGRAMS).arg("-f").arg(&file);
        for variable in ["API_ADDR", "GRPC_ADDR", "INBOX_ADDR"] {
            command.env(variable, "127.0.0.1:0");
        }
        command.args(arguments).env("TMPDIR", folder.path().join("made"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the operator starts");
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped"), &output);
        collect(child.stderr.take().expect("piped"), &output);
        Self { child, folder, file, output }
    }

    /// Starts it and waits for the first screen.
    pub(crate) fn ready(text: &str) -> Self {
        let local = Self::spawn(text, &[]);
        local.wait_for("Ctrl-C ends it");
        local
    }

    /// Everything printed so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().expect("no reader panicked").clone()
    }

    /// Waits until `text` was printed.
    pub(crate) fn wait_for(&self, text: &str) {
        let said = || self.output().contains(text);
        until(|| said().then_some(()), || format!("`{text}` in:\n{}", self.output()));
    }

    /// Base URL printed for `name` on the first screen (`api` or `inbox`).
    pub(crate) fn url(&self, name: &str) -> String {
        let output = self.output();
        let line =
            output.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).expect("it is printed");
        line.split_whitespace().nth(1).expect("an address follows").to_owned()
    }

    /// Replaces the file as editors do.
    pub(crate) fn edit(&self, text: &str) {
        let part = self.file.with_extension("part");
        fs::write(&part, text).and_then(|()| fs::rename(&part, &self.file)).expect("the file can be replaced");
    }

    /// Signs somebody up; gives the answer's status.
    pub(crate) async fn sign_up(&self, username: &str) -> u16 {
        let body = serde_json::json!({"username": username, "full_name": "Test Person",
            "password": "correct-horse-battery",
            "email": format!("{username}@example.com")});
        let url = format!("{}/v1/create_user", self.url("api"));
        reqwest::Client::new().post(url).body(body.to_string()).send().await.expect("the api answers").status().as_u16()
    }

    /// The mails to `username` in the inbox.
    pub(crate) async fn mails(&self, username: &str) -> Vec<serde_json::Value> {
        let url = format!("{}/messages.json", self.url("inbox"));
        let mails: Vec<serde_json::Value> = reqwest::get(url).await.expect("it answers").json().await.expect("JSON");
        let address = serde_json::json!([format!("{username}@example.com")]);
        mails.into_iter().filter(|mail| mail["to"] == address).collect()
    }

    /// Waits for a mail to `username`.
    pub(crate) async fn mail(&self, username: &str) -> serde_json::Value {
        let start = Instant::now();
        loop {
            if let Some(mail) = self.mails(username).await.into_iter().next() {
                return mail;
            }
            assert!(start.elapsed() < LIMIT, "no mail to {username}:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the inbox do what `rules` (JSON) say.
    pub(crate) async fn rules(&self, rules: &str) {
        let posted = reqwest::Client::new().post(format!("{}/rules", self.url("inbox"))).body(rules.to_owned());
        let answer = posted.header("content-type", "application/json").send().await.expect("the inbox answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Waits until so many sessions of the inbox are held there.
    pub(crate) async fn wait_until_held(&self, name: &str, sessions: u64) {
        let url = format!("{}/holds", self.url("inbox"));
        let held = async || -> u64 {
            let holds: serde_json::Value = reqwest::get(&url).await.expect("it answers").json().await.expect("JSON");
            holds[name].as_u64().unwrap_or(0)
        };
        servers::until("sessions are held", LIMIT, async || {
            let held = held().await;
            (held == sessions).then_some(()).ok_or_else(|| format!("{held} are held:\n{}", self.output()))
        })
        .await;
    }

    /// Lets sessions pass the hold.
    pub(crate) async fn release(&self, name: &str) {
        let url = format!("{}/holds/{name}/release", self.url("inbox"));
        let answer = reqwest::Client::new().post(url).send().await.expect("the inbox answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// How many workers of this run have logged `text`.
    pub(crate) fn workers_that_logged(&self, text: &str) -> usize {
        let folders = fs::read_dir(self.folder.path().join("made")).expect("the folder is ours").flatten();
        let workers = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("signup-worker-"));
        let logs = workers.map(|folder| fs::read_to_string(folder.path().join("log")).unwrap_or_default());
        logs.filter(|log| log.contains(text)).count()
    }

    /// Ids of the processes of `program` that belong to this run.
    pub(crate) fn pids(&self, program: &str) -> Vec<i32> {
        let all = self.processes().into_iter();
        all.filter(|(_, line)| {
            line.first().is_some_and(|title| title.split(' ').next().is_some_and(|path| path.ends_with(program)))
        })
        .map(|(pid, _)| pid)
        .collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id().cast_signed(), signal);
    }

    /// Waits for the end of the operator.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "it does not end:\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Files and processes of this run that are there.
    pub(crate) fn left(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let files = fs::read_dir(self.folder.path().join("made")).expect("the folder is ours");
        let files = files.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        (files, self.processes().into_iter().map(|(_, line)| line).collect())
    }

    /// Waits until nothing of this run is there.
    pub(crate) fn wait_until_nothing_is_left(&self) {
        let nothing = || (self.left() == (vec![], vec![])).then_some(());
        until(nothing, || format!("an end of {:?}", self.left()));
    }

    /// Processes whose command line or working folder lies in the folder of this run, but for the operator itself.
    fn processes(&self) -> Vec<(i32, Vec<String>)> {
        let made = self.folder.path().join("made");
        let belongs = |pid: i32| -> Option<(i32, Vec<String>)> {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            // A program may overwrite its command line; Redis leaves a title and many zeros.
            let line = line.split(|byte| *byte == 0).filter(|part| !part.is_empty());
            let line: Vec<String> = line.map(|part| String::from_utf8_lossy(part).into_owned()).collect();
            let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(&made));
            let named = line.iter().any(|part| Path::new(part).starts_with(&made));
            (here || named).then_some((pid, line))
        };
        let entries = fs::read_dir("/proc").expect("Linux").flatten();
        entries.filter_map(|entry| belongs(entry.file_name().to_str()?.parse().ok()?)).collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Its guards clean up after it; a test that failed says why by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process id is not zero");
    kill_process(pid, signal).expect("the process is there");
}

/// Asks until `ready` gives something; `what` is asked when it does not.
pub(crate) fn until<T>(mut ready: impl FnMut() -> Option<T>, what: impl Fn() -> String) -> T {
    servers::until_blocking("it is as expected", LIMIT, || ready().ok_or_else(|| format!("no sign of {}", what())))
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().expect("no reader panicked");
            output.push_str(&line);
            output.push('\n');
        }
    });
}
