//! One Redis server.
//!
//! Takes: `redis-server` on `PATH`, or the program that `REDIS_SERVER` names (another version, or Valkey). Gives: a
//! server with a password, 1024 databases and no persistence unless asked for. Does not: keep anything over
//! [`Redis::kill`]: that is what tests want from it.

use crate::{
    port::free_port,
    process::{Process, ServerError, random_hex, run},
};
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Enough for one database a test.
const DATABASES: u32 = 1024;

/// A running Redis server; dropped, it ends and its folder goes.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    password: String,
    arguments: Vec<String>,
    databases: AtomicU32,
}

impl Redis {
    /// Starts a server without persistence; blocks until it answers (about 0.1 s).
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, else what went wrong.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// Starts a server with more command line arguments, e.g. `["--maxmemory", "10mb"]`.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(arguments: &[&str]) -> Result<Self, ServerError> {
        Self::start_as(free_port()?, random_hex()?, arguments)
    }

    /// Starts a replica of this server, with the same password, so that either can be the other's master.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub(crate) fn start_replica(&self) -> Result<Self, ServerError> {
        Self::start_as(free_port()?, self.password.clone(), &["--replicaof", "127.0.0.1", &self.port.to_string()])
    }

    /// Several servers of one password know each other.
    pub(crate) fn start_as(port: u16, password: String, arguments: &[&str]) -> Result<Self, ServerError> {
        let process = Process::new("redis", Signal::KILL)?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { process, port, password, arguments, databases: AtomicU32::new(0) };
        server.start_again()?;
        Ok(server)
    }

    /// `redis://` URI of a database (0 to 1023), with the password. The user is named because `redis-cli` 7.0 asks for
    /// it.
    pub fn uri(&self, database: u32) -> String {
        format!("redis://default:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// URI of a database that this process has not handed out yet (index 1 and up; 0 is left for hand work).
    ///
    /// # Panics
    ///
    /// After 1023 calls.
    pub fn fresh_database(&self) -> String {
        let database = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(database < DATABASES, "all {DATABASES} databases of this Redis are handed out");
        self.uri(database)
    }

    /// True when the server has ended without being told to.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// What the server answers to a command, as `redis-cli` prints it where nobody reads along.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it answers with an error.
    pub fn command(&self, command: &[&str]) -> Result<String, ServerError> {
        command_at(self.port, &self.password, command)
    }

    /// The file of the unix socket, for a server started with `--unixsocket redis.sock`.
    pub fn socket(&self) -> PathBuf {
        self.process.folder().join("redis.sock")
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server without warning; what it held in memory is gone.
    pub fn kill(&mut self) {
        self.process.end(Signal::KILL);
    }

    /// Starts the server again on the same port, empty unless persistence was asked for.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotReady`] with the end of its log.
    pub fn start_again(&mut self) -> Result<(), ServerError> {
        let mut command = program();
        command.current_dir(self.process.folder());
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--requirepass", &self.password]);
        command.args(["--databases", &DATABASES.to_string(), "--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory-policy", "noeviction", "--masterauth", &self.password]);
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.arguments);
        self.process.spawn_program("redis-server", command)?;
        self.wait_until(is_ready)
    }

    /// Waits until `ready` says so of the server with this port and password.
    pub(crate) fn wait_until(&mut self, ready: impl Fn(u16, &str) -> bool) -> Result<(), ServerError> {
        let (port, password) = (self.port, &self.password);
        self.process.wait_until("redis-server", || ready(port, password))
    }

    /// Stops the server's clock (SIGSTOP): connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }
}

/// `redis-server`, which is the sentinel as well, or the program that `REDIS_SERVER` names.
pub(crate) fn program() -> Command {
    Command::new(std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
}

/// Runs one command with Redis' own client.
pub(crate) fn command_at(port: u16, password: &str, command: &[&str]) -> Result<String, ServerError> {
    let mut client = Command::new("redis-cli");
    client.env("REDISCLI_AUTH", password).args(["-e", "-p", &port.to_string()]).args(command);
    run("redis-cli", &mut client)
}

/// Asks in Redis' inline form, which needs no client library.
fn is_ready(port: u16, password: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "AUTH {password}\r\nPING\r\nQUIT\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("PONG"))
    };
    ask().unwrap_or(false)
}
