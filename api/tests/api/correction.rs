//! A corrected address, over HTTP and gRPC, and what it does not tell.

use crate::{
    grpc::call,
    harness::{CANARY, Setup, TestApi},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn correction(username: &str, local: &str) -> Value {
    json!({"username": username, "password": format!("{CANARY} secret"), "email": format!("{local}@{CANARY}.test")})
}

#[tokio::test]
async fn the_address_is_corrected_and_a_mail_is_owed_to_it() {
    let api = TestApi::spawn().await;
    let signed_up = api.signup("alice").await.json();
    let answer = api.correct(&correction("alice", "right")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut expected = signed_up;
    expected["user"]["email"] = format!("right@{CANARY}.test").into();
    assert_eq!(answer.json(), expected, "the user, as at the signup");
    let rows = "SELECT string_agg(concat_ws(' ', generation, email, state = 'cancelled'), ', ' ORDER BY generation)
                FROM email_intents";
    assert_eq!(api.sql(rows), format!("1 alice@{CANARY}.test t, 2 right@{CANARY}.test f"));
    let (id, code) = api.link("alice");
    assert_eq!(api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}")).await.status, 200);
    let answer = api.correct(&correction("alice", "another")).await;
    assert_eq!(answer.json()["details"][0]["reason"], "ALREADY_VERIFIED", "{answer:?}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_one_answer_and_one_limit() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let mut answers = BTreeSet::new();
    for username in ["alice", "nobody"] {
        let mut wrong = correction(username, "right");
        wrong["password"] = format!("{CANARY} wrong").into();
        for _ in 0..5 {
            let answer = api.correct(&wrong).await;
            answers.insert((answer.status, answer.text));
        }
        let sixth = api.correct(&correction(username, "right")).await;
        assert!(sixth.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 3_000), "{sixth:?}");
        answers.insert((sixth.status, sixth.text));
    }
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [403, 429], "{answers:?}");
    assert_eq!(api.sql("SELECT email FROM users"), format!("alice@{CANARY}.test"));
}

#[tokio::test]
async fn fields_that_break_their_rules_and_a_taken_address_are_named() {
    let api = TestApi::spawn().await;
    for username in ["alice", "bobby"] {
        assert_eq!(api.signup(username).await.status, 200);
    }
    assert_eq!(api.correct(&json!({})).await.fields(), ["username", "password", "email"]);
    let answer = api.correct(&correction("bobby", "ALICE")).await;
    assert_eq!(answer.error(), (409, 6, "email already exists".into()));
    let one = api.correct(&correction("bobby", "one")).await.status;
    let same = api.correct(&correction("bobby", "one")).await;
    assert_eq!((one, same.status), (200, 429), "one mail a minute to an address: {same:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_accounts_are_hidden_a_taken_address_is_answered_like_a_free_one() {
    let setup = Setup::new().with(|document| document.signup.hide_existing_accounts = true);
    let api = TestApi::spawn_with(setup).await;
    for username in ["holder", "bobby", "carol"] {
        assert_eq!(api.signup(username).await.status, 200);
    }
    let mut hidden = crate::harness::client::form("hidden");
    hidden["email"] = format!("holder@{CANARY}.test").into();
    assert_eq!(api.post(hidden.to_string()).await.status, 200);

    let resend = |local: &str| json!({"email": format!("{local}@{CANARY}.test")});
    for (username, local) in [("bobby", "holder"), ("carol", "free"), ("hidden", "another")] {
        let answer = api.correct(&correction(username, local)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["user"]["email"], format!("{local}@{CANARY}.test"));
        let again = api.post_json("/v1/resend_verification", &resend(local)).await;
        assert_eq!(again.status, 429, "the correction counts as a mail, whoever has the address");
        let wrong = api.post_json("/v1/verify_code", &json!({"username": username, "code": "123456"})).await;
        assert_eq!(wrong.status, 404);
    }
    let kinds = "SELECT string_agg(concat_ws(' ', username, kind, is_hidden), ', ' ORDER BY username)
                 FROM email_intents JOIN users USING (username) WHERE generation = 2";
    assert_eq!(api.sql(kinds), "bobby notice t, carol verification f, hidden verification f");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_as_requests_are() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let correct = |request: Value| json!({"call": "CorrectEmail", "request": request});
    let mut wrong = correction("alice", "right");
    wrong["password"] = format!("{CANARY} wrong").into();
    let answers = call(&api, &[correct(wrong), correct(correction("alice", "right")), correct(json!({}))]);
    assert_eq!((&answers[0]["code"], &answers[0]["message"]), (&json!(7), &json!("username or password is wrong")));
    assert_eq!(answers[1]["response"]["user"]["email"], format!("right@{CANARY}.test"));
    assert_eq!(answers[2]["code"], 3);
}
