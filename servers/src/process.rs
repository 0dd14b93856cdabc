//! A server process in a temporary folder, and the guard that removes both.
//!
//! Takes: a command line. Gives: start, stop by signal, pause, and a promise: when the [`Process`] is dropped or our
//! own process ends in any way, the server is killed and its folder removed. Does not: know what the server speaks.
//!
//! The promise is kept by a small shell process that waits for the end of a pipe we hold: the kernel closes it with us.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to answer: far above the 0.1 to 2 s measured, so that a loaded machine does not fail.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Reads process ids (an empty line: none) until its standard input ends, then kills the last one and removes the
/// folder. The id does not come from a file, because somebody may remove the folder before.
const GUARD: &str = r#"pid=; while read -r line; do pid=$line; done; [ -n "$pid" ] && kill -"$2" "$pid" 2>/dev/null
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done; rm -rf "$1""#;

/// A server that could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program is not installed.
    #[error("`{program}` is not installed; run `make setup`")]
    Missing {
        /// Name of the program.
        program: &'static str,
    },
    /// Neither root nor `sudo` without a question, and the server needs a root of its own.
    #[error("real mail servers need root, or sudo without a password; WITHOUT_MAIL_SERVERS=1 leaves their tests out")]
    NeedsRoot,
    /// The operating system refused.
    #[error("failed to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A helper program ended with an error.
    #[error("`{program}` failed: {output}")]
    Failed {
        /// Name of the program.
        program: &'static str,
        /// What it printed.
        output: String,
    },
    /// The server ended or did not answer in time.
    #[error("{program} did not start: {log}")]
    NotReady {
        /// Name of the program.
        program: &'static str,
        /// The end of the server's log.
        log: String,
    },
}

/// A child process that cannot outlive us, with a folder of its own.
#[derive(Debug)]
pub struct Process {
    folder: PathBuf,
    child: Option<Child>,
    status: Option<ExitStatus>,
    stop_signal: Signal,
    guard: Child,
    pipe: Option<ChildStdin>,
}

impl Process {
    /// Makes the folder (named after `name`) and its guard; nothing runs yet. `stop_signal` is what ends the server
    /// fast.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the folder or the guard cannot be made.
    pub fn new(name: &str, stop_signal: Signal) -> Result<Self, ServerError> {
        let io = |action| move |source| ServerError::Io { action, source };
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir();
        let folder = folder.map_err(io("make a temporary folder"))?.keep();
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .arg(stop_signal.as_raw().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(io("start the clean-up guard"))?;
        let pipe = guard.stdin.take();
        Ok(Self { folder, child: None, status: None, stop_signal, guard, pipe })
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything that the server has written to its output.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How the process ended, when it was started last and has ended without being told to.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
            // Its id may belong to another process from now on.
            self.child = None;
            self.status = Some(status);
            // A guard that is gone needs no news.
            let _ = self.tell_guard("");
        }
        self.status
    }

    /// Starts `command` in a process group of its own (Ctrl-C reaches us, not it), output appended to `log` in the
    /// folder.
    ///
    /// # Errors
    ///
    /// [`ServerError::Io`] when the log cannot be opened or the program not be started.
    pub fn spawn(&mut self, command: Command) -> Result<(), ServerError> {
        self.spawn_with(command, Stdio::null())
    }

    /// As [`Self::spawn`], and a program that is not there is [`ServerError::Missing`].
    pub(crate) fn spawn_program(&mut self, program: &'static str, command: Command) -> Result<(), ServerError> {
        self.spawn(command).map_err(|error| match error {
            ServerError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                ServerError::Missing { program }
            }
            other => other,
        })
    }

    /// As [`Self::spawn`], for a program that ends with its standard input.
    pub(crate) fn spawn_with_input(&mut self, command: Command) -> Result<Option<ChildStdin>, ServerError> {
        self.spawn_with(command, Stdio::piped())?;
        Ok(self.child.as_mut().and_then(|child| child.stdin.take()))
    }

    fn spawn_with(&mut self, mut command: Command, input: Stdio) -> Result<(), ServerError> {
        let io = |action| move |source| ServerError::Io { action, source };
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let (out, err) = (open().map_err(io("open the server's log"))?, open().map_err(io("open the server's log"))?);
        let child = command.stdin(input).stdout(out).stderr(err).process_group(0).spawn();
        let child = child.map_err(io("start the server"))?;
        let pid = child.id().to_string();
        (self.child, self.status) = (Some(child), None);
        self.tell_guard(&pid).map_err(io("tell the clean-up guard"))
    }

    fn tell_guard(&mut self, pid: &str) -> std::io::Result<()> {
        self.pipe.as_mut().map_or(Ok(()), |pipe| writeln!(pipe, "{pid}"))
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotReady`] with the end of the log when the server ended or a minute has passed.
    pub fn until(&mut self, program: &'static str, ready: impl Fn() -> bool) -> Result<(), ServerError> {
        let start = Instant::now();
        while !ready() {
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || start.elapsed() > START_LIMIT {
                let log = self.log();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                return Err(ServerError::NotReady {
                    program,
                    log: tail.into_iter().rev().collect::<Vec<_>>().join("; "),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends `signal` to the server, when it runs.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed())) {
            // A server that has just ended is as good as signalled.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends the server with `signal` and waits until it is gone; the folder stays.
    pub fn end(&mut self, signal: Signal) {
        self.signal(Signal::CONT);
        self.signal(signal);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        // A guard that is gone needs no news.
        let _ = self.tell_guard("");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(self.stop_signal);
        drop(self.pipe.take());
        let _ = self.guard.wait();
    }
}

/// 24 random hexadecimal digits.
pub(crate) fn random_hex() -> Result<String, ServerError> {
    let mut bytes = [0u8; 12];
    getrandom::fill(&mut bytes)
        .map_err(|error| ServerError::Io { action: "get random bytes", source: std::io::Error::other(error) })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A command for a daemon, which Debian puts where the `PATH` of people does not lead.
pub(crate) fn daemon(name: &str) -> Command {
    let debian = Path::new("/usr/sbin").join(name);
    if debian.exists() { Command::new(debian) } else { Command::new(name) }
}

/// Runs a helper program to its end.
pub(crate) fn run(program: &'static str, command: &mut Command) -> Result<String, ServerError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|source| ServerError::Io { action: "start a helper program", source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(ServerError::Failed { program, output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_started_again_has_not_ended() {
        let mut process = Process::new("sleeper", Signal::TERM).expect("a folder and a guard");
        process.spawn(Command::new("true")).expect("it starts");
        let start = Instant::now();
        while process.ended().is_none() {
            assert!(start.elapsed() < START_LIMIT, "it ends at once");
            std::thread::yield_now();
        }
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        process.spawn(sleep).expect("sleep starts");
        assert_eq!(process.ended(), None);
    }

    #[test]
    fn a_process_ends_with_us_even_when_its_folder_was_removed_before() {
        let mut process = Process::new("sleeper", Signal::TERM).expect("a folder and a guard");
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        process.spawn(sleep).expect("sleep starts");
        std::fs::remove_dir_all(process.folder()).expect("removed");
        // What the kernel does when we are killed; the guard alone is left to end the process.
        drop(process.pipe.take());
        let start = Instant::now();
        while process.ended().is_none() {
            assert!(start.elapsed() < START_LIMIT, "the process outlived us");
            std::thread::yield_now();
        }
    }
}
