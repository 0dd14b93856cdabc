//! The tables in a schema of their own, and what becomes of a program whose tables change under it.

use crate::harness::{Setup, TestApi, sql};
use pipeline::document::Migrations;

#[tokio::test]
async fn a_column_that_goes_is_named_by_log_and_readiness_until_it_is_back() {
    let setup = Setup::new().with(|document| document.database.schema = Some("Sign-Up".into()));
    let database = setup.database.clone();
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);

    sql(&database, "ALTER TABLE \"Sign-Up\".users RENAME COLUMN hashed_password TO password");
    let unavailable = (503, 14, "database is unavailable, try again".into());
    assert_eq!(api.signup("bobby").await.error(), unavailable);
    let told = "the database lacks the column users.hashed_password";
    assert_eq!(api.readyz().await, (503, format!("not ready: {told}\n")));
    api.until("logged", async || !api.lines(&format!("not ready: {told}")).is_empty()).await;
    let failed = "failed to answer a request: the database lacks the column that a statement names";
    assert_eq!(api.lines(failed).len(), 1, "{}", api.log());

    sql(&database, "ALTER TABLE \"Sign-Up\".users RENAME COLUMN password TO hashed_password");
    api.until("ready again", async || api.readyz().await.0 == 200 && !api.lines("ready again").is_empty()).await;
    assert_eq!(api.signup("bobby").await.status, 200);
}

#[tokio::test]
async fn an_applications_users_are_left_alone_and_a_schema_beside_them_is_used() {
    let database = servers::postgres().create_database().expect("a database");
    sql(&database, "CREATE TABLE users (id bigserial PRIMARY KEY, username text, email text, password text)");
    for migrations in [Migrations::Auto, Migrations::Manual] {
        let api =
            TestApi::start(Setup::on(database.clone()).with(|document| document.database.migrations = migrations))
                .await;
        let told = "not ready: the table users is another application's\n".to_owned();
        api.until("told", async || api.readyz().await == (503, told.clone())).await;
        assert_eq!(api.signup("alice").await.error().0, 503);
    }
    let setup = Setup::on(database.clone()).with(|document| document.database.schema = Some("signup".into()));
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);
    let tables =
        "SELECT schemaname, count(*) FROM pg_tables WHERE schemaname IN ('public', 'signup') GROUP BY 1 ORDER BY 1";
    assert_eq!(sql(&database, tables), "public|1\nsignup|14");
}
