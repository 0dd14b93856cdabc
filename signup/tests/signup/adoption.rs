//! Whose tables are adopted, and that nobody else's are touched.

use crate::fixture::{ANOTHER_APPLICATION, Fixture};
use pipeline::Unready;
use signup::Store;

/// The users of the Go program, as its migrations 2, 4 and 5 leave the table.
const USERS: &str = "CREATE TABLE users (username varchar PRIMARY KEY, hashed_password varchar NOT NULL,
    full_name varchar NOT NULL, email varchar UNIQUE NOT NULL,
    password_changed_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00Z',
    created_at timestamptz NOT NULL DEFAULT now()";

/// Its links, since migration 4.
const VERIFY_EMAILS: &str = "CREATE TABLE verify_emails (id bigserial PRIMARY KEY,
    username varchar NOT NULL REFERENCES users (username), email varchar NOT NULL, secret_code varchar NOT NULL,
    is_used bool NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now(),
    expired_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes'";

fn go(more: &str) -> String {
    format!("{USERS}{more}); {VERIFY_EMAILS});")
}

/// Tables and the like, what is told of them, and how they differ from the Go program's.
fn foreign_tables() -> Vec<(String, &'static str, &'static str)> {
    let beside = |more: &str| format!("{} {more}", go(""));
    vec![
        (ANOTHER_APPLICATION.to_owned(), "table _sqlx_migrations", "migrations that are not this service's"),
        ("CREATE TABLE users (id bigserial PRIMARY KEY, username text)".into(), "table users", "username is text"),
        ("CREATE TABLE users (id bigint, name text)".into(), "table users", "it has no column username"),
        (go(", tenant bigint NOT NULL"), "table users", "its column tenant must be given by every INSERT"),
        (
            go("").replace("email varchar UNIQUE", "email varchar"),
            "table users",
            "it has no constraint users_email_key UNIQUE (email)",
        ),
        (go("").replace("username varchar PRIMARY", "username varchar(20) PRIMARY"), "table users", "varying(20)"),
        (go(", verified_at date"), "table users", "it has a column verified_at of its own"),
        (go(", email_canonical varchar"), "table users", "it has a column email_canonical of its own"),
        ("CREATE VIEW users AS SELECT 1 AS username".into(), "view users", "only a plain table"),
        (
            "CREATE TABLE users (username varchar PRIMARY KEY) PARTITION BY HASH (username)".into(),
            "partitioned table users",
            "only a plain table",
        ),
        (beside("ALTER TABLE users ENABLE ROW LEVEL SECURITY"), "table users", "row level security"),
        ("CREATE TABLE verify_emails (id bigserial)".into(), "table verify_emails", "no column username"),
        ("CREATE TABLE email_intents (id uuid)".into(), "table email_intents", "no such table"),
        ("CREATE TABLE refusals (id uuid)".into(), "table refusals", "no such table"),
        ("CREATE TYPE refusals AS ENUM ('a')".into(), "type refusals", "cannot be made beside it"),
        (beside("CREATE INDEX verify_emails_username_idx ON verify_emails (email)"), "index verify_emails_", "index"),
        (
            beside("ALTER TABLE users ADD CONSTRAINT users_email_canonical_key UNIQUE (full_name)"),
            "index users_email_canonical_key",
            "no such index",
        ),
        (
            "CREATE FUNCTION canonical_email(text) RETURNS text LANGUAGE sql RETURN $1".into(),
            "function canonical_email",
            "no such function",
        ),
        (
            beside(
                "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                 CREATE TRIGGER users_forget_deleted AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION noted()",
            ),
            "trigger users_forget_deleted",
            "no such trigger",
        ),
        (
            "CREATE TABLE _sqlx_migrations AS SELECT 1::bigint AS version, 'x'::bytea AS checksum".into(),
            "table _sqlx_migrations",
            "it has other columns",
        ),
    ]
}

#[tokio::test]
async fn tables_of_another_application_are_left_as_they_are_and_named() {
    for (tables, what, difference) in foreign_tables() {
        let fixture = Fixture::with_schema_alone().await;
        fixture.execute(&tables).await;
        let before = fixture.everything(&Fixture::schema()).await;
        for error in [fixture.store.migrate().await.map(|()| false), fixture.store.schema_ready().await] {
            let Err(error) = error else { panic!("adopted: {tables}") };
            let Unready::Foreign(told) = error.unready() else { panic!("{tables}: {error:?}") };
            assert!(told.starts_with(what), "{tables}: {told}");
            let text = pipeline::chain(&error);
            assert!(text.contains(difference) && text.contains(what), "{text}");
        }
        assert_eq!(fixture.everything(&Fixture::schema()).await, before, "{tables}");
    }
}

#[tokio::test]
async fn every_version_of_the_go_program_is_adopted_and_so_are_more_columns_that_nobody_must_fill() {
    let migration_2 = format!("{USERS});");
    let migration_4 = go(", is_email_verified bool NOT NULL DEFAULT false");
    let migration_5 = go(", is_email_verified bool NOT NULL DEFAULT false, role varchar NOT NULL DEFAULT 'depositor'");
    let more =
        go(", phone text, tenant bigint NOT NULL DEFAULT 1, number bigint NOT NULL GENERATED ALWAYS AS IDENTITY");
    let later = go(", verified_at timestamptz");
    for tables in [migration_2, migration_4, migration_5, more, later] {
        let fixture = Fixture::with_schema_alone().await;
        fixture.execute(&tables).await;
        fixture.store.migrate().await.unwrap_or_else(|error| panic!("{tables}: {}", pipeline::chain(&error)));
        fixture.sign_up("alice").await;
    }
}

/// What a store may not do, and the statement that mends it, for that role.
async fn forbidden(store: &Store, role: &str) -> (String, String) {
    match store.migrate().await.expect_err("refused").unready() {
        Unready::Forbidden { what, needs } => (what, needs.replace("<role>", role)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_that_may_not_create_is_told_the_statement_that_lets_it() {
    let fixture = Fixture::with_schema_alone().await;
    fixture.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let store = fixture.store_of("newcomer").await;
    let (what, needs) = forbidden(&store, "newcomer").await;
    assert_eq!(what, format!("create tables in the schema {}", Fixture::schema()));
    assert_eq!(needs, format!("GRANT CREATE, USAGE ON SCHEMA {} TO newcomer", Fixture::schema()));
    fixture.execute(&needs).await;
    store.migrate().await.expect("it may now");
    assert!(store.schema_ready().await.expect("asked"));
    store.usable().await.expect("all is there");
}

#[tokio::test]
async fn a_role_that_does_not_own_the_go_programs_tables_is_told_the_statement_that_lets_it() {
    let fixture = Fixture::with_schema_alone().await;
    fixture.execute(&go("")).await;
    let store = fixture.store_of("heir").await;
    fixture.execute(&format!("GRANT CREATE, USAGE ON SCHEMA {} TO heir", Fixture::schema())).await;
    let before = fixture.everything(&Fixture::schema()).await;
    for table in ["users", "verify_emails"] {
        let (what, needs) = forbidden(&store, "heir").await;
        assert_eq!(what, format!("change the table {table}"));
        assert_eq!(needs, format!("ALTER TABLE {}.{table} OWNER TO heir", Fixture::schema()));
        if table == "users" {
            assert_eq!(fixture.everything(&Fixture::schema()).await, before);
        }
        fixture.execute(&needs).await;
    }
    store.migrate().await.expect("it may now");
}

#[tokio::test]
async fn names_that_the_migrations_make_are_all_known() {
    let fixture = Fixture::new().await;
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'i')
         UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = to_regnamespace($1)
         UNION ALL SELECT tgname::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
         WHERE relnamespace = to_regnamespace($1) AND NOT tgisinternal AND relname IN ('users', 'verify_emails')
         UNION ALL SELECT attname::text FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
         WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND attnum > 0 AND relname <> '_sqlx_migrations'",
    )
    .bind(Fixture::schema())
    .fetch_all(&fixture.sql)
    .await
    .expect("the catalogue");
    let known = include_str!("../../src/store/ours.rs");
    for name in made.iter().filter(|name| !name.starts_with("_sqlx_migrations")) {
        assert!(
            ["\"", "(", "?", "!"].iter().any(|end| known.contains(&format!("\"{name}{end}"))),
            "ours.rs lacks {name}"
        );
    }
}
