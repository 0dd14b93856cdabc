//! One PostgreSQL server.
//!
//! Takes: `initdb` and `postgres` of the folder that `POSTGRES_BIN` names, else of the newest version under
//! `/usr/lib/postgresql`, or of `PATH`; a folder without the clients `psql` and `pg_isready` borrows those. Gives: a
//! server with password authentication and as many empty databases as asked for. Does not: survive a crash of the
//! machine (`fsync` is off: the data goes with the run anyway; a killed server loses nothing).

use crate::authority::Authority;
use crate::{
    port::free_port,
    process::{Process, ServerError, random_hex, run},
};
use rustix::process::Signal;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

const SUPERUSER: &str = "postgres";

/// A running PostgreSQL server; dropped, it ends and its folder goes.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    programs: PathBuf,
    /// Where `psql` and `pg_isready` are.
    clients: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    password: String,
    databases: AtomicU32,
    settings: Vec<String>,
}

impl Postgres {
    /// Initialises and starts a server; blocks until it answers (1 to 3 s).
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when the package is not installed, else what went wrong.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&[])
    }

    /// As [`Self::start`], with settings of its own (`name=value`).
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self, ServerError> {
        let mut server = Self::prepare(random_hex()?)?;
        server.initialise()?;
        server.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        server.start_again()?;
        Ok(server)
    }

    /// Folder of its socket.
    pub fn socket_folder(&self) -> &Path {
        self.process.folder()
    }

    /// A folder and a port, and no data yet.
    fn prepare(password: String) -> Result<Self, ServerError> {
        let (programs, clients) = (find_programs("initdb")?, find_programs("psql")?);
        let process = Process::new("postgres", Signal::QUIT)?;
        let owner = unprivileged_owner(process.folder())?;
        let (port, databases) = (free_port()?, AtomicU32::new(0));
        Ok(Self { process, programs, clients, owner, port, password, databases, settings: Vec::new() })
    }

    /// A server to be, with the password of this one.
    pub(crate) fn beside(&self) -> Result<Self, ServerError> {
        Self::prepare(self.password.clone())
    }

    /// As [`Self::start`], with TLS offered, or demanded of every client.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_tls(authority: &Authority, demanded: bool) -> Result<Self, ServerError> {
        let io = |source| ServerError::Io { action: "give the server its certificate", source };
        let mut server = Self::start()?;
        server.stop();
        let data = server.process.folder().join("data");
        for (from, name) in [(authority.certificate(), "server.crt"), (authority.key(), "server.key")] {
            std::fs::copy(from, data.join(name)).map_err(io)?;
            let (uid, gid) = server.owner.unzip();
            std::os::unix::fs::chown(data.join(name), uid, gid).map_err(io)?;
        }
        if demanded {
            std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").map_err(io)?;
        }
        server.settings = vec!["ssl=on".to_owned()];
        server.start_again()?;
        Ok(server)
    }

    /// As [`Self::start_with_tls`], and every client has to show a certificate of the authority.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_client_certificates(authority: &Authority) -> Result<Self, ServerError> {
        let io = |source| ServerError::Io { action: "give the server its authority", source };
        let mut server = Self::start_with_tls(authority, true)?;
        server.stop();
        let data = server.process.folder().join("data");
        std::fs::copy(authority.ca(), data.join("root.crt")).map_err(io)?;
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
        std::fs::write(data.join("pg_hba.conf"), rule).map_err(io)?;
        server.settings.push("ssl_ca_file=root.crt".to_owned());
        server.start_again()?;
        Ok(server)
    }

    /// `postgres://` URI of a database on this server, with superuser and password.
    pub fn uri(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// True when the server has ended without being told to.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URI.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with the server's answer.
    pub fn create_database(&self) -> Result<String, ServerError> {
        let name = format!("signup_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.uri(&name))
    }

    /// Runs a statement as superuser, in the database `postgres`; gives what it prints, without headers.
    pub(crate) fn sql(&self, statement: &str) -> Result<String, ServerError> {
        let mut psql = Command::new(self.clients.join("psql"));
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement];
        run("psql", psql.args(arguments).arg(self.uri("postgres")))
    }

    /// User and password.
    pub(crate) fn login(&self) -> (&str, &str) {
        (SUPERUSER, &self.password)
    }

    /// Has a command run as the server's own user, who owns these files from now on.
    pub(crate) fn disown(&self, command: &mut Command, files: &[&Path]) -> Result<(), ServerError> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        command.uid(uid).gid(gid);
        files.iter().try_for_each(|file| {
            std::os::unix::fs::chown(file, Some(uid), Some(gid))
                .map_err(|source| ServerError::Io { action: "hand a file to the user postgres", source })
        })
    }

    /// Ends the server in order (SIGINT: "fast shutdown"); data and port stay for [`Self::start_again`].
    pub fn stop(&mut self) {
        self.process.end(Signal::INT);
    }

    /// Kills the server without warning (SIGQUIT: the postmaster ends at once and its data needs crash recovery).
    pub fn kill(&mut self) {
        self.process.end(Signal::QUIT);
    }

    /// Starts the server on its data and port; blocks until it answers.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotReady`] with the end of its log.
    pub fn start_again(&mut self) -> Result<(), ServerError> {
        let folder = self.process.folder().to_owned();
        let mut command = self.command("postgres");
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder).arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=300", "log_min_messages=warning"] {
            command.args(["-c", setting]);
        }
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        self.process.spawn(command)?;
        let pg_isready = self.clients.join("pg_isready");
        let port = self.port;
        self.process.until("postgres", || is_ready(&pg_isready, port))
    }

    fn initialise(&self) -> Result<(), ServerError> {
        let io = |action| move |source| ServerError::Io { action, source };
        let password_file = self.process.folder().join("password");
        std::fs::write(&password_file, &self.password).map_err(io("write the password file"))?;
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.process.folder().join("data")).arg(format!("--pwfile={}", password_file.display()));
        initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
        run("initdb", &mut initdb)?;
        std::fs::remove_file(&password_file).map_err(io("remove the password file"))
    }

    /// A copy of another server, as this one's data.
    pub(crate) fn copy(&self, of: &Self) -> Result<(), ServerError> {
        let mut copying = self.run_by_owner(self.clients.join("pg_basebackup"));
        copying.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--dbname", &of.uri("postgres")]);
        run("pg_basebackup", copying.arg("--pgdata").arg(self.process.folder().join("data"))).map(drop)
    }

    fn command(&self, program: &str) -> Command {
        self.run_by_owner(self.programs.join(program))
    }

    fn run_by_owner(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.process.folder());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn is_ready(pg_isready: &Path, port: u16) -> bool {
    // The cheap question first: a process per look would slow a busy machine down.
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
        && run("pg_isready", Command::new(pg_isready).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])).is_ok()
}

/// Where `program` is taken from: `POSTGRES_BIN`, else the newest `/usr/lib/postgresql/N/bin`, else the
/// first folder of `PATH` that holds it. A server is never another one than was told.
fn find_programs(program: &'static str) -> Result<PathBuf, ServerError> {
    let told = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join(program).exists())
        .max_by_key(|(version, _)| *version);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join(program).exists())
    };
    let told = told.filter(|folder| program == "initdb" || folder.join(program).exists());
    told.or(newest.map(|(_, programs)| programs)).or_else(on_path).ok_or(ServerError::Missing { program })
}

/// When we are root: the ids of the user `postgres` (which the package makes), and the folder is handed to it.
fn unprivileged_owner(folder: &Path) -> Result<Option<(u32, u32)>, ServerError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let id = |flag| -> Result<u32, ServerError> {
        let text = run("id", Command::new("id").args([flag, SUPERUSER]))?;
        text.trim().parse().map_err(|_| ServerError::Failed { program: "id", output: text })
    };
    let (uid, gid) = (id("-u")?, id("-g")?);
    std::os::unix::fs::chown(folder, Some(uid), Some(gid))
        .map_err(|source| ServerError::Io { action: "hand the folder to the user postgres", source })?;
    Ok(Some((uid, gid)))
}
