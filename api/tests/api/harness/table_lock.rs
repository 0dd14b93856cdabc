//! A lock on a table, which keeps requests under way.
//!
//! Takes: a program with a database. Gives: a lock that is held until it is released, and the moment at which a request
//! waits for it. Does not: outlive a minute, or meet the locks of tests beside it, which have databases of their own on
//! the same server.

use super::{TestApi, sql};
use std::process::{Child, Command, Stdio};

/// Somebody who holds the table.
pub(crate) struct TableLock {
    holder: Child,
    database: String,
}

impl TestApi {
    /// Locks the table of users against everybody.
    pub(crate) async fn lock_users(&self) -> TableLock {
        self.lock("users").await
    }

    /// Locks a table against everybody.
    pub(crate) async fn lock(&self, table: &str) -> TableLock {
        let holder = Command::new("psql")
            .args(["-Xq", "-d", &self.database(), "-c", &format!("BEGIN; LOCK TABLE {table}; SELECT pg_sleep(60)")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`psql` runs; install it with `make setup`");
        let locked = format!("{} AND mode = 'AccessExclusiveLock' AND granted", locks(table));
        self.until("locked", async || self.sql(&locked) == "1").await;
        TableLock { holder, database: self.database() }
    }

    /// Waits until a signup waits for the lock.
    pub(crate) async fn until_a_signup_waits(&self) {
        self.until_waited_for("users").await;
    }

    /// Waits until somebody waits for the lock of a table.
    pub(crate) async fn until_waited_for(&self, table: &str) {
        let waiting = format!("{} AND NOT granted", locks(table));
        self.until("somebody waits for the lock", async || self.sql(&waiting) != "0").await;
    }
}

impl TableLock {
    /// Lets go of the table.
    pub(crate) fn release(mut self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'BEGIN; LOCK TABLE %'";
        sql(&self.database, end);
        self.holder.wait().expect("psql ends");
    }
}

/// Tables of other databases may have the same number.
fn locks(table: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_locks
         WHERE relation = '{table}'::regclass
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
}
