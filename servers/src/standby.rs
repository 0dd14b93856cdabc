//! A standby: a second PostgreSQL that follows a first one, and may take its place.
//!
//! Takes: a running server. Gives: a copy of it that streams its changes, its promotion, and the demotion of the first.
//! Does not: move a name from one to the other; whoever stands before both does.

use crate::{Postgres, process::ServerError};

impl Postgres {
    /// Starts a standby of this server, under the same password; blocks until it streams. From then on a commit here
    /// is answered when the standby has it.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_standby(&self) -> Result<Self, ServerError> {
        let mut standby = self.beside()?;
        standby.copy(self)?;
        standby.start_again()?;
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.sql("SELECT pg_reload_conf()")?;
        Ok(standby)
    }

    /// Makes a primary of a standby; blocks until it takes writes.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with the server's answer.
    pub fn promote(&self) -> Result<(), ServerError> {
        self.sql("SELECT pg_promote()").map(drop)
    }

    /// Lets the server take no more writes, with all its connections open, as a managed server does that is about to
    /// be a standby; blocks until the last write is done.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with the server's answer.
    pub fn demote(&self) -> Result<(), ServerError> {
        self.sql("ALTER SYSTEM SET default_transaction_read_only = on")?;
        self.sql("SELECT pg_reload_conf()")?;
        while self.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL")?.trim() != "0" {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }
}
