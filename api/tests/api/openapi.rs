//! The description of the HTTP interface: it is the committed one, and all that it says is so.
//!
//! That no other status is answered is looked at wherever a test reads an answer (`harness::client`), and by programs
//! that nobody here wrote (`openapi_clients`).

use crate::harness::{Setup, TestApi, client::form, client::read_to_end, described};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The calls that have a body.
const WITH_BODY: [(Method, &str); 5] = [
    (Method::POST, "/v1/create_user"),
    (Method::POST, "/v1/verify_email"),
    (Method::POST, "/v1/verify_code"),
    (Method::POST, "/v1/resend_verification"),
    (Method::PATCH, "/v1/users/me/email"),
];

/// A program, and what it was seen to answer: method, path and status.
struct Seen {
    api: TestApi,
    answers: BTreeSet<String>,
}

impl Seen {
    async fn by(setup: Setup) -> Self {
        Self { api: TestApi::start(setup).await, answers: BTreeSet::new() }
    }

    async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let answer = self.api.send_with(method.clone(), path, headers, body).await;
        let _is_json = answer.json();
        let path = path.split('?').next().unwrap_or_default();
        self.answers.insert(format!("{method} {path} {}", answer.status));
    }

    async fn post(&mut self, path: &str, body: &Value) {
        self.send(Method::POST, path, &[], body.to_string()).await;
    }

    /// Twice as one client of a proxy, which admits one request a minute.
    async fn too_often(&mut self, method: &Method, path: &str, client: &str, body: &Value) {
        for _ in 0..2 {
            self.send(method.clone(), path, &[("x-forwarded-for", client)], body.to_string()).await;
        }
    }

    async fn verify_by_link(&mut self, query: &str) {
        self.send(Method::GET, &format!("/v1/verify_email?{query}"), &[], "").await;
        self.send(Method::POST, "/v1/verify_email", &[FORM], query).await;
    }

    /// Twice at once under one key; the first waits for a table meanwhile.
    async fn while_running(&mut self, path: &str, table: &str, body: &Value) {
        let send = async |api: &TestApi| {
            let answer = api.send_with(Method::POST, path, &[("idempotency-key", "running")], body.to_string()).await;
            format!("POST {path} {}", answer.status)
        };
        let lock = self.api.lock(table).await;
        let answers = tokio::join!(send(&self.api), async {
            self.api.until_waited_for(table).await;
            let second = send(&self.api).await;
            lock.release();
            second
        });
        self.answers.extend(<[String; 2]>::from(answers));
    }

    /// Sends all but the end of a body, to all calls at once, for they wait ten seconds.
    async fn send_half_a_body(&mut self) {
        let answers = WITH_BODY.map(async |(method, path)| {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{}: {}\r\n", FORM.0, FORM.1);
            let mut stream = self.api.raw(format!("{head}Content-Length: 100\r\n\r\nx=").as_bytes()).await;
            let answer = read_to_end(&mut stream).await;
            format!("{method} {path} {}", answer.split(' ').nth(1).unwrap_or_default())
        });
        let answers = futures::future::join_all(answers).await;
        self.answers.extend(answers);
    }
}

fn documented() -> BTreeSet<String> {
    let document = described();
    let paths = document["paths"].as_object().expect("paths");
    let calls =
        paths.iter().flat_map(|(path, methods)| methods.as_object().expect("methods").iter().map(move |m| (path, m)));
    let answers = calls.flat_map(|(path, (method, call))| {
        let statuses = call["responses"].as_object().expect("answers").keys();
        statuses.map(move |status| format!("{} {path} {status}", method.to_uppercase()))
    });
    answers.collect()
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let api = TestApi::spawn().await;
    let served = api.get("/openapi.json").await;
    assert_eq!((served.status, served.json()["openapi"].as_str()), (200, Some("3.1.0")));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &served.text).expect("docs/openapi.json is written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(served.text == committed, "docs/openapi.json is old: UPDATE_GOLDEN=1 cargo test -p api --test api openapi");
    let proto = api.get("/simplebank.proto").await;
    assert_eq!((proto.status, proto.text.as_str()), (200, include_str!("../../proto/simplebank.proto")));
}

#[tokio::test]
async fn every_documented_answer_is_given() {
    let mut seen = Seen::by(Setup::new().with(|document| {
        document.signup.behind_proxy = true;
        document.signup.per_minute_per_ip = 1;
    }))
    .await;
    seen.api.until("ready", async || seen.api.readyz().await.0 == 200).await;
    refused_bodies(&mut seen).await;
    signups(&mut seen).await;
    verifications(&mut seen).await;
    mails(&mut seen).await;

    let mut setup = Setup::new();
    setup.database = "postgres://nobody@127.0.0.1:1/none".into();
    let mut without_database = Seen::by(setup).await;
    let token = seen.api.signup("dave").await.header("signup-token").to_owned();
    let code = "a".repeat(32);
    without_database.verify_by_link(&format!("email_id=1&secret_code={code}")).await;
    let whole = json!({"username": "alice", "full_name": "Alice", "email": "alice@canary.test",
                       "password": "canary secret", "code": "123456"});
    for (method, path) in WITH_BODY.into_iter().filter(|(_, path)| *path != "/v1/verify_email") {
        without_database.send(method, path, &[], whole.to_string()).await;
    }
    for token in [&token, "nobody's"] {
        seen.send(Method::GET, "/v1/delivery_state", &[("signup-token", token)], "").await;
    }
    seen.send(Method::GET, "/v1/delivery_state", &[], "").await;
    without_database.send(Method::GET, "/v1/delivery_state", &[("signup-token", &token)], "").await;
    seen.answers.append(&mut without_database.answers);

    let documented = documented();
    let never: Vec<_> = documented.difference(&seen.answers).collect();
    let unsaid: Vec<_> = seen.answers.difference(&documented).collect();
    assert!(
        never.is_empty() && unsaid.is_empty(),
        "documented, not given: {never:?}; given, not documented: {unsaid:?}"
    );
}

async fn refused_bodies(seen: &mut Seen) {
    for (method, path) in WITH_BODY {
        seen.send(method.clone(), path, &[FORM], vec![b'x'; 70_000]).await;
        seen.send(method, path, &[FORM, ("content-encoding", "gzip")], "").await;
    }
    seen.send(Method::POST, "/v1/verify_email", &[], "{}").await;
    seen.send_half_a_body().await;
}

async fn signups(seen: &mut Seen) {
    let path = "/v1/create_user";
    for (key, username) in [("one", "alice"), ("one", "bobby"), ("two", "alice")] {
        seen.send(Method::POST, path, &[("idempotency-key", key)], form(username).to_string()).await;
    }
    seen.post(path, &json!({})).await;
    seen.too_often(&Method::POST, path, "192.0.2.1", &form("carol")).await;
}

async fn verifications(seen: &mut Seen) {
    let (id, code) = seen.api.link("alice");
    let digits = seen.api.digits("alice");
    let (link, typed) = (format!("email_id={id}&secret_code={code}"), json!({"username": "alice", "code": digits}));
    let path = "/v1/verify_code";
    for wrong in ["".to_owned(), format!("email_id={id}&secret_code={}", "a".repeat(32))] {
        seen.verify_by_link(&wrong).await;
    }
    seen.post(path, &json!({})).await;
    seen.post(path, &json!({"username": "nobody", "code": "000000"})).await;
    seen.too_often(&Method::POST, path, "192.0.2.2", &json!({"username": "nobody", "code": "000000"})).await;
    seen.api.sql("UPDATE verify_emails SET expired_at = now()");
    seen.verify_by_link(&link).await;
    seen.post(path, &typed).await;
    seen.api.sql("UPDATE verify_emails SET expired_at = now() + interval '1 hour'");
    seen.verify_by_link(&link).await;
    seen.post(path, &typed).await;
}

/// Alice is verified by now, and Carol is not.
async fn mails(seen: &mut Seen) {
    let path = "/v1/resend_verification";
    seen.post(path, &json!({})).await;
    for _ in 0..2 {
        seen.post(path, &json!({"email": "nobody@canary.test"})).await;
    }
    seen.while_running(path, "email_requests", &json!({"email": "else@canary.test"})).await;
    seen.send(Method::POST, path, &[("idempotency-key", "running")], json!({"email": "x@canary.test"}).to_string())
        .await;
    let path = "/v1/users/me/email";
    let correct = |email: &str, password: &str| json!({"username": "carol", "password": password, "email": email});
    let good = "canary secret";
    for body in [
        json!({}),
        correct("carol2@canary.test", "wrong"),
        correct("alice@canary.test", good),
        correct("carol2@canary.test", good),
    ] {
        seen.send(Method::PATCH, path, &[], body.to_string()).await;
    }
    seen.too_often(&Method::PATCH, path, "192.0.2.3", &correct("carol3@canary.test", "wrong")).await;
}
