//! What is missing from a database that was migrated once, by name, for as long as it is missing.

use crate::fixture::Fixture;
use pipeline::Unready;
use signup::Store;

/// The words of readiness; empty when all is well.
async fn told(store: &Store) -> String {
    store.usable().await.err().map(|error| error.unready().to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_table_or_column_that_goes_is_named_until_it_is_back() {
    let fixture = Fixture::new().await;
    assert_eq!(told(&fixture.store).await, "");
    for (goes, comes_back, expected) in [
        (
            "ALTER TABLE users RENAME COLUMN hashed_password TO password",
            "ALTER TABLE users RENAME COLUMN password TO hashed_password",
            "the database lacks the column users.hashed_password",
        ),
        (
            "ALTER TABLE refusals RENAME TO refused",
            "ALTER TABLE refused RENAME TO refusals",
            "the database lacks the table refusals",
        ),
    ] {
        fixture.execute(goes).await;
        assert_eq!(told(&fixture.store).await, expected);
        fixture.execute(comes_back).await;
        assert_eq!(told(&fixture.store).await, "");
    }
}

#[tokio::test]
async fn a_privilege_that_is_taken_is_named_with_the_statement_that_gives_it_back() {
    let fixture = Fixture::new().await;
    let (schema, store) = (Fixture::schema(), fixture.store_of("clerk").await);
    fixture
        .execute(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO clerk; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO clerk"
        ))
        .await;
    assert_eq!(told(&store).await, "");
    for (takes, may_not) in [
        (format!("REVOKE INSERT ON {schema}.users FROM clerk"), "INSERT in the table users"),
        (format!("REVOKE DELETE ON {schema}.refusals FROM clerk"), "DELETE in the table refusals"),
        (
            format!("ALTER TABLE {schema}.email_intents ENABLE ROW LEVEL SECURITY"),
            "see any row of the table email_intents",
        ),
    ] {
        fixture.execute(&takes).await;
        let Err(error) = store.usable().await else { panic!("{takes}: it may still") };
        let Unready::Forbidden { what, needs } = error.unready() else { panic!("{takes}: {error:?}") };
        assert_eq!(what, may_not);
        let (_, statement) = needs.split_once(": ").unwrap_or(("", needs.as_str()));
        fixture.execute(&statement.replace("<role>", "clerk")).await;
        assert_eq!(told(&store).await, "", "{needs}");
    }
}

#[tokio::test]
async fn a_statement_that_fails_for_the_schema_is_no_silence() {
    let fixture = Fixture::new().await;
    fixture.execute("ALTER TABLE verify_emails RENAME COLUMN is_used TO used").await;
    let error = fixture.store.verify_email(1, "code").await.expect_err("no such column");
    let unready = signup::store::unready(&error).expect("an error of the database");
    assert!(unready.is_about_content(), "{unready}");
    fixture.execute("ALTER TABLE email_intents RENAME TO mails").await;
    let error = fixture.store.counts().await.expect_err("no such table");
    assert!(matches!(error.unready(), Unready::Missing(what) if what.starts_with("table")));
}
