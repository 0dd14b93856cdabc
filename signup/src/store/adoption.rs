//! Whether what stands where our tables go may be ours.
//!
//! Takes: a database before the migrations. Gives: the [`Place`] where the tables are or go, and nothing to say, or
//! what is in the way. Does not: change anything; it is asked before the first statement that does.
//!
//! Two kinds of tables are adopted: our own, known by the checksum of one of our migrations, and those of the Go
//! program (simplebank, migrations 2 to 5), known by columns, types, key and names of constraints. More columns are
//! fine where an INSERT may leave them out. Everything else belongs to an application that would be harmed.

use super::{
    StoreError,
    found::{Foreign, Found},
    ours::{MIGRATIONS, TABLES},
    pool::Work,
    schema::Schema,
};
use pipeline::Unready;
use sqlx::migrate::Migration;

/// The schema where our tables are or go.
pub(super) struct Place {
    pub(super) name: String,
    /// The name as SQL wants it.
    quoted: String,
    /// Whether the schema exists.
    pub(super) is_there: bool,
    may_use: bool,
    /// Whether the role may make tables in it; the schema itself, where it is missing.
    may_create: bool,
    encoding: String,
    applied: Applied,
}

/// What the table of migrations says.
enum Applied {
    /// There is none, or it is empty.
    Nothing,
    /// Versions and checksums, one of them ours at least.
    Ours(Vec<(i64, Vec<u8>)>),
    /// It is another application's.
    Foreign(&'static str),
}

/// Encodings that hold every name. SQL_ASCII keeps the bytes that it is given, which are UTF-8.
const ENCODINGS: [&str; 2] = ["UTF8", "SQL_ASCII"];

impl Place {
    /// Looks at the schema of that name; without a name at the one that the role's `search_path` leads to. From here to
    /// its end the transaction's `search_path` is that schema.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] when the path leads nowhere; [`StoreError::Database`].
    pub(super) async fn find(transaction: &mut Work, schema: &Schema) -> Result<Self, StoreError> {
        if let Some(name) = schema.name() {
            return Self::describe(transaction, name).await;
        }
        let (first, migrated): (Option<String>, Option<String>) = sqlx::query_as(
            "SELECT current_schema()::text,
                    (SELECT nspname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                     WHERE pg_class.oid = to_regclass('_sqlx_migrations'))",
        )
        .fetch_one(&mut *transaction)
        .await?;
        // Tables that were made before another schema came first in the path stay where they are.
        if let Some(name) = migrated.filter(|name| Some(name) != first.as_ref()) {
            let place = Self::describe(transaction, &name).await?;
            if matches!(place.applied, Applied::Ours(_)) {
                return Ok(place);
            }
        }
        let Some(name) = first else { return Err(StoreError::Unfit(nowhere())) };
        Self::describe(transaction, &name).await
    }

    async fn describe(transaction: &mut Work, name: &str) -> Result<Self, StoreError> {
        let (quoted, is_there, may_use, may_create, encoding) = sqlx::query_as(
            "SELECT quote_ident($1), oid IS NOT NULL, coalesce(has_schema_privilege(oid, 'USAGE'), false),
                    coalesce(has_schema_privilege(oid, 'CREATE'), has_database_privilege(current_database(), 'CREATE')),
                    getdatabaseencoding()::text,
                    set_config('search_path', quote_ident($1) || ', pg_temp', true)
             FROM (VALUES ($1)) AS wanted (name) LEFT JOIN pg_namespace ON nspname = name",
        )
        .bind(name)
        .fetch_one(&mut *transaction)
        .await
        .map(|(quoted, is_there, may_use, may_create, encoding, _): (String, _, _, _, _, String)| {
            (quoted, is_there, may_use, may_create, encoding)
        })?;
        let applied = if may_use { applied(transaction, &quoted).await? } else { Applied::Nothing };
        Ok(Self { name: name.to_owned(), quoted, is_there, may_use, may_create, encoding, applied })
    }

    /// Whether every migration of this program was applied as it is.
    pub(super) fn is_up_to_date(&self) -> bool {
        let Applied::Ours(applied) = &self.applied else { return false };
        MIGRATIONS.iter().all(|ours| applied.iter().any(|one| is(one, ours)))
    }

    /// Whether the migrations are as new as this program's, whoever applied them.
    pub(super) fn is_new_enough(&self) -> bool {
        let Applied::Ours(applied) = &self.applied else { return false };
        applied.iter().map(|(version, _)| *version).max() >= MIGRATIONS.iter().map(|ours| ours.version).max()
    }

    /// Demands that nothing is in the way that is neither ours nor the Go program's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Foreign`], [`StoreError::Unfit`]; [`StoreError::Database`] when it cannot be asked.
    pub(super) async fn demand_adoptable(&self, transaction: &mut Work) -> Result<(), StoreError> {
        match &self.applied {
            Applied::Ours(_) => return Ok(()),
            Applied::Foreign(difference) => return Err(Foreign::new("table _sqlx_migrations", *difference).into()),
            Applied::Nothing => {}
        }
        if !ENCODINGS.contains(&self.encoding.as_str()) {
            return Err(StoreError::Unfit(Unready::Encoding(self.encoding.clone())));
        }
        Ok(Found::look(transaction, &self.name).await?.judge()?)
    }

    /// Demands that the role may look into the schema.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] with the statement that is missing.
    pub(super) fn demand_usable(&self) -> Result<(), StoreError> {
        if self.may_use || !self.is_there {
            return Ok(());
        }
        let needs = format!("GRANT USAGE ON SCHEMA {} TO <role>", self.quoted);
        forbidden(format!("use the schema {}", self.quoted), needs)
    }

    /// Demands that the role may do what the migrations do.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] with the statement that is missing; [`StoreError::Database`] when it cannot be asked.
    pub(super) async fn demand_privileges(&self, transaction: &mut Work) -> Result<(), StoreError> {
        let quoted = &self.quoted;
        if !self.may_create && !self.is_there {
            let needs = format!(
                "GRANT CREATE ON DATABASE <database> TO <role>, or CREATE SCHEMA {quoted} AUTHORIZATION <role>"
            );
            return forbidden(format!("make the schema {quoted}"), needs);
        }
        if !(self.may_create && (self.may_use || !self.is_there)) {
            let needs = format!("GRANT CREATE, USAGE ON SCHEMA {quoted} TO <role>");
            return forbidden(format!("create tables in the schema {quoted}"), needs);
        }
        let not_owned: Option<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
             WHERE nspname = $1 AND relname = ANY($2) AND NOT pg_has_role(relowner, 'USAGE')
             ORDER BY 1 LIMIT 1",
        )
        .bind(&self.name)
        .bind(TABLES.iter().map(|table| table.name).collect::<Vec<_>>())
        .fetch_optional(&mut *transaction)
        .await?;
        match not_owned {
            Some(table) => {
                forbidden(format!("change the table {table}"), format!("ALTER TABLE {quoted}.{table} OWNER TO <role>"))
            }
            None => Ok(()),
        }
    }
}

fn forbidden(what: String, needs: String) -> Result<(), StoreError> {
    Err(StoreError::Unfit(Unready::Forbidden { what, needs }))
}

/// No schema of the role's `search_path` exists, or none that it may use.
fn nowhere() -> Unready {
    Unready::Forbidden {
        what: "use a schema of its search_path".to_owned(),
        needs: "GRANT CREATE, USAGE ON SCHEMA public TO <role>, or spec.database.schema".to_owned(),
    }
}

/// Reads the table of migrations of the schema that the transaction's `search_path` names.
async fn applied(transaction: &mut Work, quoted: &str) -> Result<Applied, StoreError> {
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL), has_table_privilege(attrelid, 'SELECT')
         FROM pg_attribute WHERE attrelid = to_regclass('_sqlx_migrations') AND attnum > 0 AND NOT attisdropped",
    )
    .fetch_all(&mut *transaction)
    .await?;
    if columns.is_empty() {
        return Ok(Applied::Nothing);
    }
    let has = |(name, type_name): &(&str, &str)| columns.iter().any(|(n, t, _)| n == name && t == type_name);
    if ![("version", "bigint"), ("checksum", "bytea"), ("success", "boolean")].iter().all(has) {
        return Ok(Applied::Foreign("it has other columns"));
    }
    if !columns.iter().all(|(.., may_read)| *may_read) {
        let needs = format!("GRANT SELECT ON {quoted}._sqlx_migrations TO <role>");
        forbidden("read the table _sqlx_migrations".to_owned(), needs)?;
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
        .fetch_all(&mut *transaction)
        .await?;
    if applied.is_empty() {
        return Ok(Applied::Nothing);
    }
    if applied.iter().any(|one| MIGRATIONS.iter().any(|ours| is(one, ours))) {
        return Ok(Applied::Ours(applied));
    }
    Ok(Applied::Foreign("it holds migrations that are not this service's"))
}

fn is((version, checksum): &(i64, Vec<u8>), ours: &Migration) -> bool {
    ours.version == *version && *ours.checksum == **checksum
}
