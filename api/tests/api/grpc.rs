//! The gRPC interface, called by a client generated from the proto file in another language.

use crate::harness::{CANARY, Setup, TestApi, client::form};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Runs the calls in order with the Python client and returns what each gave.
pub(crate) fn call(api: &TestApi, calls: &[Value]) -> Vec<Value> {
    let scratch = api.folder().join("grpc");
    std::fs::create_dir_all(&scratch).expect("a folder");
    let root = env!("CARGO_MANIFEST_DIR");
    // Debian's own Python: the packages `make setup` installs belong to it.
    let mut python = Command::new("/usr/bin/python3")
        .arg(format!("{root}/tests/api/grpc_client.py"))
        .args([format!("{root}/proto"), format!("{root}/tests/api")])
        .arg(scratch)
        .arg(api.grpc.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 runs; install it with `make setup`");
    let mut input = python.stdin.take().expect("a pipe");
    let lines: String = calls.iter().map(|call| format!("{call}\n")).collect();
    input.write_all(lines.as_bytes()).expect("the client reads");
    drop(input);
    let output = python.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "the gRPC client failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), calls.len(), "{text}");
    answers
}

pub(crate) fn create(request: &Value) -> Value {
    json!({"call": "CreateUser", "request": request})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_created_and_verified_with_the_seeds_field_numbers() {
    let api = TestApi::spawn().await;
    let answers = call(&api, &[create(&form("alice")), create(&form("alice"))]);
    let user = &answers[0]["response"]["user"];
    assert_eq!(answers[0]["code"], 0, "{answers:?}");
    assert_eq!((&user["username"], &user["full_name"]), (&json!("alice"), &json!("Alice Liddell")));
    assert_eq!(user["email"], format!("alice@{CANARY}.test"));
    assert_eq!(user["password_changed_at"], "0001-01-01T00:00:00Z");
    assert_eq!(answers[0]["response"]["password_changed_at_seconds"], -62_135_596_800_i64);
    assert_eq!(answers[1], json!({"code": 6, "message": "username already exists", "details": {}}));

    let (id, code) = api.link("alice");
    let verify = json!({"call": "VerifyEmail", "request": {"email_id": id, "secret_code": code}});
    let wrong = json!({"call": "VerifyEmail", "request": {"email_id": id, "secret_code": "a".repeat(32)}});
    let answers = call(&api, &[wrong, verify]);
    assert_eq!(answers[0]["code"], 5);
    assert_eq!(answers[0]["details"]["reason"], "LINK_NOT_FOUND");
    assert_eq!(answers[1], json!({"code": 0, "response": {"is_verified": true}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_come_as_bad_request_details_in_the_seeds_order() {
    let api = TestApi::spawn().await;
    let answers = call(&api, &[create(&json!({})), json!({"call": "VerifyEmail", "request": {}})]);
    assert_eq!((&answers[0]["code"], &answers[0]["message"]), (&json!(3), &json!("invalid parameters")));
    let violations = answers[0]["details"]["field_violations"].as_array().expect("violations");
    let fields: Vec<&str> = violations.iter().filter_map(|violation| violation["field"].as_str()).collect();
    assert_eq!(fields, ["username", "password", "full_name", "email"]);
    assert_eq!(violations[1]["description"], "must contain from 6-128 characters");
    assert_eq!(answers[1]["details"]["field_violations"][0]["description"], "must be a positive integer");
    assert_eq!(api.stored(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_gets_a_code_and_the_server_lives_on() {
    let api = TestApi::spawn().await;
    let raw =
        |method: &str, hex: &str, repeat: usize| json!({"call": "raw", "method": method, "hex": hex, "repeat": repeat});
    let answers = call(
        &api,
        &[
            raw("/pb.SimpleBank/LoginUser", "", 1),
            raw("/no.such.Service/Call", "", 1),
            raw("/pb.SimpleBank/CreateUser", "0a02fffe", 1), // username is not UTF-8
            raw("/pb.SimpleBank/CreateUser", "ff", 1),       // no message at all
            raw("/pb.SimpleBank/CreateUser", "2a01", 40_000), // 80 kB
            create(&form("alice")),
        ],
    );
    let codes: Vec<i64> = answers.iter().filter_map(|answer| answer["code"].as_i64()).collect();
    assert_eq!(codes, [12, 12, 3, 3, 8, 0], "{answers:?}");
    assert_eq!(answers[2]["details"]["field_violations"][0]["field"], "username", "{answers:?}");
    assert_eq!(api.stored(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_and_reflection_where_it_is_switched_on() {
    let mut api = TestApi::spawn().await;
    let healthy = || call(&api, &[json!({"call": "health", "service": ""})])[0].clone();
    api.until("healthy", async || healthy() == json!({"code": 0, "response": {"status": 1}})).await;
    let answers = call(
        &api,
        &[
            json!({"call": "health", "service": "pb.SimpleBank"}),
            json!({"call": "health", "service": "no.such.Service"}),
        ],
    );
    assert_eq!((&answers[0]["response"]["status"], &answers[1]["code"]), (&json!(1), &json!(5)));

    let reflections = ["v1", "v1alpha"].map(|version| json!({"call": "reflect", "version": version}));
    for answer in call(&api, &reflections) {
        assert_eq!(answer["code"], 12, "UNIMPLEMENTED: {answer}");
    }
    api.edit(|document| document.api.grpc.reflection = true).await;
    for answer in call(&api, &reflections) {
        let services = answer["response"]["list_services_response"]["service"].to_string();
        assert!(services.contains("pb.SimpleBank") && services.contains("grpc.health.v1.Health"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_one_log_line_with_the_go_programs_fields() {
    let api = TestApi::spawn().await;
    call(&api, &[create(&form("alice")), create(&form("alice"))]);
    let lines = api.lines("received a gRPC request");
    for (line, level, code, text) in [(&lines[0], "INFO", 0, "OK"), (&lines[1], "WARN", 6, "AlreadyExists")] {
        assert_eq!((&line["level"], &line["protocol"]), (&json!(level), &json!("grpc")));
        assert_eq!(line["method"], "/pb.SimpleBank/CreateUser");
        assert_eq!((&line["status_code"], &line["status_text"]), (&json!(code), &json!(text)));
        assert!(line["duration"].as_f64().is_some_and(|milliseconds| milliseconds > 0.0), "{line}");
    }
    assert_eq!((lines.len(), &lines[1]["error"]), (2, &json!("username already exists")));
    let metrics = api.admin("/metrics").await.text;
    assert!(
        metrics.contains(r#"signup_grpc_requests_total{method="CreateUser",status="AlreadyExists"} 1"#),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unready_process_says_so_to_health_checks_and_answers_unavailable() {
    let mut postgres = servers::Postgres::start().expect("a server of its own");
    let database = postgres.create_database().expect("a database");
    postgres.stop();
    let api = TestApi::start(Setup::on(database)).await;
    let answers = call(&api, &[json!({"call": "health", "service": "pb.SimpleBank"}), create(&form("alice"))]);
    assert_eq!(answers[0]["response"]["status"], 2, "NOT_SERVING: {answers:?}");
    assert_eq!(answers[1]["code"], 14, "{answers:?}");
}
