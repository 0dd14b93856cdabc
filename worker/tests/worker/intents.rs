//! `worker intents`: what it lists, what it puts back and gives up, and what it refuses to.

use crate::fixture::Fixture;
use clap::Parser as _;
use inbox::{Phase, Rule};
use serde_json::Value;
use signup::Created;
use std::{
    process::{Command, ExitCode},
    time::Duration,
};
use worker::{
    config::{self, Config},
    intents::{self, IntentsError},
};

/// Runs the command with these words.
async fn run(fixture: &Fixture, words: &[&str]) -> Result<(String, ExitCode), IntentsError> {
    let config = Config::try_parse_from(["worker", "intents"].iter().chain(words)).expect("good words");
    let Some(config::Command::Intents(arguments)) = config.command else { panic!("the command is there") };
    intents::run(&fixture.live, &arguments).await
}

/// The same in JSON.
async fn in_json(fixture: &Fixture, words: &[&str]) -> Vec<Value> {
    let (text, _) = run(fixture, &[words, &["--json"]].concat()).await.expect("the database answers");
    serde_json::from_str(&text).expect("a list")
}

/// A mail that the server refused for good.
async fn refused(fixture: &Fixture, username: &str) -> Created {
    let created = fixture.sign_up(username).await;
    let words = format!("5.1.1 <{username}@example.com> unknown");
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 550, &words)]).expect("a good rule");
    fixture.run(&created).await.expect_err("refused");
    fixture.inbox.rules([]).expect("no rule");
    created
}

#[tokio::test]
async fn another_pipelines_mails_are_neither_listed_nor_changed() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice1").await;
    sqlx::query("UPDATE pipeline_owner SET pipeline = 'shop/a'").execute(&fixture.sql).await.expect("one row");
    for words in [&["list"][..], &["cancel", "--state", "waiting"]] {
        let refused = run(&fixture, words).await.expect_err("refused").to_string();
        assert!(refused.starts_with("the database belongs to pipeline shop/a;"), "{refused}");
    }
}

#[tokio::test]
async fn an_intent_put_back_is_sent_once_with_the_same_message_id_and_code() {
    let fixture = Fixture::new().await;
    let created = refused(&fixture, "alice1").await;
    let id = created.intent.id;
    fixture.set("deadline = clock_timestamp() - interval '1 day', max_retries = 3", id).await;
    let (text, code) = run(&fixture, &["retry", &id.to_string()]).await.expect("the database answers");
    assert_eq!((text.lines().last(), code), (Some("1 of 1 put back"), ExitCode::SUCCESS), "{text}");
    let row = "state || ' ' || attempts || ' ' || failures || ' ' || crash_count || ' ' ||
               (deadline - clock_timestamp() BETWEEN interval '71 hours' AND interval '72 hours')";
    assert_eq!(fixture.value(row, id).await, "waiting 0 0 0 true");

    assert_eq!(fixture.run(&created).await, Ok(()));
    assert_eq!(fixture.run(&created).await, Ok(()), "nothing is owed any more");
    let messages = fixture.inbox.messages();
    assert_eq!((messages.len(), messages[0].message_id.as_str()), (1, &*format!("{id}@example.com")));
    let code = fixture.keys().current_code(id);
    assert!(messages[0].text.as_deref().is_some_and(|text| text.contains(code.as_str())));
    let lives = "(SELECT expired_at BETWEEN clock_timestamp() AND clock_timestamp() + link_ttl
                  FROM verify_emails WHERE intent_id = email_intents.id)";
    assert_eq!(fixture.value(lives, id).await, "true", "the time of the link begins with the accepted mail");
}

#[tokio::test]
async fn a_mail_that_was_given_up_or_cancelled_by_hand_can_be_put_back() {
    let fixture = Fixture::new().await;
    let dead = fixture.sign_up("alice1").await;
    fixture.set("state = 'dead', attempts = 3, failures = 3, last_class = 'transient'", dead.intent.id).await;
    let cancelled = fixture.sign_up("bob1").await;
    let changed = in_json(&fixture, &["cancel", &cancelled.intent.id.to_string()]).await;
    assert_eq!((&changed[0]["changed"], &changed[0]["result"]), (&true.into(), &"cancelled".into()));
    assert_eq!(fixture.run(&cancelled).await, Ok(()), "nothing is owed any more");
    assert!(fixture.inbox.messages().is_empty());

    run(&fixture, &["retry", "--state", "dead,cancelled"]).await.expect("the database answers");
    for created in [&dead, &cancelled] {
        let ends = "(SELECT expired_at = 'infinity' FROM verify_emails WHERE intent_id = email_intents.id)";
        assert_eq!(fixture.value(ends, created.intent.id).await, "true", "the link's time begins anew");
        assert_eq!(fixture.run(created).await, Ok(()));
    }
    assert_eq!(fixture.inbox.messages().len(), 2);
}

#[tokio::test]
async fn what_nobody_needs_or_somebody_works_on_is_left_alone_and_says_why() {
    let fixture = Fixture::new().await;
    let sql = async |statement: &'static str| {
        sqlx::query(statement).execute(&fixture.sql).await.expect("it is carried out");
    };
    let verified = refused(&fixture, "verified").await;
    sql("UPDATE users SET is_email_verified = true WHERE username = 'verified'").await;
    let deleted = refused(&fixture, "deleted").await;
    sql("DELETE FROM users WHERE username = 'deleted'").await;
    let moved = refused(&fixture, "moved").await;
    sql("UPDATE users SET email = 'new@example.com' WHERE username = 'moved'").await;
    let changed = fixture.sign_up("changed").await;
    fixture.set("state = 'cancelled', last_class = 'verified'", changed.intent.id).await;
    let owed = fixture.sign_up("owed").await;
    let sent = fixture.sign_up("sent").await;
    assert_eq!(fixture.run(&sent).await, Ok(()));
    let sending = fixture.sign_up("sending").await;
    fixture.store.lease(sending.intent.id, "a worker", Duration::from_secs(60)).await.expect("a lease");
    for (verb, created, reason) in [
        ("retry", &verified, "not put back: the user is verified already"),
        ("retry", &deleted, "not put back: the user is deleted"),
        ("retry", &moved, "not put back: the user has another address now"),
        ("retry", &changed, "not put back: the service cancelled it; only what a person cancelled can be put back"),
        ("retry", &owed, "not put back: the mail is owed already"),
        ("retry", &sent, "not put back: the mail server took the mail"),
        ("cancel", &sent, "not cancelled: the mail server took the mail"),
        ("cancel", &sending, "not cancelled: a worker is sending the mail right now"),
        ("cancel", &verified, "not cancelled: nothing is owed any more"),
    ] {
        let id = created.intent.id.to_string();
        let before = fixture.value("to_jsonb(email_intents)", created.intent.id).await;
        let changed = in_json(&fixture, &[verb, &id]).await;
        assert_eq!((&changed[0]["changed"], &changed[0]["result"]), (&false.into(), &reason.into()));
        assert_eq!(fixture.value("to_jsonb(email_intents)", created.intent.id).await, before);
        let (_, code) = run(&fixture, &[verb, &id]).await.expect("the database answers");
        assert_eq!(code, ExitCode::FAILURE);
    }
    let unknown = in_json(&fixture, &["retry", "00000000-0000-7000-8000-000000000001"]).await;
    assert_eq!(unknown[0]["result"], "not put back: there is no such intent");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let refused = refused(&fixture, "alice1").await;
    let owed = fixture.sign_up("bob1").await;
    for (verb, created, result) in [("retry", &refused, "would be put back"), ("cancel", &owed, "would be cancelled")] {
        let before = fixture.value("to_jsonb(email_intents)", created.intent.id).await;
        let changed = in_json(&fixture, &[verb, "--dry-run", &created.intent.id.to_string()]).await;
        assert_eq!((&changed[0]["changed"], &changed[0]["result"]), (&false.into(), &result.into()));
        assert_eq!(fixture.value("to_jsonb(email_intents)", created.intent.id).await, before);
    }
}

#[tokio::test]
async fn nothing_is_changed_where_nothing_was_chosen() {
    let fixture = Fixture::new().await;
    for words in [&["retry"][..], &["cancel", "--limit", "5"]] {
        assert!(matches!(run(&fixture, words).await, Err(IntentsError::NothingChosen)), "{words:?}");
    }
}

#[tokio::test]
async fn intents_are_chosen_by_state_class_age_and_domain() {
    let fixture = Fixture::new().await;
    let old = refused(&fixture, "old1").await;
    fixture.set("created_at = clock_timestamp() - interval '3 hours'", old.intent.id).await;
    refused(&fixture, "new1").await;
    fixture.sign_up("owed1").await;
    let elsewhere = signup::EmailAddress::parse("far1@Elsewhere.example").expect("an address");
    fixture.sign_up_as("far1", elsewhere).await;
    for (words, expected) in [
        (&[][..], &["far1", "owed1", "new1", "old1"][..]),
        (&["--state", "refused"], &["new1", "old1"]),
        (&["--state", "refused,waiting", "--limit", "2"], &["far1", "owed1"]),
        (&["--class", "permanent", "--since", "2h"], &["new1"]),
        (&["--since", "2020-01-01T00:00:00Z", "--class", "permanent"], &["new1", "old1"]),
        (&["--domain", "elsewhere.EXAMPLE"], &["far1"]),
    ] {
        let listed = in_json(&fixture, &[&["list"], words].concat()).await;
        let names: Vec<&str> = listed.iter().filter_map(|record| record["username"].as_str()).collect();
        assert_eq!(names, expected, "{words:?}");
    }
}

#[tokio::test]
async fn addresses_are_masked_wherever_they_stand_unless_they_are_asked_for() {
    let fixture = Fixture::new().await;
    let id = refused(&fixture, "alice1").await.intent.id.to_string();
    for words in
        [&["list"][..], &["list", "--json"], &["show", &id], &["show", "--json", &id], &["retry", "--dry-run", &id]]
    {
        let (text, _) = run(&fixture, words).await.expect("the database answers");
        assert!(!text.contains("alice1@example.com") && text.contains("a***@e***.com"), "{words:?}: {text}");
        let (text, _) = run(&fixture, &[words, &["--show-addresses"]].concat()).await.expect("the database answers");
        assert!(text.contains("alice1@example.com"), "{words:?}: {text}");
    }
    let (text, _) = run(&fixture, &["show", &id]).await.expect("the database answers");
    assert!(text.contains("550 5.1.1 <***@e***.com> unknown"), "{text}");
}

#[tokio::test]
async fn the_program_prints_a_table_and_says_by_its_exit_code_whether_what_was_named_is_done() {
    let fixture = Fixture::new().await;
    let id = refused(&fixture, "alice1").await.intent.id.to_string();
    let program = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg("intents").args(words).arg("--config").arg(fixture.path("pipeline.yaml"));
        let output = command.output().expect("it runs");
        (String::from_utf8(output.stdout).expect("UTF-8"), output.status.code())
    };
    let (table, code) = program(&["list", "--state", "refused"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "STATE", "CLASS", "ATTEMPTS", "SIGNED", "UP", "USER", "ADDRESS"]);
    assert_eq!((lines[1][0], &lines[1][1..4], code), (&*id, &["refused", "permanent", "1"][..], Some(0)));
    assert_eq!(program(&["retry", &id]).1, Some(0));
    assert_eq!(program(&["retry", &id]).1, Some(1), "it is owed already");
}

#[tokio::test]
async fn a_mail_put_back_is_found_by_the_relay_at_once() {
    let fixture = Fixture::new().await;
    let created = refused(&fixture, "alice1").await;
    run(&fixture, &["retry", "--state", "refused"]).await.expect("the database answers");
    let claim = fixture.store.claim_waiting(10, Duration::ZERO).await.expect("the database answers");
    assert_eq!(claim.intents().iter().map(|intent| intent.id).collect::<Vec<_>>(), [created.intent.id]);
}
