//! Another mail: what is answered, what is owed, and what neither tells.

use crate::{
    grpc::call,
    harness::{CANARY, Setup, TestApi},
};
use serde_json::json;
use std::{collections::BTreeSet, net::Ipv4Addr};

const PATH: &str = "/v1/resend_verification";

fn address(username: &str) -> String {
    format!("{username}@{CANARY}.test")
}

/// As if the first mails had been sent two minutes ago.
fn let_mails_be_sent(api: &TestApi) {
    api.sql("UPDATE email_intents SET state = 'sent', sent_at = now() - interval '2 minutes'");
}

#[tokio::test]
async fn another_mail_is_owed_and_handed_to_redis_at_once() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let (first, code) = api.link("alice");
    let_mails_be_sent(&api);
    let answer = api.post_json(PATH, &json!({"email": address("ALICE")})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let dispatched = "SELECT count(*) FROM email_intents WHERE generation = 2 AND state = 'dispatched'
                      AND delay = '0' AND run_at <= now()";
    api.until("handed to Redis", async || api.sql(dispatched) == "1").await;
    assert_ne!(api.link("alice").0, first);
    let answer = api.get(&format!("/v1/verify_email?email_id={first}&secret_code={code}")).await;
    assert_eq!(answer.status, 200, "the first link stays valid");
}

#[tokio::test]
async fn an_address_that_nobody_has_is_answered_and_limited_alike() {
    let api = TestApi::spawn().await;
    for username in ["alice", "verified"] {
        assert_eq!(api.signup(username).await.status, 200);
    }
    api.sql("UPDATE users SET is_email_verified = true WHERE username = 'verified'");
    let_mails_be_sent(&api);
    let mut answers = BTreeSet::new();
    for username in ["alice", "verified", "nobody"] {
        let body = json!({"email": address(username)});
        let (first, second) = (api.post_json(PATH, &body).await, api.post_json(PATH, &body).await);
        let wait: u64 = second.header("retry-after").parse().expect("seconds");
        assert!((50..=60).contains(&wait), "{wait}");
        answers.insert((first.status, first.text, second.status, second.text));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (first, _, second, text) = answers.pop_first().expect("one");
    assert_eq!((first, second), (200, 429));
    assert!(text.contains("too many emails to this address"), "{text}");
    let owed = || api.sql("SELECT string_agg(username, ' ') FROM email_intents WHERE generation = 2");
    api.until("the mail is owed", async || owed() == "alice").await;
}

#[tokio::test]
async fn what_a_process_left_is_settled_by_another() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let_mails_be_sent(&api);
    // As a process leaves it that ends right after its answer.
    api.sql(&format!(
        "INSERT INTO email_requests
         SELECT sha256('signup mail to v1'::bytea || '\\x00' || '{0}'::bytea), ARRAY[now()], '{0}'",
        address("alice")
    ));
    let owed = "SELECT count(*) FROM email_intents WHERE generation = 2";
    api.until("the mail is owed", async || api.sql(owed) == "1").await;
    assert_eq!(api.sql("SELECT count(*) FROM email_requests WHERE resend_to IS NOT NULL"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_the_page_ask_as_requests_do() {
    let api = TestApi::spawn().await;
    let asked = |email: &str| json!({"call": "ResendVerification", "request": {"email": email}});
    let answers = call(&api, &[asked(&address("a")), asked(&address("a")), asked("nonsense")]);
    assert_eq!(answers[0], json!({"code": 0, "response": {}}));
    assert_eq!((&answers[1]["code"], &answers[2]["code"]), (&json!(8), &json!(3)));
    assert_eq!(answers[2]["details"]["field_violations"][0]["field"], "email");

    let page = api.post_form("/resend_verification", format!("email=b%40{CANARY}.test")).await;
    assert!(page.status == 200 && page.text.contains("Please look into your inbox"), "{}", page.text);
    let page = api.post_form("/resend_verification", format!("email=b%40{CANARY}.test")).await;
    assert!(page.status == 429 && page.text.contains("Please try again later"), "{}", page.text);
    assert!(page.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds <= 60));
    let page = api.post_form("/resend_verification", "email=nonsense".into()).await;
    assert!(page.status == 400 && page.text.contains("not a valid email address"), "{}", page.text);
}

#[tokio::test]
async fn a_client_has_one_limit_for_all_of_it() {
    let mut setup = Setup::new().with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = 2;
    });
    setup.host = Ipv4Addr::LOCALHOST.into();
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup_through("192.0.2.1", "alice").await.status, 200);
    let resend = async |number: u32| api.resend_through("192.0.2.1", &address(&format!("a{number}"))).await;
    assert_eq!(resend(1).await.status, 200);
    let answer = resend(2).await;
    assert_eq!(answer.error(), (429, 8, "too many requests from your address, try again later".into()));
}
