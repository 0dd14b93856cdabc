//! Another application lives in the same database: the whole thread beside it, and not a byte of it changes.

use pipeline_tests::{Options, Outcome, PATIENCE, Pipeline};

/// An application's own accounts and migrations, under names of ours, with a trigger that would refuse any change.
const APPLICATION: &str = "
    CREATE TABLE users (id bigserial PRIMARY KEY, username text, email text, password text,
        created_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO users (username, email, password) VALUES ('a', 'a@example.com', 'x'), ('b', 'a@example.com', 'x');
    CREATE TABLE verify_emails (id bigserial PRIMARY KEY, user_id bigint REFERENCES users (id));
    CREATE TABLE refusals (id bigint);
    CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, checksum bytea NOT NULL);
    INSERT INTO _sqlx_migrations VALUES (1, 'x');
    CREATE FUNCTION stamp_email_intent() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yours''; END';
    CREATE TRIGGER users_forget_deleted BEFORE UPDATE OR DELETE ON users FOR EACH ROW
        EXECUTE FUNCTION stamp_email_intent();";

#[tokio::test]
async fn a_pipeline_in_a_schema_of_its_own_changes_no_byte_of_the_application_beside_it() {
    let pipeline = Pipeline::start(Options::new().apis(2).workers(2).beside(APPLICATION, "Sign-Up")).await;
    assert!(pipeline.neighbour.contains("a@example.com"), "{}", pipeline.neighbour);
    let attempts = pipeline.sign_up(20, 4).await;
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    pipeline.settle(PATIENCE).await;
    let report = pipeline.check().await;
    report.assert_exactly_one_mail_each();
    assert_eq!(report.users, 20);
    assert_eq!(pipeline.neighbour_now(), pipeline.neighbour);
}
