//! HTTP verbs.
//!
//! Takes: what a client sends. Gives: an [`Answer`]. Does not: judge it.

use super::{CANARY, TestApi, described};
use reqwest::{Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use std::sync::LazyLock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let path = response.url().path().to_owned();
        assert!(is_documented(&path, status), "{path} answers {status}, which docs/openapi.json does not say");
        Self { status, headers, text: response.text().await.expect("a body") }
    }

    /// The body as JSON; fails the test when it is none or is not labelled so.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status, code and message of an error.
    pub(crate) fn error(&self) -> (u16, i64, String) {
        let body = self.json();
        let message = body["message"].as_str().expect("a message").to_owned();
        (self.status, body["code"].as_i64().expect("a code"), message)
    }

    /// The fields that an error names, in order.
    pub(crate) fn fields(&self) -> Vec<String> {
        let violations = &self.json()["details"][0]["field_violations"];
        let list = violations.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|violation| violation["field"].as_str().expect("a field").to_owned()).collect()
    }
}

/// Whether a call under this path may be answered so. A method that the path does not know is 501 everywhere.
fn is_documented(path: &str, status: u16) -> bool {
    static DESCRIBED: LazyLock<Value> = LazyLock::new(described);
    let Some(calls) = DESCRIBED["paths"][path].as_object() else { return true };
    status == 501 || calls.values().any(|call| !call["responses"][status.to_string()].is_null())
}

/// A signup that keeps all rules.
pub(crate) fn form(username: &str) -> Value {
    json!({
        "username": username, "full_name": "Alice Liddell",
        "email": format!("{username}@{CANARY}.test"), "password": format!("{CANARY} secret"),
    })
}

impl TestApi {
    /// Sends any request.
    pub(crate) async fn send(&self, method: Method, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.client.request(method, format!("http://{}{path}", self.http)).body(body.into());
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Sends any request with these headers.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("http://{}{path}", self.http)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Gets a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    /// Posts bytes to /v1/create_user.
    pub(crate) async fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Method::POST, "/v1/create_user", "application/json", body).await
    }

    /// Signs up a user that keeps all rules.
    pub(crate) async fn signup(&self, username: &str) -> Answer {
        self.post(form(username).to_string()).await
    }

    /// Signs up as a proxy does that speaks for these addresses.
    pub(crate) async fn signup_through(&self, forwarded: &str, username: &str) -> Answer {
        let request = self.client.post(format!("http://{}/v1/create_user", self.http)).json(&form(username));
        Answer::read(request.header("x-forwarded-for", forwarded).send().await.expect("an answer")).await
    }

    /// Posts a message to a path of the interface.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Corrects an address.
    pub(crate) async fn correct(&self, body: &Value) -> Answer {
        self.send(Method::PATCH, "/v1/users/me/email", "application/json", body.to_string()).await
    }

    /// Gets a page as a browser with these languages does.
    pub(crate) async fn page(&self, path: &str, languages: &str) -> Answer {
        let request = self.client.get(format!("http://{}{path}", self.http)).header("accept-language", languages);
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Asks for another mail as a proxy does that speaks for these addresses.
    pub(crate) async fn resend_through(&self, forwarded: &str, email: &str) -> Answer {
        let request = self.client.post(format!("http://{}/v1/resend_verification", self.http));
        let request = request.json(&json!({"email": email})).header("x-forwarded-for", forwarded);
        Answer::read(request.send().await.expect("an answer")).await
    }

    /// Posts a form.
    pub(crate) async fn post_form(&self, path: &str, form: String) -> Answer {
        self.send(Method::POST, path, "application/x-www-form-urlencoded", form).await
    }

    /// Status and text of the readiness probe.
    pub(crate) async fn readyz(&self) -> (u16, String) {
        let answer = self.admin("/readyz").await;
        (answer.status, answer.text)
    }

    /// Gets a path of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let response = self.client.get(format!("http://{}{path}", self.admin)).send().await;
        Answer::read(response.expect("an answer of the admin port")).await
    }

    /// A raw connection with these bytes already sent.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.http).await.expect("a connection");
        stream.write_all(bytes).await.expect("the bytes are sent");
        stream
    }
}

/// Reads until the other side closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
