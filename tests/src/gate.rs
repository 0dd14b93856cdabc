//! Statements of the programs held at a chosen point.
//!
//! Takes: a point. Gives: a trigger that waits there until the gate is opened, and a way to see who waits. Does not:
//! change what the statement does.
//!
//! The trigger asks for a shared advisory lock that the gate's own connection holds exclusively; once open, it costs
//! nothing.

use crate::{
    database::Database,
    until::{PATIENCE, until},
};
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Number of the advisory lock; each test has a database of its own, and advisory locks are per database.
const LOCK: i64 = 7_305_019;

/// Where statements are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Inside COMMIT of a signup: written, and seen by nobody.
    Commit,
    /// Redis has the task; the row is about to be marked as dispatched.
    Dispatched,
    /// The mail server accepted the mail; the row is about to say so.
    Sent,
}

/// A closed gate.
#[derive(Debug)]
pub struct Gate {
    database: Database,
    holder: PgConnection,
}

impl Gate {
    /// Puts the trigger in place, closed.
    pub(crate) async fn close(database: &Database, point: Point) -> Result<Self> {
        let mut holder = database.connection().await?.detach();
        let hold = format!("SELECT pg_advisory_lock({LOCK})");
        sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut holder).await?;
        let trigger = match point {
            Point::Commit => "CONSTRAINT TRIGGER gate AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            Point::Dispatched => {
                "TRIGGER gate BEFORE UPDATE ON email_intents FOR EACH ROW
                 WHEN (OLD.state = 'waiting' AND NEW.state = 'dispatched')"
            }
            Point::Sent => "TRIGGER gate BEFORE UPDATE ON email_intents FOR EACH ROW WHEN (NEW.state = 'sent')",
        };
        let sql = format!(
            "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NEW; END $$;
             CREATE {trigger} EXECUTE FUNCTION gate()"
        );
        database.run(&sql).await?;
        Ok(Self { database: database.clone(), holder })
    }

    /// Waits until this many statements stand at the gate.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn reached(&self, statements: i64) {
        let waiting = format!("SELECT count(*) FROM pg_locks {WAITING_AT} AND objid = {LOCK}");
        until("a statement stands at the gate", PATIENCE, async || {
            self.database.number(&waiting).await.is_ok_and(|waiting| waiting >= statements)
        })
        .await;
    }

    /// Ends the connections that stand at the gate, as a cut network would: what they wanted to write is not written.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub async fn cut(&self) {
        let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_locks {WAITING_AT} AND objid = {LOCK}");
        self.database.run(&cut).await.expect("the database answers");
    }

    /// Lets everybody pass, now and later.
    ///
    /// # Panics
    ///
    /// When the lock's connection is gone.
    pub async fn open(self) {
        self.holder.close().await.expect("the connection that holds the lock");
    }
}

/// `objid` is the lower half of the lock's number; the upper one is zero.
const WAITING_AT: &str = "WHERE locktype = 'advisory' AND NOT granted AND classid = 0
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
