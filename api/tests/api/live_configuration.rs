//! Edits of the configuration reach the running program.

use crate::harness::{Setup, TestApi, client::form};
use pipeline::document::ReservedUsernames;
use std::time::Duration;

fn delay_of(api: &TestApi, username: &str) -> String {
    api.sql(&format!("SELECT delay, queue, max_retries FROM email_intents WHERE username = '{username}'"))
}

#[tokio::test]
async fn i8_an_edit_changes_new_signups_only() {
    let mut api = TestApi::spawn().await;
    api.signup("alice").await;
    api.edit(|document| {
        document.task.delay = Duration::from_secs(3600);
        document.task.queue = "default".into();
        document.task.max_retries = 0;
    })
    .await;
    api.signup("bobby").await;
    assert_eq!(delay_of(&api, "alice"), "00:00:10|critical|10");
    assert_eq!(delay_of(&api, "bobby"), "01:00:00|default|0");
}

#[tokio::test]
async fn the_rules_of_the_form_and_the_log_level_follow_an_edit() {
    let mut api = TestApi::spawn().await;
    api.edit(|document| {
        document.signup.password_min_length = 15;
        document.observability.log_level = "warn".into();
    })
    .await;
    let answer = api.signup("alice").await;
    assert_eq!(
        answer.json()["details"][0]["field_violations"][0]["description"],
        "must contain from 15-128 characters"
    );
    let mut long = form("alice");
    long["password"] = "fünfzehn Zeichen".into();
    assert_eq!(api.post(long.to_string()).await.status, 200);
    let lines = api.lines("received a HTTP request");
    assert!(lines.len() == 1 && lines[0]["level"] == "WARN", "{lines:?}");
}

#[tokio::test]
async fn a_name_of_the_site_is_free_only_where_an_edit_says_so() {
    let mut api = TestApi::spawn().await;
    let refused = api.signup("postmaster").await;
    let violation = &refused.json()["details"][0]["field_violations"][0];
    assert_eq!((refused.status, violation["field"].as_str()), (400, Some("username")));
    assert_eq!(violation["description"], "is reserved; choose another one");
    api.edit(|document| document.signup.reserved_usernames = ReservedUsernames::Allow).await;
    assert_eq!(api.signup("postmaster").await.status, 200);
}

#[tokio::test]
async fn a_rotated_key_signs_new_codes_old_links_still_work_and_a_broken_rotation_is_refused() {
    let api = TestApi::spawn().await;
    let keys = api.folder().join("keys");
    let key_id = |username: &str| api.sql(&format!("SELECT key_id FROM email_intents WHERE username = '{username}'"));
    api.signup("alice").await;

    std::fs::copy(keys.join("current"), keys.join("previous")).expect("a file");
    std::fs::write(keys.join("current"), "second key of the tests, more than 32 bytes long").expect("a file");
    let mut number = 0;
    let mut rotated = async || {
        number += 1;
        let name = format!("user_{number}");
        api.signup(&name).await;
        key_id(&name) != key_id("alice")
    };
    let start = std::time::Instant::now();
    while !rotated().await {
        assert!(start.elapsed() < crate::harness::PATIENCE, "the new key is not used: {}", api.log());
    }
    let (id, code) = api.link("alice");
    assert_eq!(api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}")).await.status, 200);

    std::fs::write(keys.join("current"), "short-k3y").expect("a file");
    let refused = "failed to reload the verification keys, the previous ones stay in force";
    api.until("told", async || !api.lines(refused).is_empty()).await;
    assert_eq!(api.signup("carol").await.status, 200);
    assert!(!api.log().contains("short-k3y"), "a key is never logged");
}

#[tokio::test]
async fn a_broken_document_is_refused_and_told_on_the_admin_port() {
    let api = TestApi::spawn_with(Setup::new()).await;
    let hash = api.admin("/config").await.json()["hash"].clone();
    std::fs::write(api.folder().join("pipeline.yaml"), "pipeline: broken\n").expect("a file");
    api.until("refused", async || api.admin("/config").await.json().get("refused").is_some()).await;
    assert_eq!(api.admin("/config").await.json()["hash"], hash);
    assert_eq!(api.signup("alice").await.status, 200);
}
