//! The schema: on an empty database, over the Go program's, from several replicas at once.

use crate::fixture::{Fixture, new_user};
use signup::{CreateError, VerifyError};

/// The Go program's tables after its five migrations, with rows as it writes them.
const SEED: &str = r#"
CREATE TABLE "users" ("username" varchar PRIMARY KEY, "hashed_password" varchar NOT NULL, "full_name" varchar NOT NULL,
    "email" varchar UNIQUE NOT NULL, "password_changed_at" timestamptz NOT NULL DEFAULT('0001-01-01 00:00:00Z'),
    "created_at" timestamptz NOT NULL DEFAULT (now()), "is_email_verified" bool NOT NULL DEFAULT false,
    "role" varchar NOT NULL DEFAULT 'depositor');
CREATE TABLE "accounts" ("id" bigserial PRIMARY KEY, "owner" varchar NOT NULL REFERENCES "users" ("username"),
    "balance" bigint NOT NULL, "currency" varchar NOT NULL, UNIQUE ("owner", "currency"));
CREATE TABLE "sessions" ("id" uuid PRIMARY KEY, "username" varchar NOT NULL REFERENCES "users" ("username"),
    "refresh_token" varchar NOT NULL, "is_blocked" boolean NOT NULL DEFAULT false, "expires_at" timestamptz NOT NULL);
CREATE TABLE "verify_emails" ("id" bigserial PRIMARY KEY, "username" varchar NOT NULL REFERENCES "users" ("username"),
    "email" varchar NOT NULL, "secret_code" varchar NOT NULL, "is_used" bool NOT NULL DEFAULT false,
    "created_at" timestamptz NOT NULL DEFAULT (now()),
    "expired_at" timestamptz NOT NULL DEFAULT (now() + interval '15 minutes'));
CREATE TABLE "schema_migrations" (version bigint PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO schema_migrations VALUES (5, false);
INSERT INTO users (username, hashed_password, full_name, email, created_at) VALUES
    ('first', '$2a$10$x', 'First', 'Case@Example.com', '2023-01-01Z'),
    ('second', '$2a$10$x', 'Second', 'case@example.com', '2023-01-02Z'),
    ('named', '$2a$10$x', 'Named', 'Name <Named@Example.com>', '2023-01-03Z'),
    ('quoted', '$2a$10$x', 'Quoted', '"Bob"@example.com', '2023-01-04Z'),
    ('escaped', '$2a$10$x', 'Escaped', '"b\ob"@example.com', '2023-01-05Z'),
    ('needs', '$2a$10$x', 'Needs', '"b ob"@example.com', '2023-01-06Z'),
    ('again', '$2a$10$x', 'Again', '"case"@example.com', '2023-01-07Z');
INSERT INTO accounts (owner, balance, currency) VALUES ('first', 7, 'EUR');
INSERT INTO sessions VALUES (gen_random_uuid(), 'first', 'token', false, now());
INSERT INTO verify_emails (username, email, secret_code) VALUES
    ('first', 'Case@Example.com', 'abcdefghijklmnopqrstuvwxyzabcdef');
"#;

#[tokio::test]
async fn an_empty_database_is_ready_after_the_migration_only() {
    let fixture = Fixture::without_schema().await;
    assert!(!fixture.store.schema_ready().await.expect("asked"));
    fixture.store.migrate().await.expect("migrated");
    assert!(fixture.store.schema_ready().await.expect("asked"));
    fixture.store.migrate().await.expect("a second time there is nothing to do");
}

#[tokio::test]
async fn four_replicas_may_migrate_at_once_and_sign_up_right_after() {
    for seed in [SEED, ""] {
        migrate_at_once_over(seed).await;
    }
}

async fn migrate_at_once_over(seed: &str) {
    let fixture = Fixture::with_schema_alone().await;
    fixture.execute(seed).await;
    let replicas = (0..4).map(|number| {
        let store = fixture.another_store();
        let (policy, keys) = (fixture.policy.clone(), fixture.keys.clone());
        tokio::spawn(async move {
            store.migrate().await.expect("migrated");
            let username = format!("replica{number}");
            let new = new_user(&username, &format!("{username}@example.com"));
            store.create_user(&new, &policy, &keys).await.expect("signed up");
        })
    });
    for replica in replicas.collect::<Vec<_>>() {
        replica.await.expect("no replica fails");
    }
}

#[tokio::test]
async fn an_existing_database_of_the_go_program_keeps_its_rows_and_works() {
    let fixture = Fixture::with_schema_alone().await;
    fixture.execute(SEED).await;
    fixture.store.migrate().await.expect("adopted");

    let users: Vec<(String, String, Option<String>)> =
        sqlx::query_as("SELECT username, email, email_canonical FROM users ORDER BY created_at")
            .fetch_all(&fixture.sql)
            .await
            .expect("users");
    let row = |a: &str, b: &str, c: Option<&str>| (a.to_owned(), b.to_owned(), c.map(str::to_owned));
    assert_eq!(
        users,
        [
            row("first", "Case@Example.com", Some("case@example.com")),
            row("second", "case@example.com", None),
            row("named", "Name <Named@Example.com>", Some("named@example.com")),
            row("quoted", "\"Bob\"@example.com", Some("bob@example.com")),
            row("escaped", "\"b\\ob\"@example.com", None),
            row("needs", "\"b ob\"@example.com", Some("\"b ob\"@example.com")),
            row("again", "\"case\"@example.com", None),
        ]
    );
    for (table, rows) in [("accounts", 1i64), ("sessions", 1), ("schema_migrations", 1)] {
        let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(statement).fetch_one(&fixture.sql).await.expect("count"), rows);
    }
    for email in ["CASE@example.com", "named@example.com", "bob@example.com", "\"BOB\"@example.com"] {
        let error = fixture.store.create_user(&new_user("other", email), &fixture.policy, &fixture.keys).await;
        assert!(matches!(error, Err(CreateError::EmailTaken)), "{email}: {error:?}");
    }
    fixture.sign_up("fresh").await;
}

#[tokio::test]
async fn the_database_and_the_service_agree_on_what_one_mailbox_is() {
    let fixture = Fixture::new().await;
    for address in [
        "bob@example.com",
        "B.o'b+{1}@Example.COM",
        "\"bob\"@example.com",
        "\"b\\o\\.b\"@example.com",
        "\"o'b`{|}~!#$%&*/=?^_-\"@x-y.example.com",
    ] {
        let canonical: String = sqlx::query_scalar("SELECT canonical_email($1)")
            .bind(address)
            .fetch_one(&fixture.sql)
            .await
            .expect("a text");
        assert_eq!(canonical, signup::EmailAddress::parse(address).expect(address).canonical(), "{address}");
    }
}

#[tokio::test]
async fn a_link_of_the_go_program_still_verifies_and_its_code_is_no_longer_in_clear() {
    let fixture = Fixture::with_schema_alone().await;
    fixture.execute(SEED).await;
    fixture.store.migrate().await.expect("adopted");
    let clear: Option<String> =
        sqlx::query_scalar("SELECT secret_code FROM verify_emails").fetch_one(&fixture.sql).await.expect("row");
    assert_eq!(clear, None);
    let wrong = fixture.store.verify_email(1, "abcdefghijklmnopqrstuvwxyzabcdeX").await;
    assert!(matches!(wrong, Err(VerifyError::NotFound)), "{wrong:?}");
    fixture.store.verify_email(1, "abcdefghijklmnopqrstuvwxyzabcdef").await.expect("verified");
}

#[tokio::test]
async fn a_go_replica_that_still_runs_can_write_its_rows() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "INSERT INTO users (username, hashed_password, full_name, email)
             VALUES ('go', '$2a$10$x', 'Go', 'Go <Go@Example.com>');
             INSERT INTO verify_emails (username, email, secret_code)
             VALUES ('go', 'Go <Go@Example.com>', 'abcdefghijklmnopqrstuvwxyzabcdef');",
        )
        .await;
    let error = fixture.store.create_user(&new_user("other", "go@example.com"), &fixture.policy, &fixture.keys).await;
    assert!(matches!(error, Err(CreateError::EmailTaken)), "{error:?}");
    fixture.store.verify_email(1, "abcdefghijklmnopqrstuvwxyzabcdef").await.expect("verified");
}

#[tokio::test]
async fn a_schema_newer_than_the_program_is_accepted() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', true, '\\x00', 0)",
        )
        .await;
    fixture.store.migrate().await.expect("accepted");
    assert!(fixture.store.schema_ready().await.expect("asked"));
}

#[tokio::test]
async fn the_database_refuses_states_that_contradict_themselves() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    for assignment in ["state = 'lost'", "state = 'sending'", "state = 'sent'", "failures = 1", "attempts = -1"] {
        let statement = sqlx::AssertSqlSafe(format!("UPDATE email_intents SET {assignment} WHERE id = $1"));
        let error = sqlx::query(statement).bind(id).execute(&fixture.sql).await.expect_err(assignment);
        assert!(error.as_database_error().expect("a refusal").is_check_violation(), "{assignment}: {error}");
    }
}

/// Applies some of the files, by their number.
pub(crate) async fn apply(fixture: &Fixture, which: impl Fn(u32) -> bool) {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).expect("migrations");
    let mut files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        if name.get(..4).and_then(|number| number.parse().ok()).is_some_and(&which) {
            fixture.execute(&std::fs::read_to_string(file).expect("SQL")).await;
        }
    }
}

/// A signup as the program wrote it before migration 13, its mail sent an hour ago or owed.
pub(crate) async fn sign_up_as_before(fixture: &Fixture, username: &str, state: &str) {
    let id = uuid::Uuid::now_v7();
    let code = fixture.keys.current_code(id);
    let signing_up = sqlx::query(
        "WITH new_user AS (
             INSERT INTO users (username, hashed_password, full_name, email, email_canonical)
             VALUES ($1, 'x', 'Old', $1 || '@example.com', $1 || '@example.com') RETURNING username, email
         ), new_intent AS (
             INSERT INTO email_intents (id, kind, username, email, generation, delay, run_at, queue, max_retries,
                                        deadline, timeout, public_url, link_ttl, message_id, key_id, state, sent_at)
             SELECT $2, 'verification', username, email, 1, '0', now(), 'critical', 10, now() + interval '1 day',
                    '30 s', 'https://app.example.com', '24 h', '<x@example.com>', $3, $4,
                    CASE WHEN $4 = 'sent' THEN now() - interval '1 hour' END
             FROM new_user
         )
         INSERT INTO verify_emails (id, username, email, intent_id, secret_hash, key_id, expired_at)
         SELECT nextval('verify_emails_id_seq'), username, email, $2, $5, $3, 'infinity' FROM new_user",
    );
    let signing_up = signing_up.bind(username).bind(id).bind(fixture.keys.current_id()).bind(state);
    signing_up.bind(code.hash().to_vec()).execute(&fixture.sql).await.expect("signed up");
}

#[tokio::test]
async fn mails_of_the_version_before_have_digits_and_are_sent_and_asked_for_anew() {
    let fixture = Fixture::with_schema_alone().await;
    apply(&fixture, |number| number != 13).await;
    sign_up_as_before(&fixture, "sent", "sent").await;
    sign_up_as_before(&fixture, "owed", "waiting").await;
    apply(&fixture, |number| number == 13).await;
    // What a replica of that version goes on to write.
    sign_up_as_before(&fixture, "sent_later", "sent").await;
    sign_up_as_before(&fixture, "owed_later", "waiting").await;

    for name in ["sent", "owed", "sent_later", "owed_later"] {
        let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM email_intents WHERE username = $1")
            .bind(name)
            .fetch_one(&fixture.sql)
            .await
            .expect("an intent");
        match name.starts_with("owed") {
            true => assert_eq!(fixture.lease(id).await.locale, None),
            false => drop(fixture.resent(name).await),
        }
        let digits = fixture.keys.digits(fixture.keys.current_id(), id).expect("the key is there");
        let username = signup::Username::parse(name).expect("a name");
        fixture.store.verify_digits(&username, digits, &fixture.keys).await.expect("verified");
    }
}
