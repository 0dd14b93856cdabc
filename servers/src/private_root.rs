//! A program of a Debian package that must not be installed on the machine, in a root of its own.
//!
//! Takes: root, by itself or by `sudo` without a question, and the archive that `scripts/setup.sh test` made of the
//! package. Gives: the program running on the machine's network, its folder visible to it as `/srv`. Does not: leave a
//! process or a mount behind: the first process in the root ends when its standard input does, which the kernel closes
//! with us, and the rest ends with it (`scripts/private-root.sh`).

use crate::process::{Process, ServerError, run};
use rustix::process::Signal;
use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{ChildStdin, Command, Output, Stdio},
    time::{Duration, Instant},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/private-root.sh");
const ARCHIVES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/mail-servers");

/// How long the processes in the root may take to end by themselves: far more than it takes.
const END_LIMIT: Duration = Duration::from_secs(10);

/// How long a server may keep a greeting back while it is asked whether it is there.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// A program that runs in a root of its own; dropped, it and everything it started has ended.
#[derive(Debug)]
pub(crate) struct PrivateRoot {
    name: &'static str,
    lifeline: Option<ChildStdin>,
    process: Process,
}

impl PrivateRoot {
    /// Makes the folder; nothing runs yet. `name` is the archive's.
    pub(crate) fn new(name: &'static str) -> Result<Self, ServerError> {
        if !archive(name).exists() {
            return Err(ServerError::Missing { program: name });
        }
        check_root()?;
        let root = Self { name, lifeline: None, process: Process::new(name, Signal::TERM)? };
        // Servers write here as users of their own.
        fs::create_dir(root.path("logs")).map_err(io("make a folder for logs"))?;
        for (path, mode) in [("", 0o755), ("logs", 0o1777)] {
            fs::set_permissions(root.path(path), fs::Permissions::from_mode(mode)).map_err(io("open the folder"))?;
        }
        Ok(root)
    }

    /// Path outside of what is `/srv/name` inside.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.process.folder().join(name)
    }

    /// Writes a file that is `/srv/name` inside.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), ServerError> {
        fs::write(self.path(name), text).map_err(io("write a server's configuration"))
    }

    /// What a file that is `/srv/name` inside holds; empty while there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read(self.path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Runs a shell script inside that becomes the server, and waits until it greets at `port`.
    pub(crate) fn start(&mut self, script: &str, port: u16) -> Result<(), ServerError> {
        self.lifeline = self.process.spawn_with_input(self.command(script))?;
        self.process.until(self.name, || greets(port))
    }

    /// Runs a shell script inside to its end.
    pub(crate) fn output(&self, script: &str) -> Result<Output, ServerError> {
        let mut command = self.command(script);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(io("start a program in a private root"))?;
        // Kept open until the script has ended: its end would end the script.
        let lifeline = child.stdin.take();
        let output = child.wait_with_output().map_err(io("wait for a program in a private root"));
        drop(lifeline);
        output
    }

    fn command(&self, script: &str) -> Command {
        in_root(self.name, self.process.folder(), &["/bin/sh", "-ec", script])
    }
}

impl Drop for PrivateRoot {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let start = Instant::now();
        while self.process.pid().is_some() && self.process.ended().is_none() && start.elapsed() < END_LIMIT {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn in_root(name: &str, folder: &Path, command: &[&str]) -> Command {
    let mut whole = if is_root() { Command::new("bash") } else { Command::new("sudo") };
    if !is_root() {
        whole.args(["-n", "bash"]);
    }
    whole.args([SCRIPT, "run"]).arg(folder).arg(archive(name)).args(command);
    whole
}

fn archive(name: &str) -> std::path::PathBuf {
    Path::new(ARCHIVES).join(name).with_extension("tar")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn check_root() -> Result<(), ServerError> {
    if is_root() || run("sudo", Command::new("sudo").args(["-n", "true"])).is_ok() {
        return Ok(());
    }
    Err(ServerError::NeedsRoot)
}

fn io(action: &'static str) -> impl Fn(std::io::Error) -> ServerError {
    move |source| ServerError::Io { action, source }
}

/// Whether a mail server is there: it speaks first (RFC 5321 section 3.1).
fn greets(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(GREETING_LIMIT))?;
        let mut code = [0; 3];
        stream.read_exact(&mut code)?;
        Ok(&code == b"220")
    };
    ask().unwrap_or(false)
}
