//! One Redis server.
//!
//! Takes: `redis-server` on `PATH`, or the program that `REDIS_SERVER` names (another version, or Valkey). Gives: a
//! server with a password, 1024 databases and no persistence unless asked for, on request with TLS alone. Does not:
//! keep anything over [`Redis::kill`]: that is what tests want from it.

use crate::{
    authority::Authority,
    port::free_port,
    process::{Process, ServerError, random_hex, run},
};
use rustix::process::Signal;
use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Enough for one database a test.
const DATABASES: u32 = 1024;

/// A running Redis server; dropped, it ends and its folder goes.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    access: Access,
    arguments: Vec<String>,
    databases: AtomicU32,
}

/// How one server is spoken to. Several that know each other differ in the port alone.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) port: u16,
    pub(crate) password: String,
    /// With one, the server speaks TLS alone, with clients and with its like.
    pub(crate) authority: Option<Arc<Authority>>,
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
        Self::start_as(Access { port: free_port()?, password: random_hex()?, authority: None }, arguments)
    }

    /// Starts a replica of this server, with the same password, so that either can be the other's master.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub(crate) fn start_replica(&self) -> Result<Self, ServerError> {
        let access = Access { port: free_port()?, ..self.access.clone() };
        Self::start_as(access, &["--replicaof", "127.0.0.1", &self.access.port.to_string()])
    }

    /// Several servers of one password know each other.
    pub(crate) fn start_as(access: Access, arguments: &[&str]) -> Result<Self, ServerError> {
        let process = Process::new("redis", Signal::KILL)?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { process, access, arguments, databases: AtomicU32::new(0) };
        server.start_again()?;
        Ok(server)
    }

    /// `redis://` URI (`rediss://` with TLS) of a database (0 to 1023), with the password. The user is named because
    /// `redis-cli` 7.0 asks for it.
    pub fn uri(&self, database: u32) -> String {
        let Access { port, password, .. } = &self.access;
        format!("{}://default:{password}@127.0.0.1:{port}/{database}", self.access.scheme())
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

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// What the server answers to a command, as `redis-cli` prints it where nobody reads along.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it answers with an error.
    pub fn command(&self, command: &[&str]) -> Result<String, ServerError> {
        self.access.command(command)
    }

    /// The file of the unix socket, for a server started with `--unixsocket redis.sock`.
    pub fn socket(&self) -> PathBuf {
        self.process.folder().join("redis.sock")
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.access.port
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
        command.args(["--bind", "127.0.0.1", "--requirepass", &self.access.password]);
        command.args(self.access.listening().into_iter().flat_map(|(name, value)| [format!("--{name}"), value]));
        command.args(["--databases", &DATABASES.to_string(), "--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory-policy", "noeviction", "--masterauth", &self.access.password]);
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.arguments);
        self.process.spawn_program("redis-server", command)?;
        self.until(|access| access.command(&["PING"]).is_ok_and(|answer| answer.contains("PONG")))
    }

    /// Waits until `ready` says so of the server.
    pub(crate) fn until(&mut self, ready: impl Fn(&Access) -> bool) -> Result<(), ServerError> {
        self.process.until("redis-server", || ready(&self.access))
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

impl Access {
    /// The settings of a server, by which it can be spoken to in this way.
    pub(crate) fn listening(&self) -> Vec<(&'static str, String)> {
        let port = self.port.to_string();
        let Some(authority) = &self.authority else { return vec![("port", port)] };
        let file = |path: PathBuf| path.display().to_string();
        let yes = || "yes".to_owned();
        vec![
            ("port", "0".to_owned()),
            ("tls-port", port),
            ("tls-cert-file", file(authority.certificate())),
            ("tls-key-file", file(authority.key())),
            ("tls-ca-cert-file", file(authority.ca())),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-replication", yes()),
            ("tls-cluster", yes()),
        ]
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.authority.is_some() { "rediss" } else { "redis" }
    }

    /// Redis' own client, which gives the password and trusts the authority; the port is the caller's to name.
    pub(crate) fn client(&self) -> Command {
        let mut client = Command::new("redis-cli");
        client.env("REDISCLI_AUTH", &self.password);
        if let Some(authority) = &self.authority {
            client.arg("--tls").arg("--cacert").arg(authority.ca());
        }
        client
    }

    /// Runs one command with that client.
    pub(crate) fn command(&self, command: &[&str]) -> Result<String, ServerError> {
        run("redis-cli", self.client().args(["-e", "-p", &self.port.to_string()]).args(command))
    }
}
