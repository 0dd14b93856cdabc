//! PostgreSQL comes and goes, Redis may never come: what that means for readiness and for signups.

use crate::harness::{Setup, TestApi, proxy::Proxy, sql, tasks::Tasks};
use pipeline::document::Migrations;
use servers::Postgres;

/// Nothing listens on port 1.
const NO_REDIS: &str = "redis://127.0.0.1:1/0";

#[tokio::test]
async fn i9_without_redis_the_program_is_ready_and_signups_succeed() {
    let mut setup = Setup::new().with(|document| document.task.delay = std::time::Duration::ZERO);
    setup.redis = NO_REDIS.into();
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);
    assert_eq!(api.readyz().await.0, 200);
    assert_eq!(api.stored(), (1, 1));
    assert_eq!(api.sql("SELECT state FROM email_intents"), "waiting", "the mail is still owed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_the_program_lives_unready_and_recovers_by_itself() {
    let mut postgres = Postgres::start().expect("a server of its own");
    let api = TestApi::spawn_with(Setup::on(postgres.create_database().expect("a database"))).await;
    assert_eq!(api.signup("alice").await.status, 200);

    postgres.stop();
    let answer = api.signup("bobby").await;
    assert_eq!(answer.error(), (503, 14, "database is unavailable, try again".into()));
    assert_eq!(answer.header("retry-after"), "1");
    let link = format!("/v1/verify_email?email_id=1&secret_code={}", "a".repeat(32));
    assert_eq!(api.get(&link).await.status, 503);
    assert!(api.get(&link.replace("/v1", "")).await.status == 200, "the page needs no database");
    let page = api.post_form("/verify_email", format!("email_id=1&secret_code={}", "a".repeat(32))).await;
    assert!(page.status == 503 && page.text.contains("Please try again"), "{}", page.text);
    assert_eq!(page.header("retry-after"), "1");
    let (status, reason) = api.readyz().await;
    assert!(status == 503 && reason.contains("PostgreSQL"), "{reason}");
    assert_eq!(api.admin("/livez").await.status, 200);

    postgres.start_again().expect("the server comes back");
    api.until("ready again", async || api.readyz().await.0 == 200).await;
    assert_eq!(api.signup("bobby").await.status, 200);
    assert_eq!(api.stored(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_postgresql_that_vanished_without_a_word_signups_and_their_mails_turn_to_its_successor() {
    let proxy = Proxy::before(&servers::postgres().create_database().expect("a database")).await;
    // As many as wait for an answer that never comes.
    let setup = Setup::on(proxy.uri()).with(|document| document.database.max_connections_per_pod = 2);
    let tasks = Tasks::new(&setup.redis);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);
    tasks.until(&api, "the first mail is handed over", |queue| queue.scheduled == 1).await;

    proxy.silence();
    api.until("signups again", async || api.signup("bobby").await.status == 200).await;
    tasks.until(&api, "the second mail is handed over", |queue| queue.scheduled == 2).await;
    api.until("ready", async || api.readyz().await.0 == 200).await;
}

#[tokio::test]
async fn readiness_is_told_while_all_connections_but_its_own_are_busy() {
    let api = TestApi::spawn_with(Setup::new().with(|document| document.database.max_connections_per_pod = 2)).await;
    let lock = api.lock_users().await;
    let (signup, readiness) = tokio::join!(api.signup("alice"), async {
        api.until_a_signup_waits().await;
        let readiness = api.readyz().await;
        lock.release();
        readiness
    });
    assert_eq!(signup.status, 200, "{signup:?}");
    assert_eq!(readiness.0, 200, "{readiness:?}");
}

#[tokio::test]
async fn readiness_tells_a_wrong_password_and_a_missing_database_apart_without_naming_them() {
    let uri = servers::postgres().create_database().expect("a database");
    let (_, place) = uri.split_once('@').expect("our servers have passwords");
    let (server, _) = uri.rsplit_once('/').expect("a database");
    for (uri, expected) in [
        (format!("postgres://postgres:canary@{place}"), "not ready: PostgreSQL refuses the user or the password\n"),
        (format!("{server}/absent"), "not ready: PostgreSQL has no database of that name\n"),
        (
            format!("{uri}?sslmode=require"),
            "not ready: PostgreSQL offers no TLS, and its URI or authority demands it\n",
        ),
    ] {
        let api = TestApi::start(Setup::on(uri)).await;
        assert_eq!(api.readyz().await, (503, expected.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_starts_before_postgresql_migrates_when_it_comes() {
    let mut postgres = Postgres::start().expect("a server of its own");
    let database = postgres.create_database().expect("a database");
    postgres.stop();
    let api = TestApi::start(Setup::on(database)).await;
    api.until("told", async || !api.lines("failed to prepare the database, trying again").is_empty()).await;
    assert_eq!(api.admin("/livez").await.status, 200);
    assert_eq!(api.readyz().await.0, 503);
    assert_eq!(api.signup("alice").await.error().0, 503);
    postgres.start_again().expect("the server comes back");
    api.until("ready", async || api.readyz().await.0 == 200).await;
    assert_eq!(api.lines("db migrated successfully").len(), 1);
    assert_eq!(api.signup("alice").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_migrate_once() {
    let database = servers::postgres().create_database().expect("a database");
    let replicas = futures::future::join_all((0..5).map(|_| TestApi::spawn_with(Setup::on(database.clone())))).await;
    for replica in &replicas {
        assert_eq!(replica.lines("db migrated successfully").len(), 1);
        assert!(replica.lines("failed to prepare the database, trying again").is_empty(), "{}", replica.log());
    }
    let names: Vec<String> = (0..replicas.len()).map(|number| format!("user_{number}")).collect();
    for (replica, name) in replicas.iter().zip(&names) {
        assert_eq!(replica.signup(name).await.status, 200);
    }
    assert_eq!(
        sql(&database, "SELECT count(*) = count(DISTINCT version) AND bool_and(success) FROM _sqlx_migrations"),
        "t"
    );
}

#[tokio::test]
async fn with_manual_migrations_the_program_waits_for_somebody_elses_schema() {
    let database = servers::postgres().create_database().expect("a database");
    let manual = Setup::on(database.clone()).with(|document| document.database.migrations = Migrations::Manual);
    let api = TestApi::start(manual).await;
    let told = "the database lacks the schema; apply migrations/ (database.migrations: Manual)";
    api.until("told", async || !api.lines(told).is_empty()).await;
    let (status, reason) = api.readyz().await;
    assert!(status == 503 && reason.contains("schema"), "{reason}");
    assert_eq!(api.signup("alice").await.error(), (503, 14, "database is unavailable, try again".into()));
    assert_eq!(sql(&database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");

    let _migrating = TestApi::spawn_with(Setup::on(database)).await;
    api.until("ready", async || api.readyz().await.0 == 200).await;
    assert_eq!(api.signup("alice").await.status, 200);
}

#[tokio::test]
async fn a_database_of_the_go_program_is_adopted_and_its_users_are_known() {
    let database = servers::postgres().create_database().expect("a database");
    let seed = "
        CREATE TABLE users (username varchar PRIMARY KEY, hashed_password varchar NOT NULL, full_name varchar NOT NULL,
            email varchar UNIQUE NOT NULL, password_changed_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00Z',
            created_at timestamptz NOT NULL DEFAULT now(), is_email_verified bool NOT NULL DEFAULT false);
        CREATE TABLE verify_emails (id bigserial PRIMARY KEY, username varchar NOT NULL REFERENCES users (username),
            email varchar NOT NULL, secret_code varchar NOT NULL, is_used bool NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT now(),
            expired_at timestamptz NOT NULL DEFAULT now() + interval '15 minutes');
        INSERT INTO users (username, hashed_password, full_name, email)
        VALUES ('alice', '$2a$10$x', 'Alice', 'a@go.test');
        INSERT INTO verify_emails (username, email, secret_code) VALUES ('alice', 'a@go.test', repeat('k', 32))";
    sql(&database, seed);
    let api = TestApi::spawn_with(Setup::on(database)).await;
    assert_eq!(api.signup("alice").await.error(), (409, 6, "username already exists".into()));
    let answer = api.get(&format!("/v1/verify_email?email_id=1&secret_code={}", "k".repeat(32))).await;
    assert_eq!(answer.status, 200, "a link the Go program mailed still works: {answer:?}");
}
