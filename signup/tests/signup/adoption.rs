//! Whose tables are adopted, and that nobody else's are touched.

use crate::fixture::Fixture;
use pipeline::{ForeignTable, Unready};

/// The users of the Go program, as its migrations 2, 4 and 5 leave the table.
const USERS: &str = "CREATE TABLE users (username varchar PRIMARY KEY, hashed_password varchar NOT NULL,
    full_name varchar NOT NULL, email varchar UNIQUE NOT NULL,
    password_changed_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00Z',
    created_at timestamptz NOT NULL DEFAULT now()";

/// An application's own accounts.
const APPLICATION: &str = "CREATE TABLE users (id bigserial PRIMARY KEY, username text, email text, password text,
    created_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO users (username, email, password) VALUES ('a', 'a@example.com', 'x'), ('b', 'a@example.com', 'x')";

/// Every table, column, constraint, trigger and function of the database, as text.
async fn everything(fixture: &Fixture) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable) FROM information_schema.columns
         WHERE table_schema = 'public'
         UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
         ORDER BY 1",
    )
    .fetch_all(&fixture.sql)
    .await
    .expect("the catalogue")
}

#[tokio::test]
async fn tables_of_another_application_are_left_as_they_are_and_named() {
    let go = |more: &str| format!("{USERS}{more})");
    for (tables, table, difference) in [
        (APPLICATION.to_owned(), ForeignTable::Users, "its column username is text"),
        ("CREATE TABLE users (id bigint, name text)".to_owned(), ForeignTable::Users, "it has no column username"),
        (go(", tenant bigint NOT NULL"), ForeignTable::Users, "its column tenant must be given by every INSERT"),
        (
            go("").replace("email varchar UNIQUE", "email varchar"),
            ForeignTable::Users,
            "it has no constraint users_email_key UNIQUE (email)",
        ),
        (go("").replace("varchar PRIMARY", "varchar(20) PRIMARY"), ForeignTable::Users, "character varying(20)"),
        ("CREATE VIEW users AS SELECT 1 AS username".to_owned(), ForeignTable::Users, "its column username is integer"),
        ("CREATE TABLE verify_emails (id bigserial)".to_owned(), ForeignTable::VerifyEmails, "no column username"),
        ("CREATE TABLE email_intents (id uuid)".to_owned(), ForeignTable::EmailIntents, "no such table"),
        (
            "CREATE TABLE _sqlx_migrations AS SELECT 1::bigint AS version, 'x'::bytea AS checksum".to_owned(),
            ForeignTable::Migrations,
            "migrations that are not this service's",
        ),
    ] {
        let fixture = Fixture::without_schema().await;
        fixture.execute(&tables).await;
        let before = everything(&fixture).await;
        for error in [fixture.store.migrate().await.map(|()| false), fixture.store.schema_ready().await] {
            // Where the table of migrations is there, `schema_ready` cannot read its columns at all.
            let Err(error) = error else { panic!("adopted: {tables}") };
            if table == ForeignTable::Migrations && !matches!(error, signup::StoreError::Foreign(_)) {
                continue;
            }
            assert_eq!(error.unready(), Unready::Foreign(table), "{tables}");
            let text = pipeline::chain(&error);
            assert!(text.contains(difference) && text.contains(table.name()), "{text}");
        }
        assert_eq!(everything(&fixture).await, before, "{tables}");
    }
}

#[tokio::test]
async fn every_version_of_the_go_program_is_adopted_and_so_are_more_columns_that_nobody_must_fill() {
    for more in [
        ")",
        ", is_email_verified bool NOT NULL DEFAULT false)",
        ", is_email_verified bool NOT NULL DEFAULT false, role varchar NOT NULL DEFAULT 'depositor')",
        ", phone text, tenant bigint NOT NULL DEFAULT 1, number bigint NOT NULL GENERATED ALWAYS AS IDENTITY)",
    ] {
        let fixture = Fixture::without_schema().await;
        fixture.execute(&format!("{USERS}{more}")).await;
        fixture.store.migrate().await.unwrap_or_else(|error| panic!("{more}: {}", pipeline::chain(&error)));
        fixture.sign_up("alice").await;
    }
}

#[tokio::test]
async fn a_role_that_may_not_create_is_told_as_such() {
    let fixture = Fixture::without_schema().await;
    fixture.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE reader LOGIN PASSWORD 'reader'").await;
    let (_, place) = fixture.uri.split_once('@').expect("a password");
    let store = signup::Store::connect(&format!("postgres://reader:reader@{place}"), None, 2).expect("a URI");
    assert_eq!(store.migrate().await.expect_err("refused").unready(), Unready::MayNotCreate);
}
