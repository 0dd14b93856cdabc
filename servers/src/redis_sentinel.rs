//! A Redis master, its replica, and three sentinels that watch them.
//!
//! Takes: `redis-server` on `PATH`, which is also the sentinel. Gives: a master that can be killed or deposed, and is
//! replaced within seconds. The sentinels have a password of their own. Does not: keep anything but what the replica
//! has.

use crate::{
    port::free_port,
    process::{Process, ServerError, random_hex},
    redis::{Redis, command_at, program},
};
use rustix::process::Signal;

const SENTINELS: usize = 3;
/// The name that the sentinels give to the master.
const MASTER: &str = "tasks";

/// The servers; dropped, all of them end.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [Redis; 2],
    sentinels: Vec<Sentinel>,
    password: String,
}

#[derive(Debug)]
struct Sentinel {
    process: Process,
    port: u16,
}

impl RedisSentinel {
    /// Starts them; blocks until the sentinels know each other and the replica (about 3 s).
    ///
    /// # Errors
    ///
    /// As [`Redis::start`].
    pub fn start() -> Result<Self, ServerError> {
        let master = Redis::start()?;
        let replica = master.start_replica()?;
        let password = random_hex()?;
        let sentinel = |_| Sentinel::start(&master, &password);
        let sentinels = (0..SENTINELS).map(sentinel).collect::<Result<_, _>>()?;
        let mut started = Self { servers: [master, replica], sentinels, password };
        for sentinel in &mut started.sentinels {
            let (port, password) = (sentinel.port, &started.password);
            sentinel.process.wait_until("redis-server --sentinel", || knows_all(port, password))?;
        }
        Ok(started)
    }

    /// URI of a database of whichever server is the master.
    pub fn uri(&self, database: u32) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        let (hosts, password) = (hosts.join(","), self.servers[0].password());
        format!("redis+sentinel://:{password}@{hosts}/{MASTER}/{database}?sentinelPassword={}", self.password)
    }

    /// The port of the server that the second sentinel takes for the master.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it does not answer.
    pub fn master_port(&self) -> Result<u16, ServerError> {
        let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
        let answer = command_at(self.sentinels[1].port, &self.password, &ask)?;
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
        command_at(self.sentinels[1].port, &self.password, &["SENTINEL", "FAILOVER", MASTER]).map(drop)
    }

    /// What one of the two servers, whether master or not, answers to a command.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] when it answers with an error.
    pub fn command_at(&self, port: u16, command: &[&str]) -> Result<String, ServerError> {
        command_at(port, self.servers[0].password(), command)
    }

    /// Stops the first sentinel's clock (SIGSTOP): it takes connections and answers nothing.
    pub fn pause_first_sentinel(&self) {
        self.sentinels[0].process.signal(Signal::STOP);
    }
}

impl Sentinel {
    fn start(master: &Redis, password: &str) -> Result<Self, ServerError> {
        let mut process = Process::new("redis-sentinel", Signal::KILL)?;
        let port = free_port()?;
        let config = format!(
            "port {port}\nbind 127.0.0.1\nrequirepass {password}\nsentinel sentinel-pass {password}\n\
             sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel auth-pass {MASTER} {}\n\
             sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n",
            master.port(),
            master.password()
        );
        let file = process.folder().join("sentinel.conf");
        std::fs::write(&file, config).map_err(|source| ServerError::Io { action: "write sentinel.conf", source })?;
        let mut command = program();
        command.arg(&file).arg("--sentinel").current_dir(process.folder());
        process.spawn_program("redis-server", command)?;
        // Not as a server is asked: a sentinel does not know QUIT.
        process.wait_until("redis-server --sentinel", || command_at(port, password, &["PING"]).is_ok())?;
        Ok(Self { process, port })
    }
}

/// Whether a sentinel has heard of the others and of the replica.
fn knows_all(port: u16, password: &str) -> bool {
    let state = command_at(port, password, &["SENTINEL", "MASTER", MASTER]).unwrap_or_default();
    let mut lines = state.lines();
    let mut field = |name: &str| lines.find(|line| *line == name).and_then(|_| lines.next()?.parse::<usize>().ok());
    // In the order in which they are listed.
    field("num-slaves") == Some(1) && field("num-other-sentinels") == Some(SENTINELS - 1)
}
