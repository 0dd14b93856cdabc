//! A PostgreSQL with a standby, behind one name that moves.
//!
//! Takes: what `postgres` and `haproxy` take. Gives: the URI of the name, and the move to the standby, as a managed
//! database, a DNS name or a Service makes it: connections that are open stay with the old server. Does not: move back.

use crate::{Haproxy, Postgres, port::free_port, process::ServerError};

/// Two servers and their name; dropped, all of it ends.
#[derive(Debug)]
pub struct Failover {
    name: Haproxy,
    port: u16,
    primary: Postgres,
    standby: Postgres,
}

impl Failover {
    /// Starts all of it; the name leads to the first server. Blocks until it is there (3 to 6 s).
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] when a package is not installed, else what went wrong.
    pub fn start() -> Result<Self, ServerError> {
        let primary = Postgres::start()?;
        let standby = primary.start_standby()?;
        let port = free_port()?;
        let configuration = format!(
            "global\n  stats socket unix@socket level admin\n\
             defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1h\n  timeout server 1h\n\
             listen name\n  bind 127.0.0.1:{port}\n  server old 127.0.0.1:{}\n  server new 127.0.0.1:{} disabled\n",
            primary.port(),
            standby.port()
        );
        let name = Haproxy::start(port, &configuration)?;
        Ok(Self { name, port, primary, standby })
    }

    /// Makes an empty database and returns its URI behind the name.
    ///
    /// # Errors
    ///
    /// As [`Postgres::create_database`].
    pub fn create_database(&self) -> Result<String, ServerError> {
        let uri = self.primary.create_database()?;
        Ok(uri.replacen(&format!(":{}/", self.primary.port()), &format!(":{}/", self.port), 1))
    }

    /// URI on the second server of a database that [`Self::create_database`] made.
    pub fn on_standby(&self, uri: &str) -> String {
        uri.replacen(&format!(":{}/", self.port), &format!(":{}/", self.standby.port()), 1)
    }

    /// Lets the first server take no more writes; it stays up, and so do its connections.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with the server's answer.
    pub fn demote(&self) -> Result<(), ServerError> {
        self.primary.demote()
    }

    /// Lets the second server take writes, and new connections to the name reach it.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with the server's answer, [`ServerError::Io`] of the name.
    pub fn promote(&self) -> Result<(), ServerError> {
        self.standby.promote()?;
        for order in ["disable server name/old", "enable server name/new"] {
            let answer = self.name.order(order)?;
            if !answer.trim().is_empty() {
                return Err(ServerError::Failed { program: "haproxy", output: answer });
            }
        }
        Ok(())
    }
}
