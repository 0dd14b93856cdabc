//! `signup.hideExistingAccounts` and `Idempotency-Key`: what somebody who sends requests again finds out about an
//! address.

use crate::{
    grpc::{call, create},
    harness::{
        CANARY, TestApi,
        client::{Answer, form},
    },
    hidden_accounts::{hiding, without_time},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an answer shows, without what is another one each time: the names, the times and the token, of which only
/// whether it is that of the first answer is kept.
fn shown(answer: &Answer, first: &Answer, name: &str, address: &str) -> String {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for name in answer.headers.keys() {
        let value = match name.as_str() {
            "date" | "retry-after" | "content-length" => String::new(),
            "signup-token" => (answer.header("signup-token") == first.header("signup-token")).to_string(),
            name => answer.header(name).to_owned(),
        };
        headers.insert(name.as_str(), value);
    }
    let body = without_time(answer.json()).to_string().replace(name, "NAME").replace(address, "ADDRESS");
    format!("{} {headers:?} {body}", answer.status)
}

/// Sends what somebody sends who has one key and an address: the signup thrice, another one, one without the key; then
/// requests for another mail under the same key, for another address, and under another key.
async fn repeated(api: &TestApi, name: &str, address: &str) -> Vec<String> {
    let mut signup = form(name);
    signup["email"] = format!("{address}@{CANARY}.test").into();
    let mut other = signup.clone();
    other["full_name"] = "Another Name".into();
    let mail = |address: &str| json!({"email": format!("{address}@{CANARY}.test")});
    let (signing_up, another_mail) = ("/v1/create_user", "/v1/resend_verification");
    let mut answers: Vec<Answer> = Vec::new();
    for (path, key, body) in [
        (signing_up, Some(name), &signup),
        (signing_up, Some(name), &signup),
        (signing_up, Some(name), &other),
        (signing_up, None, &signup),
        (signing_up, Some(name), &signup),
        (another_mail, Some(name), &mail(address)),
        (another_mail, Some(name), &mail(&address.to_uppercase())),
        (another_mail, Some(name), &mail("somebody")),
        (another_mail, None, &mail(address)),
        (another_mail, Some(name), &mail(address)),
    ] {
        let headers: Vec<_> =
            key.map(|key| ("idempotency-key", key)).into_iter().chain([("content-type", "application/json")]).collect();
        answers.push(api.send_with(Method::POST, path, &headers, body.to_string()).await);
    }
    let bodies: BTreeSet<&str> = [0, 1, 4].map(|place| &*answers[place].text).into();
    assert_eq!(bodies.len(), 1, "byte for byte: {answers:?}");
    answers.iter().map(|answer| shown(answer, &answers[0], name, address)).collect()
}

/// What is stored of the user, and of the keys and requests of both kinds. Each address has a row of its own.
fn stored(api: &TestApi, name: &str, address: &str) -> String {
    api.sql(&format!(
        "SELECT users.is_email_verified, users.password_changed_at, users.full_name, intent.delay, intent.generation,
                key.full_name, key.email = '{address}@{CANARY}.test', key.key_id,
                length(key.fingerprint), key.created_at = users.created_at,
                round(extract(epoch FROM key.expires_at - key.created_at)),
                (SELECT cardinality(made_at) FROM email_requests
                 WHERE subject = sha256('signup mail to v1'::bytea || '\\x00' || '{address}@{CANARY}.test'::bytea)),
                (SELECT concat(key_id, ' ', length(fingerprint)) FROM resend_keys WHERE key = sha256('{name}'::bytea))
         FROM users JOIN email_intents AS intent USING (username) JOIN idempotency_keys AS key USING (username)
         WHERE username = '{name}'
         ORDER BY intent.generation LIMIT 1"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_repeated_under_a_key_show_and_leave_the_same_either_way() {
    let api = hiding().await;
    let mut seen = BTreeSet::new();
    for (name, address) in [("hidden", "holder"), ("viewed", "unused")] {
        let answers = repeated(&api, name, address).await;
        let statuses: Vec<&str> = answers.iter().map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "200", "422", "409", "200", "200", "200", "422", "429", "200"]);
        let stored = stored(&api, name, address);
        assert!(stored.lines().count() == 1 && stored.contains("|t|"), "{stored}");
        seen.insert((answers, stored));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert_eq!(api.sql("SELECT string_agg(username, ' ') FROM users WHERE is_hidden"), "hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_repeated_under_a_key_are_answered_the_same_either_way() {
    let api = hiding().await;
    let mut seen = BTreeSet::new();
    for (name, address) in [("hidden", "holder"), ("viewed", "unused")] {
        let mut request = form(name);
        request["email"] = format!("{address}@{CANARY}.test").into();
        let mail = json!({"call": "ResendVerification", "request": {"email": request["email"]}});
        let calls: Vec<Value> = [create(&request), create(&request), mail.clone(), mail]
            .into_iter()
            .map(|call| {
                let mut call = call;
                call["metadata"] = json!({"idempotency-key": name});
                call
            })
            .collect();
        let answers = call(&api, &calls);
        assert_eq!(answers[0], answers[1], "the first answer again");
        let mut answers = json!(answers);
        for place in 0..2 {
            let user = answers[place]["response"]["user"].as_object_mut().expect("a user");
            user.remove("created_at").expect("every user has one");
        }
        seen.insert(answers.to_string().replace(name, "NAME").replace(address, "ADDRESS"));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
}
