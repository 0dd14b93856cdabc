//! Log lines: the fields the Go program's users search for, and nothing secret.

use crate::harness::{CANARY, TestApi, client::form};
use serde_json::json;

#[tokio::test]
async fn each_request_is_one_line_with_the_go_programs_fields() {
    let api = TestApi::spawn().await;
    api.signup("alice").await;
    api.signup("alice").await;
    api.get("/nowhere?a=b").await;
    let lines = api.lines("received a HTTP request");
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, level, method, path, code, text) in [
        (&lines[0], "INFO", "POST", "/v1/create_user", 200, "OK"),
        (&lines[1], "WARN", "POST", "/v1/create_user", 409, "Conflict"),
        (&lines[2], "WARN", "GET", "/nowhere?a=REDACTED", 404, "Not Found"),
    ] {
        assert_eq!(line["protocol"], "http");
        assert_eq!((&line["level"], &line["method"], &line["path"]), (&json!(level), &json!(method), &json!(path)));
        assert_eq!((&line["status_code"], &line["status_text"]), (&json!(code), &json!(text)));
        assert!(line["duration"].as_f64().is_some_and(|milliseconds| milliseconds > 0.0), "{line}");
    }
    assert!(lines[0].get("body").is_none(), "{}", lines[0]);
    assert_eq!(lines[1]["body"], json!({"code": 6, "message": "username already exists"}).to_string());
}

#[tokio::test]
async fn codes_passwords_and_addresses_stay_out_of_the_log() {
    let api = TestApi::spawn().await;
    api.signup("alice").await;
    let (id, code) = api.link("alice");
    for query in [
        format!("email_id={id}&secret_code={code}"),
        format!("emailId={id}&secretCode={code}"),
        format!("email_id={id}&secret%5Fcode={code}"),
        format!("email_id={id}&secret_code={code}&secret_code={code}"),
        format!("email_id={id}&SECRET_CODE={code}"),
    ] {
        for path in ["/v1/verify_email", "/verify_email", "/v1/unknown"] {
            api.get(&format!("{path}?{query}")).await;
        }
        api.post_form("/verify_email", query.clone()).await;
    }
    let mut wrong = form("Alice");
    wrong["password"] = json!([CANARY]);
    api.post(wrong.to_string()).await;
    api.get(&format!("/v1/create_user?password={CANARY}&email=a@{CANARY}.test")).await;
    let log = api.log();
    assert!(!log.contains(&code), "{log}");
    assert!(log.contains(&format!("/v1/verify_email?email_id={id}&secret_code=REDACTED")), "{log}");
    // CANARY is searched for by the harness, at the end of every test.
}

#[tokio::test]
async fn start_and_stop_are_told_in_the_go_programs_words() {
    let api = TestApi::spawn().await;
    for message in [
        "db migrated successfully".to_owned(),
        format!("start HTTP gateway server at {}", api.http),
        format!("start gRPC server at {}", api.grpc),
    ] {
        assert_eq!(api.lines(&message).len(), 1, "{message}: {}", api.log());
    }
    api.terminate();
    api.until("stopped", async || !api.is_running()).await;
    for message in [
        "graceful shutdown HTTP gateway server",
        "graceful shutdown gRPC server",
        "HTTP gateway server is stopped",
        "gRPC server is stopped",
    ] {
        assert_eq!(api.lines(message).len(), 1, "{message}: {}", api.log());
    }
}
