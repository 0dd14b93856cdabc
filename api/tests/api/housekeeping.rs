//! What is removed after a while, by a running program, as the configuration in force says.

use crate::harness::{Setup, TestApi};
use std::time::Duration;

/// As if the mail had been sent, and the user had signed up, 31 days ago.
const LONG_AGO: &str = "
    UPDATE email_intents SET state = 'sent', sent_at = now() - interval '31 days';
    UPDATE verify_emails SET expired_at = now() - interval '30 days';
    UPDATE users SET created_at = now() - interval '31 days';
    UPDATE signup_chores SET next_at = '-infinity', is_on_by_default = true";

#[tokio::test]
async fn mails_that_are_over_go_after_30_days_in_a_new_database_and_stay_where_the_configuration_says_so() {
    let setup = Setup::new().with(|document| document.retention.mails = Some(Duration::ZERO));
    let mut api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);
    api.sql(LONG_AGO);
    let kept = "signup_retention_seconds{what=\"mails\"} 0";
    api.until(kept, async || api.admin("/metrics").await.text.lines().any(|line| line == kept)).await;
    assert_eq!(api.stored(), (1, 1));
    let database = api.database();
    api.edit(|document| document.retention.mails = None).await;
    drop(api);
    let api = TestApi::spawn_with(Setup::on(database)).await;
    api.until("removed", async || api.stored() == (1, 0)).await;
    assert_eq!(api.sql("SELECT count(*) FROM verify_emails"), "0");
    let counted = "signup_housekeeping_removed_total{what=\"mails\"} 1";
    api.until(counted, async || api.admin("/metrics").await.text.lines().any(|line| line == counted)).await;
}

#[tokio::test]
async fn users_who_never_verified_stay_unless_the_configuration_says_for_how_long() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    api.sql(LONG_AGO);
    let (database, day) = (api.database(), Duration::from_secs(24 * 3600));
    assert_eq!(api.stored().0, 1);
    drop(api);
    let api =
        TestApi::spawn_with(Setup::on(database).with(|document| document.retention.unverified_users = Some(day))).await;
    api.until("purged", async || api.stored().0 == 0).await;
    assert_eq!(
        api.sql("SELECT event, username, done_by FROM users_audit ORDER BY at"),
        "signup|alice|\npurge|alice|purge"
    );
    assert_eq!(api.signup("alice").await.status, 200, "name and address are free");
}

#[tokio::test]
async fn a_role_that_may_not_delete_serves_signups_and_is_told_what_to_grant() {
    let api = TestApi::spawn().await;
    let database = api.database();
    api.sql(
        "DROP ROLE IF EXISTS cannot_delete; CREATE ROLE cannot_delete LOGIN PASSWORD 'cannot_delete';
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO cannot_delete;
         REVOKE DELETE ON users, email_intents, verify_emails FROM cannot_delete",
    );
    drop(api);
    let (_, place) = database.split_once('@').expect("a password is in it");
    let setup = Setup::on(format!("postgres://cannot_delete:cannot_delete@{place}"))
        .with(|document| document.database.migrations = pipeline::document::Migrations::Manual);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("alice").await.status, 200);
    let told = "nothing is removed for now; it is tried again every minute";
    api.until(told, async || {
        api.lines(told).iter().any(|line| line["error"].to_string().contains("DELETE on the tables"))
    })
    .await;
    assert_eq!(api.readyz().await.0, 200);
}
