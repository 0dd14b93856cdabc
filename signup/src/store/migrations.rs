//! Bringing the database up to date, in one transaction.
//!
//! Takes: a database, empty, older, of the Go program, or of another application. Gives: all tables in our schema; or
//! why not, with nothing changed. Does not: rely on anything of the connection that outlives the transaction (lock and
//! `search_path` end with it), so it may go through a pooler in transaction mode.

use super::{Claimant, Store, StoreError, adoption::Place, apply, pool::Connections, schema::quoted};
use sqlx::AssertSqlSafe;
use std::sync::atomic::Ordering;

/// Names the migrations among PostgreSQL's advisory locks: "migrate\0" in ASCII.
const LOCK: i64 = 0x6d69_6772_6174_6500;

/// A replica that stops amid the migrations with its connection open loses its locks after this time.
const FIRST: &str = "SET LOCAL idle_in_transaction_session_timeout = '30s'";

impl Store {
    /// Brings the tables up to date; several processes may do so at once (a lock lets one work at a time), also over a
    /// database of the Go program with rows in it. The schema is made if it is missing. Tables of any other application
    /// are left as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Foreign`], [`StoreError::Unfit`], [`StoreError::Migrate`]; [`StoreError::Database`] when it cannot
    /// be asked; [`StoreError::Secret`] and [`StoreError::UnusableUri`] of a URI for migrations alone. Nothing is
    /// changed then.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_and_claim(None).await
    }

    /// The same, and in the same transaction the database becomes the claimant's: another's is not brought up to date.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate), and as [`claim`](Self::claim).
    pub async fn migrate_for(&self, claimant: &Claimant) -> Result<(), StoreError> {
        self.migrate_and_claim(Some(claimant)).await
    }

    async fn migrate_and_claim(&self, claimant: Option<&Claimant>) -> Result<(), StoreError> {
        let Some(database) = &self.direct else { return self.migrate_on(&self.pool, claimant).await };
        let direct = Connections::new(1, super::hosts(&database.read()?)?);
        let migrated = self.migrate_on(&direct, claimant).await;
        direct.close().await;
        migrated
    }

    async fn migrate_on(&self, connections: &Connections, claimant: Option<&Claimant>) -> Result<(), StoreError> {
        let mut transaction = connections.begin_with(FIRST).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut transaction).await?;
        let place = Place::find(&mut transaction, &self.schema).await?;
        if !place.is_up_to_date() {
            place.demand_adoptable(&mut transaction).await?;
            place.demand_privileges(&mut transaction).await?;
            if !place.is_there {
                sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {}", quoted(&place.name))))
                    .execute(&mut transaction)
                    .await?;
            }
            apply::missing(&mut transaction).await?;
        }
        let term = match claimant {
            Some(claimant) => Some(self.claim_in(&mut transaction, claimant).await?),
            None => None,
        };
        transaction.commit().await?;
        if let Some(term) = term {
            self.term.store(term, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the tables are at least as new as this program needs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Foreign`] or [`StoreError::Unfit`] when they are not, and cannot be made; [`StoreError::Database`]
    /// when the database cannot be asked.
    pub async fn schema_ready(&self) -> Result<bool, StoreError> {
        // One snapshot: what somebody commits meanwhile is seen whole or not at all.
        let mut snapshot = self.pool.begin_snapshot().await?;
        let place = Place::find(&mut snapshot, &self.schema).await?;
        place.demand_usable()?;
        place.demand_adoptable(&mut snapshot).await?;
        Ok(place.is_new_enough())
    }
}
