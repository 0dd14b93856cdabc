//! `worker users delete`: what goes, what it says, and whom it leaves alone.

use crate::fixture::Fixture;
use clap::Parser as _;
use serde_json::Value;
use std::process::ExitCode;
use worker::{
    config::{self, Config},
    users::{self, UsersError},
};

/// Runs the command with these words.
async fn run(fixture: &Fixture, words: &[&str]) -> Result<(String, ExitCode), UsersError> {
    let config = Config::try_parse_from(["worker", "users", "delete"].iter().chain(words)).expect("good words");
    let Some(config::Command::Users(arguments)) = config.command else { panic!("the command is there") };
    users::run(&fixture.live, &arguments).await
}

#[tokio::test]
async fn a_deleted_user_gets_no_mail_and_a_dry_run_says_the_same_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    let (text, code) = run(&fixture, &["alice1", "--dry-run"]).await.expect("the database answers");
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(
        text,
        "user alice1 (not verified) would be deleted; mails owed and would be cancelled: 1, over and kept without name \
         and address: 0, links ended: 1\n"
    );
    assert_ne!(fixture.value("state", created.intent.id).await, "cancelled");
    let (text, code) = run(&fixture, &["alice1", "--json"]).await.expect("the database answers");
    let said: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&said["deleted"], &said["mailsOwed"], code), (&true.into(), &1.into(), ExitCode::SUCCESS));
    assert_eq!(fixture.run(&created).await, Ok(()), "nothing is owed any more");
    assert!(fixture.inbox.messages().is_empty());
    let (text, code) = run(&fixture, &["alice1"]).await.expect("the database answers");
    assert_eq!((text.as_str(), code), ("there is no user alice1\n", ExitCode::FAILURE));
}

#[tokio::test]
async fn another_pipelines_users_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice1").await;
    sqlx::query("UPDATE pipeline_owner SET pipeline = 'shop/a'").execute(&fixture.sql).await.expect("one row");
    let refused = run(&fixture, &["alice1"]).await.expect_err("refused").to_string();
    assert!(refused.starts_with("the database belongs to pipeline shop/a;"), "{refused}");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&fixture.sql).await.expect("a number");
    assert_eq!(left, 1);
}
