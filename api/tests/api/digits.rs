//! The six digits of a mail, typed over HTTP, gRPC and the page.

use crate::{
    grpc::call,
    harness::TestApi,
    verification::{is_verified, reason},
};
use reqwest::Method;
use serde_json::json;

/// Digits that are not those of the mail.
fn wrong(right: &str) -> String {
    let number: u32 = right.parse().expect("digits");
    format!("{:06}", (number + 1) % 1_000_000)
}

#[tokio::test]
async fn the_digits_verify_as_they_are_typed_and_a_second_time_the_answer_is_the_same() {
    let api = TestApi::spawn().await;
    for (username, typed) in [("alice", "{}"), ("bobby", " {} "), ("carol", "{}\n")] {
        assert_eq!(api.signup(username).await.status, 200);
        let code = typed.replace("{}", &api.digits(username));
        for _ in 0..2 {
            let answer = api.post_json("/v1/verify_code", &json!({"username": username, "code": code})).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"is_verified": true})));
        }
        assert!(is_verified(&api, username));
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason_and_an_unknown_name_that_of_wrong_digits() {
    let api = TestApi::spawn().await;
    let typed = async |username: &str, code: &str| {
        reason(&api.post_json("/v1/verify_code", &json!({"username": username, "code": code})).await)
    };
    assert_eq!(api.signup("alice").await.status, 200);
    let right = api.digits("alice");
    let wrong = wrong(&right);
    let (known, unknown) = (
        api.post_json("/v1/verify_code", &json!({"username": "alice", "code": wrong})).await,
        api.post_json("/v1/verify_code", &json!({"username": "nobody", "code": wrong})).await,
    );
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!(reason(&known), (404, 5, "CODE_INVALID".into()));
    for _ in 0..4 {
        assert_eq!(typed("alice", &wrong).await.2, "CODE_INVALID");
    }
    assert_eq!(typed("alice", &right).await, (400, 9, "CODE_LOCKED".into()));
    let (id, code) = api.link("alice");
    let answer = api.get(&format!("/v1/verify_email?email_id={id}&secret_code={code}")).await;
    assert_eq!(answer.status, 200, "the link is not locked");

    assert_eq!(api.signup("bobby").await.status, 200);
    api.sql("UPDATE verify_emails SET expired_at = now() WHERE username = 'bobby'");
    assert_eq!(typed("bobby", &api.digits("bobby")).await, (410, 9, "CODE_EXPIRED".into()));
    api.sql("UPDATE verify_emails SET is_used = true WHERE username = 'bobby'");
    assert_eq!(typed("bobby", &api.digits("bobby")).await, (400, 9, "CODE_USED".into()));
}

#[tokio::test]
async fn what_cannot_be_digits_or_a_name_is_named_and_only_a_post_verifies() {
    let api = TestApi::spawn().await;
    for (body, fields) in [
        (json!({}), vec!["username", "code"]),
        (json!({"username": "alice", "code": "12345"}), vec!["code"]),
        (json!({"username": "alice", "code": "1234567"}), vec!["code"]),
        (json!({"username": "alice", "code": "12345a"}), vec!["code"]),
        (json!({"username": "Alice@example.com", "code": "123456"}), vec!["username"]),
        (json!({"username": "alice", "code": 123456}), vec!["code"]),
    ] {
        let answer = api.post_json("/v1/verify_code", &body).await;
        assert_eq!((answer.status, answer.fields()), (400, fields.iter().map(ToString::to_string).collect()), "{body}");
        assert!(!answer.text.contains("12345"), "{}", answer.text);
    }
    assert_eq!(api.signup("alice").await.status, 200);
    let query = format!("username=alice&code={}", api.digits("alice"));
    for path in ["/v1/verify_code", "/verify_code"] {
        for method in [Method::GET, Method::HEAD] {
            api.send(method, &format!("{path}?{query}"), "", "").await;
        }
    }
    assert!(!is_verified(&api, "alice"));
    // Times and durations have digits of their own, after a point.
    let (log, digits) = (api.log(), api.digits("alice"));
    for before in ['"', '=', ' ', ':'] {
        assert!(!log.contains(&format!("{before}{digits}")), "digits are in the log");
    }
}

#[tokio::test]
async fn the_page_verifies_by_digits_and_says_what_is_wrong_with_them() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let (right, page) = (api.digits("alice"), api.get("/verify_code").await);
    assert_eq!(page.status, 200);
    assert!(page.text.contains(r#"<form method="post" action="verify_code">"#), "{}", page.text);
    assert!(page.text.contains(r#"inputmode="numeric" autocomplete="one-time-code""#), "{}", page.text);

    for (form, status, text) in [
        (format!("username=alice&code={}", wrong(&right)), 404, "Username or code is wrong"),
        (format!("username=nobody&code={right}"), 404, "Username or code is wrong"),
        ("username=%22%3E%3Cscript%3E&code=1".into(), 400, "the six digits"),
        ("code=1&code=2".into(), 400, "the six digits"),
    ] {
        let page = api.post_form("/verify_code", form.clone()).await;
        assert!(page.status == status && page.text.contains(text), "{form}: {}", page.text);
        assert!(page.text.contains(r#"action="resend_verification""#), "it offers a new mail: {}", page.text);
        assert!(!page.text.contains("<script>") && !page.text.contains(&right), "{}", page.text);
    }
    let page = api.post_form("/verify_code", format!("username=+alice+&code={}+{}", &right[..3], &right[3..])).await;
    assert!(page.status == 200 && page.text.contains("Your email address is verified"), "{}", page.text);
    assert!(is_verified(&api, "alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_as_requests_are() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let right = api.digits("alice");
    let typed =
        |username: &str, code: &str| json!({"call": "VerifyCode", "request": {"username": username, "code": code}});
    let answers = call(
        &api,
        &[typed("alice", &wrong(&right)), typed("nobody", &right), typed("alice", &right), typed("alice", "1")],
    );
    assert_eq!(answers[0], answers[1], "a name that nobody has");
    assert_eq!((&answers[0]["code"], &answers[0]["details"]["reason"]), (&json!(5), &json!("CODE_INVALID")));
    assert_eq!(answers[2], json!({"code": 0, "response": {"is_verified": true}}));
    assert_eq!(answers[3]["details"]["field_violations"][0]["field"], "code");
}
