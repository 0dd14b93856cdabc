//! `POST /v1/create_user`: shapes, codes and texts that clients of the Go program rely on.

use crate::harness::{CANARY, TestApi, client::form};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn the_lectures_request_is_answered_in_the_lectures_shape() {
    let api = TestApi::spawn().await;
    let body = json!({"username": "alice1", "full_name": "Alice", "email": "alice1@email.com", "password": "secret"});
    let answer = api.post(body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut answer = answer.json();
    let created_at = answer["user"]["created_at"].take();
    let expected = json!({"user": {
        "username": "alice1", "full_name": "Alice", "email": "alice1@email.com",
        "password_changed_at": "0001-01-01T00:00:00Z", "created_at": null,
    }});
    assert_eq!(answer, expected);
    let created_at = created_at.as_str().expect("a time");
    let digits = created_at.trim_end_matches('Z').split_once('.').map_or(0, |(_, digits)| digits.len());
    assert!(created_at.ends_with('Z') && [0, 3, 6].contains(&digits), "{created_at}");
    let stored = api.sql("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM users");
    assert!(stored.starts_with(created_at.trim_end_matches('Z')), "{created_at} is not {stored}");
}

#[tokio::test]
async fn i1_a_user_is_stored_with_the_promise_of_a_mail_and_a_hashed_password() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let row = api.sql(
        "SELECT u.username, split_part(hashed_password, '$', 2), queue, max_retries, v.expired_at,
                u.created_at = i.created_at AND u.xmin = v.xmin -- one transaction
         FROM users u JOIN email_intents i USING (username) JOIN verify_emails v ON v.intent_id = i.id",
    );
    assert_eq!(row, "alice|argon2id|critical|10|infinity|t");
    assert_eq!(api.sql("SELECT count(*) FROM users WHERE hashed_password LIKE '%canary%'"), "0");
}

#[tokio::test]
async fn camel_case_unknown_fields_and_any_content_type_are_accepted() {
    let api = TestApi::spawn().await;
    let body = json!({"username": "alice", "fullName": "Alice", "email": "a@canary.test", "password": "canary",
                      "role": "banker", "nested": {"a": [1, {"b": null}]}});
    let answer = api.send(Method::POST, "/v1/create_user?x=1", "text/plain", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["user"]["full_name"], "Alice");
    assert!(answer.json()["user"].get("fullName").is_none());
}

#[tokio::test]
async fn no_body_is_the_empty_message_and_names_all_four_fields() {
    let api = TestApi::spawn().await;
    for body in ["", "{}", "  ", r#"{"username":null}"#] {
        let answer = api.post(body).await;
        let violation = |field: &str, bounds: &str| {
            let description = format!("must contain from {bounds} characters");
            json!({"field": field, "description": description})
        };
        let expected = json!({"code": 3, "message": "invalid parameters", "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": [
                violation("username", "3-100"), violation("password", "6-128"),
                violation("full_name", "3-100"), violation("email", "3-200"),
            ],
        }]});
        assert_eq!((answer.status, answer.json()), (400, expected), "{body:?}");
    }
}

#[tokio::test]
async fn taken_names_and_addresses_are_told_apart_without_driver_text() {
    let api = TestApi::spawn().await;
    assert_eq!(api.signup("alice").await.status, 200);
    let with = |username: &str, email: &str| {
        let mut form = form(username);
        form["email"] = email.into();
        form.to_string()
    };
    for (body, message) in [
        (with("alice", "other@canary.test"), "username already exists"),
        (with("alice", "alice@canary.test"), "username already exists"),
        (with("bob", "alice@canary.test"), "email already exists"),
        (with("bob", "ALICE@Canary.Test"), "email already exists"),
    ] {
        let answer = api.post(body).await;
        assert_eq!((answer.status, answer.json()), (409, json!({"code": 6, "message": message})));
    }
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test]
async fn of_many_equal_signups_at_once_exactly_one_is_stored() {
    let api = TestApi::spawn().await;
    let answers = futures::future::join_all((0..8).map(|_| api.signup("alice"))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 7]].concat());
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_answer_as_grpc_gateway_does() {
    let api = TestApi::spawn().await;
    for path in ["/", "/v1", "/v1/create_user/", "/v1/login", "/metrics", "/readyz"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.json()), (404, json!({"code": 5, "message": "Not Found"})), "{path}");
    }
    for (method, path) in [
        (Method::GET, "/v1/create_user"),
        (Method::PUT, "/v1/create_user"),
        (Method::DELETE, "/v1/verify_email"),
        (Method::POST, "/v1/verify_email"),
        (Method::OPTIONS, "/verify_email"),
    ] {
        let answer = api.send(method.clone(), path, "application/json", "").await;
        let expected = json!({"code": 12, "message": "Method Not Allowed"});
        assert_eq!((answer.status, answer.json()), (501, expected), "{method} {path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let api = TestApi::spawn().await;
    api.signup("alice").await;
    api.get("/made-up-by-a-client").await;
    let metrics = api.admin("/metrics").await.text;
    assert!(metrics.contains(r#"signup_http_requests_total{route="/v1/create_user",status="200"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"signup_http_requests_total{route="unmatched",status="404"} 1"#), "{metrics}");
    assert!(metrics.contains("signup_http_request_duration_seconds_bucket"), "{metrics}");
    assert!(!metrics.contains(CANARY) && !metrics.contains("made-up"), "{metrics}");
}
