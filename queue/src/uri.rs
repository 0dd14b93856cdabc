//! URIs of Redis: one server, a unix socket, a master that sentinels name, a cluster.
//!
//! Takes: the text of a URI, blanks around it included. Gives: what it names, decoded, or what is wrong with it and the
//! fix. Does not: open or look up anything, or repeat a user, password or host in an error.
//!
//! | form | whose |
//! |---|---|
//! | `redis[s]://[user:password@]host[:port][/index]`, also `valkey[s]://` | the registered one (IANA) and Valkey's |
//! | `[redis+]unix:///path[?db=index]`, also `valkey+unix`, `redis+socket`, `redis-socket` | redis-py's, and asynq's |
//! | `redis[s]+sentinel://[user:password@]host[:port],...[/master][/index]` | that of Python's `limits` and others |
//! | `redis-sentinel://[:password of the sentinels@]host[:port],...?master=name` | asynq's |
//! | `redis[s]+cluster://[user:password@]host[:port],...` | the same family as `redis+sentinel` |
//!
//! There is no registered form for Sentinel or Cluster. `redis+sentinel` and `redis+cluster` are taken because several
//! clients write both, because they leave one place for the TLS `s`, and because the name of the master in the path
//! needs no query.

mod form;
mod parts;
#[cfg(test)]
mod tests;

use form::{Form, form, master, no_database, socket, the_only, without_fragment};
use parts::{Query, database, hosts, userinfo};
use std::path::PathBuf;

/// The fix where nothing more special is known.
const FORMS: &str = "write it like redis://:password@host:6379/0 (rediss:// for TLS), or \
    redis+sentinel://:password@sentinel-1:26379,sentinel-2:26379/master/0, or \
    redis+cluster://:password@node-1:6379,node-2:6379, special characters percent-encoded";

/// Redis' own port, for a host without one.
const SERVER_PORT: u16 = 6379;
/// That of sentinels.
const SENTINEL_PORT: u16 = 26379;

/// What a URI names. Debug shows neither user nor password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedisUri {
    pub(crate) place: Place,
    pub(crate) is_tls: bool,
    /// For the servers that hold tasks.
    pub(crate) login: Login,
    /// 0 on a cluster.
    pub(crate) database: i64,
    /// `?protocol=2`: RESP3 is not tried.
    pub(crate) is_resp2: bool,
}

/// Where the server is, or who knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Server(Host),
    Socket(PathBuf),
    Sentinels(SentinelHosts),
    /// Any nodes; the others are found out.
    Cluster(Vec<Host>),
}

/// Sentinels and what they are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SentinelHosts {
    pub(crate) hosts: Vec<Host>,
    pub(crate) master: String,
    /// For the sentinels.
    pub(crate) login: Login,
    /// `?serverPort=`: where the servers behind them listen, for network policies.
    pub(crate) server_port: u16,
}

/// A name or address (IPv6 without brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// User and password, both optional. Debug shows neither.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

/// What is wrong with a URI, without any of it that could be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}. Fix: {fix}")]
pub struct UriError {
    problem: String,
    fix: &'static str,
}

impl UriError {
    pub(crate) fn new(problem: impl Into<String>, fix: &'static str) -> Self {
        Self { problem: problem.into(), fix }
    }

    /// What is wrong, as the middle of a sentence.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to write instead.
    pub fn fix(&self) -> &'static str {
        self.fix
    }
}

impl RedisUri {
    /// Reads a URI.
    ///
    /// # Errors
    ///
    /// [`UriError`] with what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) =
            text.trim().split_once("://").ok_or_else(|| UriError::new("it does not begin with redis://", FORMS))?;
        let (form, is_tls) = form(scheme)?;
        let rest = without_fragment(rest)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query::parse(query)?;
        if is_tls {
            query.demand_checks()?;
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (before, names) = authority.rsplit_once('@').unwrap_or(("", authority));
        let in_front = userinfo(before)?;
        let of_query = Login { user: query.get(&["user", "username"]), password: query.get(&["password", "pass"]) };
        let (login, of_sentinels) = match form {
            Form::SentinelsOfAsynq => (of_query, in_front),
            _ => (in_front.or(of_query), Login::default()),
        };
        let path = path.trim_matches('/');
        let (place, database) = match form {
            Form::Server => (Place::Server(the_only(hosts(names, SERVER_PORT)?)?), database(path, &query)?),
            Form::Socket => (socket(names, path)?, database("", &query)?),
            Form::Cluster => (Place::Cluster(hosts(names, SERVER_PORT)?), no_database(database(path, &query)?)?),
            Form::Sentinels | Form::SentinelsOfAsynq => {
                let (master, index) = master(path, &query)?;
                let login = of_sentinels.or(Login {
                    user: query.get(&["sentinelUser", "sentinelUsername"]),
                    password: query.get(&["sentinelPassword"]),
                });
                let server_port = query.port("serverPort")?.unwrap_or(SERVER_PORT);
                let hosts = hosts(names, SENTINEL_PORT)?;
                (Place::Sentinels(SentinelHosts { hosts, master, login, server_port }), database(&index, &query)?)
            }
        };
        Ok(Self { place, is_tls, login, database, is_resp2: query.is_resp2()? })
    }

    /// True when the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// True for a file of this machine, which no other and no pod sees.
    pub fn is_socket(&self) -> bool {
        matches!(self.place, Place::Socket(_))
    }

    /// The index of the database.
    pub fn database(&self) -> i64 {
        self.database
    }

    /// The same server, spoken to in the same way, with another database.
    #[must_use]
    pub fn with_database(self, database: i64) -> Self {
        Self { database, ..self }
    }

    /// Host and port of every server or sentinel that the URI names, as `host:port` (IPv6 in brackets); empty for a
    /// socket.
    pub fn addresses(&self) -> Vec<String> {
        self.hosts().iter().map(ToString::to_string).collect()
    }

    /// The TCP ports that a client needs, each once: those in the URI and, behind sentinels, that of the servers
    /// (`?serverPort=`, else 6379). A cluster's nodes that listen elsewhere have to be named.
    pub fn ports(&self) -> Vec<u16> {
        let of_servers = match &self.place {
            Place::Sentinels(sentinels) => Some(sentinels.server_port),
            _ => None,
        };
        let mut ports: Vec<u16> = self.hosts().iter().map(|host| host.port).chain(of_servers).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// The same text for URIs that lead to the same tasks by the same names, whoever logs in.
    pub fn identity(&self) -> String {
        let mut addresses = self.addresses();
        addresses.sort_unstable();
        let (kind, name) = match &self.place {
            Place::Server(_) => ("", String::new()),
            Place::Socket(path) => ("unix:", path.display().to_string()),
            Place::Sentinels(sentinels) => ("sentinel:", format!("/{}", sentinels.master)),
            Place::Cluster(_) => ("cluster:", String::new()),
        };
        format!("{kind}{}{name}/{}", addresses.join(","), self.database)
    }

    fn hosts(&self) -> &[Host] {
        match &self.place {
            Place::Server(host) => std::slice::from_ref(host),
            Place::Socket(_) => &[],
            Place::Sentinels(sentinels) => &sentinels.hosts,
            Place::Cluster(hosts) => hosts,
        }
    }
}

impl Login {
    /// This one, if it says anything.
    fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.password.is_some() { "Login(with password)" } else { "Login(without password)" })
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}
