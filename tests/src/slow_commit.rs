//! Commits of signups made slow, as in the course's lecture, without touching a program.
//!
//! Takes: how long. Gives: a deferred trigger that sleeps inside COMMIT, while nobody sees the user. Does not: slow
//! anything but inserts of users.

use crate::pipeline::Pipeline;
use std::time::Duration;

impl Pipeline {
    /// Makes the commit of every signup from now on take at least this long.
    ///
    /// # Panics
    ///
    /// When the database refuses.
    pub async fn slow_commits(&self, by: Duration) {
        let sql = format!(
            "CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION slow_commit()",
            by.as_secs_f64()
        );
        self.database.run(&sql).await.expect("the database takes the trigger");
    }
}
