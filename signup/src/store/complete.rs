//! Whether all that the statements name is there still, and the role may use it.
//!
//! Takes: a database that was migrated once. Gives: nothing to say, or the first thing that is missing, by name. Does
//! not: wait for a statement to fail; it reads the catalogue, in one round trip.

use super::{Store, StoreError, ours::TABLES, schema::quoted};
use pipeline::Unready;

/// The first thing that is missing: what kind, of what table (or the schema), and its own name.
#[derive(sqlx::FromRow)]
struct Problem {
    kind: String,
    relation: String,
    name: String,
}

impl Store {
    /// Asks for a sign of life, and whether the database is as the migrations left it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] with the name of what is missing, or as [`ping`](Self::ping); [`StoreError::Database`].
    pub async fn usable(&self) -> Result<(), StoreError> {
        self.ping().await?;
        let columns = || TABLES.iter().flat_map(|table| table.columns.iter().map(|column| (table.name, *column)));
        let privileges = || TABLES.iter().flat_map(|table| table.privileges.iter().map(|one| (table.name, *one)));
        let (tables, names): (Vec<_>, Vec<_>) = columns().unzip();
        let (granted_on, granted): (Vec<_>, Vec<_>) = privileges().unzip();
        let problem: Option<Problem> = sqlx::query_as(PROBLEM)
            .bind(self.schema.name())
            .bind(TABLES.iter().map(|table| table.name).collect::<Vec<_>>())
            .bind(tables)
            .bind(names)
            .bind(granted_on)
            .bind(granted)
            .fetch_optional(&self.probe)
            .await?;
        problem.map_or(Ok(()), |problem| Err(StoreError::Unfit(self.told(problem))))
    }

    fn told(&self, Problem { kind, relation, name }: Problem) -> Unready {
        let table = format!("{}{relation}", self.schema.prefix());
        let forbidden = |what: String, needs: String| Unready::Forbidden { what, needs };
        match kind.as_str() {
            "schema" => Unready::Missing(format!("schema {}", quoted(&relation))),
            "usage" => {
                let schema = quoted(&relation);
                forbidden(format!("use the schema {schema}"), format!("GRANT USAGE ON SCHEMA {schema} TO <role>"))
            }
            "table" => Unready::Missing(format!("table {relation}")),
            "column" => Unready::Missing(format!("column {relation}.{name}")),
            "rows" => forbidden(
                format!("see any row of the table {relation}"),
                format!(
                    "a policy, for row level security is on: CREATE POLICY signup ON {table} TO <role> USING (true)"
                ),
            ),
            _ => forbidden(format!("{name} in the table {relation}"), format!("GRANT {name} ON {table} TO <role>")),
        }
    }
}

/// Without a schema's name (`$1`) tables are looked for as the statements look for them: along the `search_path`. A
/// role may have a privilege for some columns alone. Row level security without a policy hides every row.
const PROBLEM: &str = "
WITH place AS (
    SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname = $1
), tables AS (
    SELECT name, number, CASE
               WHEN $1::text IS NULL THEN to_regclass(name)::oid
               ELSE (SELECT pg_class.oid FROM pg_class JOIN place ON place.oid = relnamespace
                     WHERE relname = wanted.name)
           END AS oid
    FROM unnest($2::text[]) WITH ORDINALITY AS wanted (name, number)
), present AS (
    SELECT * FROM tables WHERE oid IS NOT NULL
), problems AS (
    SELECT 1 AS rank, 1 AS number, 'schema' AS kind, $1 AS relation, '' AS name
    WHERE $1 IS NOT NULL AND NOT EXISTS (SELECT FROM place)
    UNION ALL
    SELECT 2, 1, 'usage', name, '' FROM place WHERE NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT 3, number, 'table', name, '' FROM tables WHERE oid IS NULL
    UNION ALL
    SELECT 4, needed.number, 'column', name, attribute
    FROM present JOIN unnest($3::text[], $4::text[]) WITH ORDINALITY AS needed (name, attribute, number) USING (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = present.oid AND attname = attribute AND attnum > 0 AND NOT attisdropped
    )
    UNION ALL
    SELECT 5, needed.number, 'privilege', name, privilege
    FROM present JOIN unnest($5::text[], $6::text[]) WITH ORDINALITY AS needed (name, privilege, number) USING (name)
    WHERE NOT CASE privilege
                  WHEN 'DELETE' THEN has_table_privilege(oid, privilege)
                  ELSE has_any_column_privilege(oid, privilege)
              END
    UNION ALL
    SELECT 6, number, 'rows', name, ''
    FROM present WHERE row_security_active(oid) AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = present.oid)
)
SELECT kind, relation, name FROM problems ORDER BY rank, number LIMIT 1";
