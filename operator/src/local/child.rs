//! One process of a local run.
//!
//! Takes: a program and its arguments. Gives: where it listens, what it complains about, and a new start with back-off
//! when it dies. It cannot outlive us: `servers` guards it. Does not: decide when it is needed.

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Map, Value};
use servers::{Process, ServerError};
use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

/// First wait before a new start; it doubles up to [`MAX_WAIT`].
const MIN_WAIT: Duration = Duration::from_millis(200);
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A process that ran this long has earned a new first wait.
const MIN_STABLE: Duration = Duration::from_secs(60);

/// The same complaint is shown once in this time.
const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Where a process listens, from its log line `listening`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Listening {
    pub(super) http: Option<SocketAddr>,
    pub(super) grpc: Option<SocketAddr>,
    pub(super) smtp: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

/// Program, and arguments that may depend on where it listened before.
pub(super) struct Recipe {
    pub(super) program: PathBuf,
    pub(super) arguments: Box<dyn Fn(Option<Listening>) -> Vec<OsString> + Send>,
}

enum Phase {
    Running { since: Instant },
    Dead { restart_at: Instant },
    Stopping,
}

/// One process; dropped, it ends.
pub(super) struct Child {
    name: String,
    recipe: Recipe,
    process: Process,
    log_offset: u64,
    listening: Option<Listening>,
    server: Option<String>,
    bound_before: Option<Listening>,
    deaths: u32,
    phase: Phase,
    last_complaint: Option<(String, Instant)>,
}

impl Child {
    /// Starts it.
    pub(super) fn start(name: &str, recipe: Recipe) -> Result<Self, ServerError> {
        let mut child = Self {
            name: name.into(),
            process: Process::new(&format!("signup-{name}"), Signal::TERM)?,
            recipe,
            log_offset: 0,
            listening: None,
            server: None,
            bound_before: None,
            deaths: 0,
            phase: Phase::Stopping,
            last_complaint: None,
        };
        child.spawn()?;
        Ok(child)
    }

    fn spawn(&mut self) -> Result<(), ServerError> {
        let mut command = Command::new(&self.recipe.program);
        command.args((self.recipe.arguments)(self.bound_before));
        self.process.spawn(command)?;
        self.phase = Phase::Running { since: Instant::now() };
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the running process listens; `None` before it says so.
    pub(super) fn listening(&self) -> Option<Listening> {
        self.listening
    }

    /// What the running process is called in the queue; `None` before it says so, and for one that takes no tasks.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// What a process was called in the queue that has ended otherwise than it should; once.
    pub(super) fn lost_server(&mut self) -> Option<String> {
        let is_lost = self.process.ended().is_some_and(|status| !status.success());
        if is_lost { self.server.take() } else { None }
    }

    /// How it ended, when it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Path of its log.
    pub(super) fn log(&self) -> PathBuf {
        self.process.folder().join("log")
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Asks it to end in order; it is not started again.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.process.signal(Signal::TERM);
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        self.phase = Phase::Stopping;
        self.process.signal(Signal::KILL);
    }

    /// Reads its log, notices its death and starts it again when the wait is over. Gives lines for the screen.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<String> {
        let mut lines: Vec<String> =
            self.new_log_lines().iter().filter_map(|line| self.on_log_line(line, now)).collect();
        match self.phase {
            Phase::Running { since } => {
                if let Some(status) = self.process.ended() {
                    lines.push(self.on_death(status, now.duration_since(since), now));
                }
            }
            Phase::Dead { restart_at } if now >= restart_at => {
                if let Err(error) = self.spawn() {
                    self.phase = Phase::Dead { restart_at: now + MAX_WAIT };
                    lines.push(format!("{} could not be started again: {error}", self.name));
                }
            }
            Phase::Dead { .. } | Phase::Stopping => {}
        }
        lines
    }

    fn on_death(&mut self, status: ExitStatus, lived: Duration, now: Instant) -> String {
        self.deaths = if lived >= MIN_STABLE { 0 } else { self.deaths };
        let wait = MIN_WAIT.saturating_mul(1 << self.deaths.min(16)).min(MAX_WAIT);
        self.deaths += 1;
        self.bound_before = self.listening.take().or(self.bound_before);
        self.phase = Phase::Dead { restart_at: now + wait };
        let wait = pipeline::duration::format(wait);
        format!("{} ended ({status}) and is started again in {wait}; its log: {}", self.name, self.log().display())
    }

    fn new_log_lines(&mut self) -> Vec<String> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(self.log())?;
            file.seek(SeekFrom::Start(self.log_offset))?;
            let mut new = Vec::new();
            file.read_to_end(&mut new)?;
            new.truncate(new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
            Ok(new)
        };
        let new = read().unwrap_or_default();
        self.log_offset += new.len() as u64;
        String::from_utf8_lossy(&new).lines().map(str::to_owned).collect()
    }

    fn on_log_line(&mut self, line: &str, now: Instant) -> Option<String> {
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line) else {
            return Some(format!("{}: {line}", self.name));
        };
        if fields.get("message").and_then(Value::as_str) == Some("listening") {
            self.server = fields.get("server").and_then(Value::as_str).map(str::to_owned);
            self.listening = serde_json::from_value(Value::Object(fields)).ok();
            return None;
        }
        let complaint = complaint(&fields)?;
        let message = fields.get("message").map(ToString::to_string).unwrap_or_default();
        let repeated = |(last, at): &(String, Instant)| *last == message && now.duration_since(*at) < REPEAT_INTERVAL;
        if self.last_complaint.as_ref().is_some_and(repeated) {
            return None;
        }
        self.last_complaint = Some((message, now));
        Some(format!("{}: {complaint}", self.name))
    }
}

/// A log line of level WARN or ERROR, for people: the message, then its fields.
fn complaint(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let level = text("level");
    if !matches!(level, "WARN" | "ERROR") {
        return None;
    }
    let mut line = format!("{level} {}", text("message"));
    for (name, value) in fields {
        if !["timestamp", "level", "target", "message"].contains(&name.as_str()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a String cannot fail.
            let _ = write!(line, " {name}={value}");
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Map<String, Value> {
        serde_json::from_str(line).expect("an object")
    }

    #[test]
    fn only_warnings_and_errors_are_shown() {
        let warning = r#"{"timestamp":"t","level":"WARN","target":"api","#.to_owned()
            + r#""message":"Redis is away","attempt":3,"error":"refused"}"#;
        assert_eq!(complaint(&fields(&warning)).as_deref(), Some("WARN Redis is away attempt=3 error=refused"));
        assert_eq!(complaint(&fields(r#"{"level":"INFO","message":"received a HTTP request"}"#)), None);
    }
}
