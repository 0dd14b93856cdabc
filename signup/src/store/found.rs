//! What stands in a schema under names of ours.
//!
//! Takes: the name of a schema. Gives: the tables, columns, constraints and other objects that the migrations would
//! meet there, and whether they can be adopted. Does not: read rows.

use super::{
    ours::{FUNCTIONS, GO_TABLES, GoTable, RELATIONS, TABLES},
    pool::Work,
};
use sqlx::Row as _;
use std::collections::{BTreeMap, HashSet};

/// Something of the database that another application owns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is another application's: {difference}")]
pub struct Foreign {
    /// What it is and its name, such as `table users`.
    pub what: String,
    /// The first thing about it that is not as ours.
    pub difference: String,
}

impl Foreign {
    pub(super) fn new(what: impl Into<String>, difference: impl Into<String>) -> Self {
        Self { what: what.into(), difference: difference.into() }
    }
}

/// Objects by name.
pub(super) struct Found {
    tables: BTreeMap<String, Table>,
    /// What would be in the way of an object of ours: what it is, and why that cannot be.
    taken: Vec<Foreign>,
}

#[derive(Default)]
struct Table {
    columns: BTreeMap<String, Column>,
    /// Names with definitions.
    constraints: HashSet<(String, String)>,
}

struct Column {
    type_name: String,
    /// An INSERT may leave it out.
    is_optional: bool,
    /// An INSERT may give it NULL.
    is_nullable: bool,
}

impl Found {
    /// Looks. The transaction's `search_path` must be that schema, for definitions name other schemas.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(super) async fn look(transaction: &mut Work, schema: &str) -> Result<Self, sqlx::Error> {
        let mut tables = columns(transaction, schema).await?;
        for (table, name, definition) in constraints(transaction, schema).await? {
            tables.entry(table).or_default().constraints.insert((name, definition));
        }
        Ok(Self { tables, taken: taken(transaction, schema).await? })
    }

    /// Whether the migrations may run over it.
    ///
    /// # Errors
    ///
    /// The first thing that is another application's.
    pub(super) fn judge(self) -> Result<(), Foreign> {
        let Self { tables, taken } = self;
        // Indexes of a table that is adopted have the names of ours.
        let adopted = |what: &str| GO_TABLES.iter().filter(|go| tables.contains_key(go.name)).any(|go| go.has(what));
        if let Some(foreign) = taken.into_iter().find(|foreign| !adopted(&foreign.what)) {
            return Err(foreign);
        }
        GO_TABLES.iter().filter_map(|go| Some((tables.get(go.name)?, go))).try_for_each(|(found, go)| found.judge(go))
    }
}

impl GoTable {
    /// Whether that is one of its own constraints' indexes.
    fn has(&self, what: &str) -> bool {
        self.constraints.iter().any(|(name, _)| what.strip_prefix("index ") == Some(name))
    }
}

impl Table {
    fn judge(&self, go: &GoTable) -> Result<(), Foreign> {
        let foreign = |difference: String| Err(Foreign::new(format!("table {}", go.name), difference));
        for (name, type_name) in go.columns {
            let required = name.trim_end_matches('?');
            match self.columns.get(required) {
                Some(column) if column.type_name == *type_name => {}
                Some(column) => return foreign(format!("its column {required} is {}", column.type_name)),
                None if required != *name => {}
                None => return foreign(format!("it has no column {required}")),
            }
        }
        for (name, type_name) in go.added {
            let plain = name.trim_end_matches('!');
            match self.columns.get(plain) {
                Some(column) if plain != *name || column.type_name != *type_name || !column.is_nullable => {
                    return foreign(format!("it has a column {plain} of its own"));
                }
                _ => {}
            }
        }
        let is_known = |name: &String| go.columns.iter().any(|(known, _)| known.trim_end_matches('?') == name);
        if let Some((name, _)) = self.columns.iter().find(|(name, column)| !column.is_optional && !is_known(name)) {
            return foreign(format!("its column {name} must be given by every INSERT"));
        }
        for (name, definition) in go.constraints {
            if !self.constraints.contains(&((*name).to_owned(), (*definition).to_owned())) {
                return foreign(format!("it has no constraint {name} {definition}"));
            }
        }
        Ok(())
    }
}

async fn columns(transaction: &mut Work, schema: &str) -> Result<BTreeMap<String, Table>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT relname::text, attname::text, format_type(atttypid, atttypmod) AS type_name,
                NOT attnotnull OR atthasdef OR attidentity <> '' AS is_optional,
                NOT attnotnull AND attgenerated = '' AND attidentity = '' AS is_nullable
         FROM pg_class
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
         WHERE nspname = $1 AND relname = ANY($2)",
    )
    .bind(schema)
    .bind(GO_TABLES.iter().map(|go| go.name).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await?;
    let mut tables = BTreeMap::<String, Table>::new();
    for row in rows {
        let column = Column {
            type_name: row.try_get("type_name")?,
            is_optional: row.try_get("is_optional")?,
            is_nullable: row.try_get("is_nullable")?,
        };
        tables.entry(row.try_get("relname")?).or_default().columns.insert(row.try_get("attname")?, column);
    }
    Ok(tables)
}

async fn constraints(transaction: &mut Work, schema: &str) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT relname::text, conname::text, pg_get_constraintdef(pg_constraint.oid)
         FROM pg_constraint
         JOIN pg_class ON pg_class.oid = conrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = $1 AND relname = ANY($2)",
    )
    .bind(schema)
    .bind(GO_TABLES.iter().map(|go| go.name).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await
}

/// Everything under a name of ours but tables of the Go program's names that are ordinary tables.
async fn taken(transaction: &mut Work, schema: &str) -> Result<Vec<Foreign>, sqlx::Error> {
    let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let parts: Vec<&str> = GO_TABLES.iter().flat_map(|go| go.parts).copied().collect();
    let rows: Vec<(String, String)> = sqlx::query_as(TAKEN)
        .bind(schema)
        .bind(&tables)
        .bind(&RELATIONS[..])
        .bind(&FUNCTIONS[..])
        .bind(&parts)
        .fetch_all(&mut *transaction)
        .await?;
    Ok(rows.into_iter().map(|(what, difference)| Foreign::new(what, difference)).collect())
}

const TAKEN: &str = "
WITH place AS (
    SELECT oid FROM pg_namespace WHERE nspname = $1
), relation AS (
    SELECT pg_class.oid, relname::text AS name, relrowsecurity, CASE relkind
               WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
               WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
               WHEN 'c' THEN 'type' ELSE 'index'
           END AS kind
    FROM pg_class JOIN place ON place.oid = relnamespace
)
SELECT kind || ' ' || name AS what, 'only a plain table can be the Go program''s' AS difference
FROM relation WHERE name IN ('users', 'verify_emails') AND kind <> 'table'
UNION ALL
SELECT 'table ' || name, 'row level security is on'
FROM relation WHERE name IN ('users', 'verify_emails') AND relrowsecurity
UNION ALL
SELECT kind || ' ' || name, 'the Go program has no such ' || kind FROM relation WHERE name = ANY($3)
UNION ALL
SELECT 'type ' || typname, 'a table of this name cannot be made beside it'
FROM pg_type JOIN place ON place.oid = typnamespace
WHERE typname = ANY($2) AND typrelid = 0
UNION ALL
SELECT 'function ' || proname, 'the Go program has no such function'
FROM pg_proc JOIN place ON place.oid = pronamespace
WHERE proname || '(' || oidvectortypes(proargtypes) || ')' = ANY($4)
UNION ALL
SELECT 'trigger ' || tgname, 'the Go program has no such trigger'
FROM pg_trigger JOIN relation ON relation.oid = tgrelid
WHERE tgname = ANY($5) AND relation.name IN ('users', 'verify_emails')
UNION ALL
SELECT 'constraint ' || conname, 'the Go program has no such constraint'
FROM pg_constraint JOIN relation ON relation.oid = conrelid
WHERE conname = ANY($5) AND relation.name IN ('users', 'verify_emails')";
