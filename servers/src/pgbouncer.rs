//! One PgBouncer before a PostgreSQL.
//!
//! Takes: `pgbouncer` from Debian's package, a PostgreSQL, and which pool mode. Gives: a pooler with its defaults; all
//! databases of the server are reached through it under their names, with the server's own user and password. Does
//! not: tune anything but where it listens.

use crate::{
    Postgres,
    port::{answers, free_port},
    process::{Process, ServerError, daemon},
};
use rustix::process::Signal;

/// What a client keeps of a server (`pool_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// For as long as it is connected.
    Session,
    /// For a transaction.
    Transaction,
    /// For a statement; it takes no transactions.
    Statement,
}

/// A running PgBouncer; dropped, it ends and its folder goes.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
    port: u16,
}

impl PgBouncer {
    /// Starts it before `server`, with more lines for its section `[pgbouncer]`; blocks until it listens.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, else what went wrong.
    pub fn start(server: &Postgres, mode: PoolMode, more: &str) -> Result<Self, ServerError> {
        let mut process = Process::new("pgbouncer", Signal::TERM)?;
        let (port, folder) = (free_port()?, process.folder().to_owned());
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
            PoolMode::Statement => "statement",
        };
        let users = folder.join("users.txt");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n{more}\n",
            server.port(),
            users.display()
        );
        let io = |source| ServerError::Io { action: "write the settings of pgbouncer", source };
        let (user, password) = server.login();
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).map_err(io)?;
        std::fs::write(folder.join("pgbouncer.ini"), settings).map_err(io)?;
        let mut command = daemon("pgbouncer");
        command.current_dir(&folder).arg(folder.join("pgbouncer.ini"));
        // It refuses to run as root; PostgreSQL's user can read what it is given.
        server.disown(&mut command, &[&folder, &users])?;
        process.spawn_program("pgbouncer", command)?;
        process.until("pgbouncer", || answers(port))?;
        Ok(Self { process, port })
    }

    /// URI of a database through this pooler, from its URI without.
    pub fn before(&self, uri: &str) -> String {
        let (login, rest) = uri.rsplit_once('@').unwrap_or(("postgres://", uri));
        let database = rest.split_once('/').map_or("", |(_, database)| database);
        format!("{login}@127.0.0.1:{}/{database}", self.port)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
