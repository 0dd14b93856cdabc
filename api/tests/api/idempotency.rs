//! The header `Idempotency-Key`: a signup that is sent again makes one user and gets one answer.

use crate::{
    grpc::{call, create},
    harness::{CANARY, Setup, TestApi, client::Answer, client::form},
};
use reqwest::Method;
use serde_json::{Value, json};
use servers::{Cut, Cutter};

async fn post(api: &TestApi, key: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    api.send_with(Method::POST, "/v1/create_user", &headers, body.to_string()).await
}

pub(crate) const REUSED: &str = "Idempotency-Key was used with another request; use a new key for this one";

#[tokio::test]
async fn the_same_request_under_its_key_is_answered_the_same_and_another_one_is_told() {
    let api = TestApi::spawn().await;
    let first = post(&api, "8e03978e-40d5-43dd-bc93-6894a57f9324", &form("alice")).await;
    assert_eq!(first.status, 200, "{first:?}");
    for key in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
        let again = post(&api, key, &form("alice")).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
    }
    for (field, value) in [("password", "canary secreT"), ("username", "bobby"), ("email", "b@canary.test")] {
        let mut other = form("alice");
        other[field] = value.into();
        let answer = post(&api, "8e03978e-40d5-43dd-bc93-6894a57f9324", &other).await;
        assert_eq!(answer.error(), (422, 3, REUSED.to_owned()), "{field}");
    }
    let other_key = post(&api, "another", &form("alice")).await;
    assert_eq!(other_key.error(), (409, 6, "username already exists".into()));
    assert_eq!(api.stored(), (1, 1));
    let stored = api.sql("SELECT * FROM idempotency_keys");
    assert!(!stored.contains("8e03978e") && !stored.contains("secret"), "{stored}");
}

#[tokio::test]
async fn a_refused_signup_may_be_corrected_under_its_key() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    assert_eq!(post(&api, "k", &form("alice")).await.status, 409);
    assert_eq!(post(&api, "k", &json!({})).await.status, 400);
    assert_eq!(post(&api, "k", &form("bobby")).await.status, 200);
}

#[tokio::test]
async fn while_the_first_is_under_way_the_second_is_told_to_wait() {
    let api = TestApi::spawn().await;
    let (lock, body) = (api.lock_users().await, form("alice"));
    let (first, second) = tokio::join!(post(&api, "k", &body), async {
        api.until_a_signup_waits().await;
        let second = post(&api, "k", &body).await;
        lock.release();
        second
    });
    assert_eq!(second.error().0, 409, "{second:?}");
    assert_eq!((second.json()["code"].clone(), second.header("retry-after")), (json!(10), "1"));
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(post(&api, "k", &form("alice")).await.text, first.text);
}

#[tokio::test]
async fn many_at_once_and_on_two_replicas_make_one_user() {
    let database = servers::postgres().create_database().expect("a database");
    let (one, other) = tokio::join!(
        TestApi::spawn_with(Setup::on(database.clone())),
        TestApi::spawn_with(Setup::on(database.clone()))
    );
    let body = form("alice");
    let answers =
        futures::future::join_all((0..8).map(|number| post(if number % 2 == 0 { &one } else { &other }, "k", &body)));
    let answers = answers.await;
    let created: Vec<&str> =
        answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.text.as_str()).collect();
    assert!(!created.is_empty() && created.iter().all(|text| *text == created[0]), "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
    assert_eq!(one.stored(), (1, 1));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_name() {
    let api = TestApi::spawn().await;
    for key in ["\"open", "a b", "", "a,b", &"k".repeat(256)] {
        let answer = post(&api, key, &form("alice")).await;
        assert_eq!((answer.status, answer.fields()), (400, vec!["Idempotency-Key".to_owned()]), "{key:?}");
    }
    assert_eq!(api.stored(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_commit_is_told_and_the_same_request_again_gets_the_user() {
    for hides in [false, true] {
        let database = servers::postgres().create_database().expect("a database");
        let cutter = Cutter::before(&database).await.expect("a place before PostgreSQL");
        let mut setup = Setup::on(cutter.uri().to_owned());
        setup.document.signup.hide_existing_accounts = hides;
        let api = TestApi::spawn_with(setup).await;
        let name = format!("alice_{hides}");
        cutter.cut(Cut::AfterText(b"COMMIT\0"));
        let lost = post(&api, "k", &form(&name)).await;
        assert!(cutter.has_cut());
        let message =
            "outcome unknown: the user may exist; send the same request with the same Idempotency-Key again".to_owned();
        assert_eq!(lost.error(), (503, 14, message));
        assert_eq!(lost.header("retry-after"), "1");
        let again = post(&api, "k", &form(&name)).await;
        assert_eq!((again.status, &again.json()["user"]["username"]), (200, &json!(name)), "{again:?}");
        assert_eq!(api.stored(), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_accounts_are_hidden_a_key_tells_nothing_of_an_address() {
    let setup = Setup::new().with(|document| document.signup.hide_existing_accounts = true);
    let api = TestApi::spawn_with(setup).await;
    assert_eq!(api.signup("holder").await.status, 200);
    let mut seen = Vec::new();
    for (name, address) in [("free", "nobody"), ("hidden", "holder")] {
        let mut body = form(name);
        body["email"] = format!("{address}@{CANARY}.test").into();
        let first = post(&api, name, &body).await;
        let again = post(&api, name, &body).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        let mut other = body.clone();
        other["email"] = format!("other@{CANARY}.test").into();
        let statuses = [post(&api, name, &other).await.status, post(&api, &format!("{name}2"), &body).await.status];
        let row = api.sql(&format!(
            "SELECT length(fingerprint), username = '{name}', expires_at - created_at FROM idempotency_keys \
             WHERE username = '{name}'"
        ));
        seen.push((first.status, statuses, row));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_holds_over_grpc_as_well() {
    let api = TestApi::spawn().await;
    let first = post(&api, "k", &form("alice")).await;
    assert_eq!(first.status, 200);
    let mut with_key = create(&form("alice"));
    with_key["metadata"] = json!({"idempotency-key": "k"});
    let mut other = create(&form("bobby"));
    other["metadata"] = json!({"idempotency-key": "k"});
    let answers = call(&api, &[with_key, other]);
    assert_eq!(answers[0]["response"]["user"]["username"], "alice", "{answers:?}");
    assert_eq!((&answers[1]["code"], &answers[1]["message"]), (&json!(3), &json!(REUSED)));
}
