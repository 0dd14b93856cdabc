//! A Redis master, its replica, and three sentinels that watch them; on request over TLS.
//!
//! Takes: `redis-server` on `PATH`, which is also the sentinel. Gives: a master that can be killed or deposed, and is
//! replaced within seconds. The sentinels have a password of their own. Does not: keep anything but what the replica
//! has.

use crate::{
    authority::Authority,
    port::free_port,
    process::{Process, ServerError, random_hex},
    redis::{Access, Redis, program},
};
use rustix::process::Signal;
use std::{fmt::Write as _, sync::Arc};

const SENTINELS: usize = 3;
/// The name that the sentinels give to the master.
const MASTER: &str = "tasks";

/// The servers; dropped, all of them end.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [Redis; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    process: Process,
    access: Access,
}

impl RedisSentinel {
    /// Starts them; blocks until the sentinels know each other and the replica (about 3 s).
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start() -> Result<Self, ServerError> {
        Self::start_as(None)
    }

    /// The same, where all speak TLS alone, with clients and with each other, with the certificate of `authority`.
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start_with_tls(authority: &Arc<Authority>) -> Result<Self, ServerError> {
        Self::start_as(Some(Arc::clone(authority)))
    }

    fn start_as(authority: Option<Arc<Authority>>) -> Result<Self, ServerError> {
        let any = Access { port: 0, password: random_hex()?, authority };
        let master = Redis::start_as(Access { port: free_port()?, password: random_hex()?, ..any.clone() }, &[])?;
        let replica = master.start_replica()?;
        let sentinel = |_| Sentinel::start(&master, Access { port: free_port()?, ..any.clone() });
        let sentinels = (0..SENTINELS).map(sentinel).collect::<Result<_, _>>()?;
        let mut started = Self { servers: [master, replica], sentinels };
        for Sentinel { process, access } in &mut started.sentinels {
            process.until("redis-server --sentinel", || knows_all(access))?;
        }
        Ok(started)
    }

    /// URI of a database of whichever server is the master.
    pub fn uri(&self, database: u32) -> String {
        let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.access.port));
        let (hosts, master, own) = (hosts.collect::<Vec<_>>().join(","), self.servers[0].access(), self.asked());
        let (scheme, password, own) = (master.scheme(), &master.password, &own.password);
        format!("{scheme}+sentinel://:{password}@{hosts}/{MASTER}/{database}?sentinelPassword={own}")
    }

    /// The port of the server that the second sentinel takes for the master.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it does not answer.
    pub fn master_port(&self) -> Result<u16, ServerError> {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        let answer = self.asked().command(&ask)?;
        let port = answer.lines().nth(1).and_then(|port| port.trim().parse().ok());
        port.ok_or(ServerError::Failed { program: "redis-server --sentinel", output: answer })
    }

    /// The server of that port.
    ///
    /// # Errors
    ///
    /// As [`Self::master_port`].
    pub fn master(&mut self) -> Result<&mut Redis, ServerError> {
        let port = self.master_port()?;
        let at = self.servers.iter().position(|server| server.port() == port).unwrap_or(0);
        Ok(&mut self.servers[at])
    }

    /// Has the replica take over from a master that is well, as before maintenance; returns at once.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when the sentinel refuses.
    pub fn depose(&self) -> Result<(), ServerError> {
        self.asked().command(&["SENTINEL", "FAILOVER", MASTER]).map(drop)
    }

    /// The sentinel that tests ask: not the first, which may be paused.
    fn asked(&self) -> &Access {
        &self.sentinels[1].access
    }

    /// What one of the two servers, whether master or not, answers to a command.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it answers with an error.
    pub fn command_at(&self, port: u16, command: &[&str]) -> Result<String, ServerError> {
        Access { port, ..self.servers[0].access().clone() }.command(command)
    }

    /// Stops the first sentinel's clock (SIGSTOP): it takes connections and answers nothing.
    pub fn pause_first_sentinel(&self) {
        self.sentinels[0].process.signal(Signal::STOP);
    }
}

impl Sentinel {
    fn start(master: &Redis, access: Access) -> Result<Self, ServerError> {
        let mut process = Process::new("redis-sentinel", Signal::KILL)?;
        let (Access { password, .. }, of_master) = (&access, master.access());
        let mut config = format!(
            "bind 127.0.0.1\nrequirepass {password}\nsentinel sentinel-pass {password}\n\
             sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel auth-pass {MASTER} {}\n\
             sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n",
            of_master.port, of_master.password
        );
        for (name, value) in access.listening() {
            // Writing to a String does not fail.
            let _ = writeln!(config, "{name} {value}");
        }
        let file = process.folder().join("sentinel.conf");
        std::fs::write(&file, config).map_err(|source| ServerError::Io { action: "write sentinel.conf", source })?;
        let mut command = program();
        command.arg(&file).arg("--sentinel").current_dir(process.folder());
        process.spawn_program("redis-server", command)?;
        process.until("redis-server --sentinel", || access.command(&["PING"]).is_ok())?;
        Ok(Self { process, access })
    }
}

/// Whether a sentinel has heard of the others and of the replica.
fn knows_all(sentinel: &Access) -> bool {
    let state = sentinel.command(&["SENTINEL", "MASTER", MASTER]).unwrap_or_default();
    let mut lines = state.lines();
    let mut field = |name: &str| lines.find(|line| *line == name).and_then(|_| lines.next()?.parse::<usize>().ok());
    // In the order in which they are listed.
    field("num-slaves") == Some(1) && field("num-other-sentinels") == Some(SENTINELS - 1)
}
