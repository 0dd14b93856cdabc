//! Whether the tables that stand where ours go may be ours.
//!
//! Takes: a database that our migrations have not touched yet. Gives: nothing to say, or the [`Foreign`] table and how
//! it differs. Does not: change anything; it is asked before the first statement that does.
//!
//! Two kinds of tables are adopted: our own, known by the checksum of the first migration, and those of the Go program
//! (simplebank, migrations 2 to 5), known by columns, types, key and names of constraints. More columns are fine where
//! an INSERT may leave them out. Everything else belongs to an application that would be harmed.

use super::{MIGRATIONS, Store, StoreError};
use pipeline::ForeignTable;
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::{HashMap, HashSet};

/// A table that another application owns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table {} is another application's: {difference}", table.name())]
pub struct Foreign {
    /// Which one.
    pub table: ForeignTable,
    /// The first thing that the Go program's table of that name has otherwise.
    pub difference: String,
}

/// Columns of the Go program, `?` after those that not all of its versions have.
const COLUMNS: [(ForeignTable, &[(&str, &str)]); 2] = [
    (
        ForeignTable::Users,
        &[
            ("username", "character varying"),
            ("hashed_password", "character varying"),
            ("full_name", "character varying"),
            ("email", "character varying"),
            ("password_changed_at", "timestamp with time zone"),
            ("created_at", "timestamp with time zone"),
            ("is_email_verified?", "boolean"),
            ("role?", "character varying"),
        ],
    ),
    (
        ForeignTable::VerifyEmails,
        &[
            ("id", "bigint"),
            ("username", "character varying"),
            ("email", "character varying"),
            ("secret_code", "character varying"),
            ("is_used", "boolean"),
            ("created_at", "timestamp with time zone"),
            ("expired_at", "timestamp with time zone"),
        ],
    ),
];

/// Constraints of the Go program: later migrations of ours name them.
const CONSTRAINTS: [(ForeignTable, &str, &str); 4] = [
    (ForeignTable::Users, "users_pkey", "PRIMARY KEY (username)"),
    (ForeignTable::Users, "users_email_key", "UNIQUE (email)"),
    (ForeignTable::VerifyEmails, "verify_emails_pkey", "PRIMARY KEY (id)"),
    (ForeignTable::VerifyEmails, "verify_emails_username_fkey", "FOREIGN KEY (username) REFERENCES users(username)"),
];

struct Column {
    type_name: String,
    /// An INSERT may leave it out.
    is_optional: bool,
}

impl Store {
    /// Asks whether migrations may run here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Foreign`]; [`StoreError::Database`] when it cannot be asked.
    pub(super) async fn adoptable(&self) -> Result<(), StoreError> {
        // One snapshot: what another replica commits meanwhile is seen whole or not at all.
        let mut snapshot = self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        if is_ours(&mut snapshot).await? {
            return Ok(());
        }
        let columns = columns(&mut snapshot).await?;
        let constraints = constraints(&mut snapshot).await?;
        Ok(judge(&columns, &constraints)?)
    }
}

/// Whether one of our migrations was applied.
async fn is_ours(snapshot: &mut Transaction<'_, Postgres>) -> Result<bool, StoreError> {
    let is_there = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                        WHERE nspname = current_schema() AND relname = '_sqlx_migrations')",
    );
    if !is_there.fetch_one(&mut **snapshot).await? {
        return Ok(false);
    }
    let applied = sqlx::query_as::<_, (i64, Vec<u8>)>("SELECT version, checksum FROM _sqlx_migrations")
        .fetch_all(&mut **snapshot)
        .await?;
    let is_known = |(version, checksum): &(i64, Vec<u8>)| {
        MIGRATIONS.iter().any(|ours| ours.version == *version && *ours.checksum == **checksum)
    };
    if !applied.is_empty() && !applied.iter().any(is_known) {
        let difference = "it holds migrations that are not this service's".to_owned();
        return Err(Foreign { table: ForeignTable::Migrations, difference }.into());
    }
    Ok(!applied.is_empty())
}

type Columns = HashMap<String, HashMap<String, Column>>;

async fn columns(snapshot: &mut Transaction<'_, Postgres>) -> Result<Columns, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT relname::text, attname::text, format_type(atttypid, atttypmod) AS type_name,
                NOT attnotnull OR atthasdef OR attidentity <> '' AS is_optional
         FROM pg_class
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
         WHERE nspname = current_schema() AND relname IN ('users', 'verify_emails', 'email_intents')",
    )
    .fetch_all(&mut **snapshot)
    .await?;
    let mut found = Columns::new();
    for row in rows {
        let column = Column { type_name: row.try_get("type_name")?, is_optional: row.try_get("is_optional")? };
        found.entry(row.try_get("relname")?).or_default().insert(row.try_get("attname")?, column);
    }
    Ok(found)
}

async fn constraints(snapshot: &mut Transaction<'_, Postgres>) -> Result<HashSet<(String, String)>, sqlx::Error> {
    let rows = sqlx::query_as::<_, (String, String)>(
        "SELECT conname::text, pg_get_constraintdef(pg_constraint.oid)
         FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
         WHERE nspname = current_schema()",
    );
    Ok(rows.fetch_all(&mut **snapshot).await?.into_iter().collect())
}

fn judge(columns: &Columns, constraints: &HashSet<(String, String)>) -> Result<(), Foreign> {
    let foreign = |table: ForeignTable, difference: String| Err(Foreign { table, difference });
    if columns.contains_key(ForeignTable::EmailIntents.name()) {
        return foreign(ForeignTable::EmailIntents, "the Go program has no such table".to_owned());
    }
    for (table, expected) in COLUMNS {
        let Some(found) = columns.get(table.name()) else { continue };
        for (name, type_name) in expected {
            let required = name.trim_end_matches('?');
            match found.get(required) {
                Some(column) if column.type_name == *type_name => {}
                Some(column) => return foreign(table, format!("its column {required} is {}", column.type_name)),
                None if required != *name => {}
                None => return foreign(table, format!("it has no column {required}")),
            }
        }
        let is_known = |name: &String| expected.iter().any(|(known, _)| known.trim_end_matches('?') == name);
        let mut demanded: Vec<&String> = found
            .iter()
            .filter(|(name, column)| !column.is_optional && !is_known(name))
            .map(|(name, _)| name)
            .collect();
        demanded.sort();
        if let Some(name) = demanded.first() {
            return foreign(table, format!("its column {name} must be given by every INSERT"));
        }
        for (_, name, definition) in CONSTRAINTS.iter().filter(|(of, ..)| *of == table) {
            if !constraints.contains(&((*name).to_owned(), (*definition).to_owned())) {
                return foreign(table, format!("it has no constraint {name} {definition}"));
            }
        }
    }
    Ok(())
}
