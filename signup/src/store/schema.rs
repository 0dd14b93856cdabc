//! The schema that the tables are in.
//!
//! Takes: the name in `database.schema`, or none. Gives: statements with that name in them: they write `schema.users`,
//! and here `schema.` becomes `"the name".`, or nothing. Does not: set a `search_path` for them. A pooler in
//! transaction mode gives each transaction another connection, on which it would not be set.

use sqlx::AssertSqlSafe;
use std::sync::Arc;

/// What stands for the schema in every statement.
const MARK: &str = "schema.";

/// Where the tables are.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    name: Option<Arc<str>>,
    /// `"name".`; empty: the role's `search_path` decides.
    prefix: Arc<str>,
}

impl Schema {
    pub(super) fn new(name: Option<&str>) -> Self {
        let prefix = name.map(|name| format!("{}.", quoted(name))).unwrap_or_default();
        Self { name: name.map(Arc::from), prefix: prefix.into() }
    }

    /// The name, where one is set.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What stands before a table's name in a statement.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The statement with the schema's name. Safe: what is put in is a quoted identifier.
    pub(super) fn sql(&self, statement: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(statement.replace(MARK, &self.prefix))
    }
}

/// A name as an identifier of SQL: with its letters' case and whatever marks it has.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_schema_before_each_table_and_nowhere_else() {
        let statement = "SELECT users.email FROM schema.users JOIN schema.refusals ON true";
        for (name, expected) in [
            (None, "SELECT users.email FROM users JOIN refusals ON true"),
            (Some("Sign-Up"), "SELECT users.email FROM \"Sign-Up\".users JOIN \"Sign-Up\".refusals ON true"),
            (Some("a\"b"), "SELECT users.email FROM \"a\"\"b\".users JOIN \"a\"\"b\".refusals ON true"),
        ] {
            assert_eq!(Schema::new(name).sql(statement).0, expected);
        }
    }
}
