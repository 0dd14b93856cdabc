//! A lock on the table of users, which keeps signups under way.
//!
//! Takes: a program with a database. Gives: a lock that is held until it is released, and the moment at which a signup
//! waits for it. Does not: outlive a minute.

use super::{TestApi, sql};
use std::process::{Child, Command, Stdio};

/// Somebody who holds the table.
pub(crate) struct UsersLock {
    holder: Child,
    database: String,
}

impl TestApi {
    /// Locks the table of users against everybody.
    pub(crate) async fn lock_users(&self) -> UsersLock {
        let hold = "BEGIN; LOCK TABLE users; SELECT pg_sleep(60)";
        let holder = Command::new("psql")
            .args(["-Xq", "-d", &self.database(), "-c", hold])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`psql` runs; install it with `make setup`");
        let locked =
            "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'AccessExclusiveLock'";
        self.until("locked", async || self.sql(locked) == "1").await;
        UsersLock { holder, database: self.database() }
    }

    /// Waits until a signup waits for the lock.
    pub(crate) async fn until_a_signup_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted";
        self.until("the signup waits for the lock", async || self.sql(waiting) != "0").await;
    }
}

impl UsersLock {
    /// Lets go of the table.
    pub(crate) fn release(mut self) {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE users%'";
        sql(&self.database, end);
        self.holder.wait().expect("psql ends");
    }
}
