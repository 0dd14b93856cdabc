//! What became of a mail, as whoever signed up is told by a token.

use crate::{
    grpc::{call, create},
    harness::{CANARY, PATIENCE, Setup, TestApi, client::Answer, client::form, client::read_to_end},
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use tokio::time::timeout;

const PATH: &str = "/v1/delivery_state";

/// Sets the state of all mails.
const SENT: &str = "UPDATE email_intents SET state = 'sent', sent_at = now(), lease_owner = NULL, lease_until = NULL";

async fn state(api: &TestApi, token: &str, query: &str) -> Answer {
    api.send_with(Method::GET, &format!("{PATH}{query}"), &[("signup-token", token)], "").await
}

fn token_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.header("signup-token");
    assert!(token.len() > 30, "{answer:?}");
    token.to_owned()
}

async fn signed_up(api: &TestApi, username: &str) -> String {
    token_of(&api.signup(username).await)
}

/// A request to wait for another state than `queued`, as bytes.
fn waiting(token: &str) -> Vec<u8> {
    format!("GET {PATH}?after=queued HTTP/1.1\r\nHost: x\r\nSignup-Token: {token}\r\n\r\n").into_bytes()
}

async fn until_so_many_wait(api: &TestApi, count: usize) {
    let gauge = format!("\nsignup_delivery_waits {count}\n");
    api.until("they wait", async || api.admin("/metrics").await.text.contains(&gauge)).await;
}

#[tokio::test]
async fn whoever_signed_up_sees_what_became_of_the_mail() {
    let setup = Setup::new()
        .with(|document| document.signup.allowed_origins = vec!["https://app.example.com".parse().expect("an origin")]);
    let api = TestApi::spawn_with(setup).await;
    let headers = [("origin", "https://app.example.com"), ("idempotency-key", "k")];
    let signup = async || api.send_with(Method::POST, "/v1/create_user", &headers, form("alice").to_string()).await;
    let (first, again) = (signup().await, signup().await);
    let token = token_of(&first);
    assert_eq!((token_of(&again), &again.text), (token.clone(), &first.text), "the answer under a key has it, too");
    assert!(first.header("access-control-expose-headers").contains("signup-token"), "{first:?}");

    let answer = state(&api, &token, "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"state": "queued"})));
    assert_eq!(answer.header("cache-control"), "no-store");
    api.sql(SENT);
    assert_eq!(state(&api, &token, "").await.json(), json!({"state": "sent"}));

    let correction = json!({"username": "alice", "password": form("alice")["password"], "email": "b@canary.test"});
    let corrected = api.correct(&correction).await;
    assert_eq!(token_of(&corrected), token);
    assert_eq!(state(&api, &token, "?after=sent").await.json(), json!({"state": "queued"}));
    let (id, code) = api.link("alice");
    assert_eq!(api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}")).await.status, 200);
    assert_eq!(state(&api, &token, "?after=verified").await.json(), json!({"state": "verified"}), "no wait");
    assert!(!api.log().contains(&token));
    assert!(!api.sql("SELECT * FROM users, email_intents, idempotency_keys").contains(&token));
}

#[tokio::test]
async fn a_token_that_is_nobodys_tells_nothing() {
    let api = TestApi::spawn().await;
    let token = signed_up(&api, "alice").await;
    let forged = token.chars().rev().collect::<String>();
    for unknown in [forged.as_str(), "alice", "", &"A".repeat(1000)] {
        let answer = state(&api, unknown, "").await;
        assert_eq!(answer.error(), (404, 5, "signup token is unknown".into()), "{unknown}");
        assert_eq!(answer.json()["details"][0]["reason"], "TOKEN_UNKNOWN");
    }
    api.sql("DELETE FROM users");
    assert_eq!(signed_up(&api, "alice").await.len(), token.len());
    assert_eq!(state(&api, &token, "").await.status, 404, "another user of the name");

    let missing = api.get(PATH).await;
    assert_eq!((missing.status, missing.fields()), (400, vec!["Signup-Token".to_owned()]));
    let wrong = state(&api, &signed_up(&api, "bobby").await, "?after=lost").await;
    assert_eq!((wrong.status, wrong.fields()), (400, vec!["after".to_owned()]));
    assert_eq!(api.send(Method::HEAD, PATH, "", "").await.status, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_by_any_pod_once_the_state_changes() {
    let database = servers::postgres().create_database().expect("a database");
    let setup = || Setup::on(database.clone());
    let (one, other) = tokio::join!(TestApi::spawn_with(setup()), TestApi::spawn_with(setup()));
    let token = signed_up(&one, "alice").await;
    let change = async {
        until_so_many_wait(&other, 20).await;
        one.sql(SENT);
    };
    let waits = (0..20).map(|_| state(&other, &token, "?after=queued"));
    let (answers, ()) = tokio::join!(join_all(waits), change);
    for answer in answers {
        assert_eq!((answer.json(), answer.header("retry-after")), (json!({"state": "sent"}), ""));
    }
    until_so_many_wait(&other, 0).await;
    // All of them, for as long as they waited, were one look-up a second.
    let scans = || other.sql("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'users_pkey'");
    other.until("PostgreSQL has counted", async || scans() != "0").await;
    assert!(scans().parse::<u32>().is_ok_and(|count| count < 20), "{}", scans());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_takes_no_signups_place() {
    let api = TestApi::spawn_with(Setup::new().arguments(&["--max-connections", "4"])).await;
    let token = signed_up(&api, "alice").await;
    let mut waits = api.raw(&waiting(&token)).await;
    until_so_many_wait(&api, 1).await;
    // A quarter of four may wait.
    let full = state(&api, &token, "?after=queued").await;
    assert_eq!((full.json(), full.header("retry-after")), (json!({"state": "queued"}), "5"));
    // The others are busy, once the client of the requests above lost its idle one to them.
    let _busy = join_all((0..3).map(|_| api.raw(b"POST /v1/create_user HTTP/1.1\r\nHost: x\r\n"))).await;
    let ended = "signup_connections_ended_total{reason=\"crowded\"} 1";
    api.until("all are taken", async || api.admin("/metrics").await.text.contains(ended)).await;
    let body = form("bobby").to_string();
    let request = format!(
        "POST /v1/create_user HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut signup = api.raw(request.as_bytes()).await;
    let both = async { tokio::join!(read_to_end(&mut waits), read_to_end(&mut signup)) };
    let (answer, signup) = timeout(PATIENCE, both).await.expect("both end");
    assert!(signup.starts_with("HTTP/1.1 200 "), "{signup}");
    let answer = answer.to_lowercase();
    assert!(answer.ends_with("{\"state\":\"queued\"}"), "{answer}");
    assert!(answer.contains("connection: close\r\n") && answer.contains("retry-after: 5\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_waits_no_longer_and_none_does_at_the_stop() {
    let api = TestApi::spawn().await;
    let token = signed_up(&api, "alice").await;
    let gone = api.raw(&waiting(&token)).await;
    let mut stays = api.raw(&waiting(&token)).await;
    until_so_many_wait(&api, 2).await;
    drop(gone);
    until_so_many_wait(&api, 1).await;
    api.terminate();
    let answer = timeout(PATIENCE, read_to_end(&mut stays)).await.expect("it ends");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"state\":\"queued\"}"), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 5\r\n"), "{answer}");
    api.until("stopped", async || !api.is_running()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_have_the_token_in_metadata() {
    let api = TestApi::spawn().await;
    let mut create = create(&form("alice"));
    create["answered_metadata"] = json!({});
    let created = call(&api, &[create]).remove(0);
    let asked = |token: &serde_json::Value| json!({"call": "GetDeliveryState", "request": {"token": token}});
    let answers = call(&api, &[asked(&created["answered_metadata"]["signup-token"]), asked(&"nonsense".into())]);
    assert_eq!(answers[0], json!({"code": 0, "response": {"state": "queued"}}));
    assert_eq!((&answers[1]["code"], &answers[1]["details"]["reason"]), (&json!(5), &json!("TOKEN_UNKNOWN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_accounts_are_hidden_neither_token_nor_state_tells_a_taken_address() {
    let setup = Setup::new().with(|document| document.signup.hide_existing_accounts = true);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("holder").await.status, 200);
    api.sql(SENT);
    let mut seen = BTreeSet::new();
    for (name, address) in [("free_1", "new"), ("free_2", "NEW"), ("taken1", "holder"), ("taken2", "HOLDER")] {
        let mut form = form(name);
        form["email"] = format!("{address}@{CANARY}.test").into();
        let token = token_of(&api.post(form.to_string()).await);
        let mut states = vec![state(&api, &token, "").await.text];
        let id = api.sql(&format!("SELECT id FROM email_intents WHERE username = '{name}'"));
        for change in ["state = 'dispatched'", "state = 'refused'", "state = 'sent', sent_at = now()"] {
            api.sql(&format!("UPDATE email_intents SET {change} WHERE id = '{id}'"));
            states.push(state(&api, &token, "").await.text);
        }
        seen.insert((token.len(), states));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}
