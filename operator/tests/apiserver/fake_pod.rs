//! What answers in the place of a pod, because no node runs one here.
//!
//! Takes: an address of its own in 127.0.0.0/8, by process, because every admin port is 8081. Gives: the admin port of
//! `api` or `worker`, with answers that a test chooses. Does not: sign anybody up or send mails.

use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU8, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Hash of a configuration that no pipeline has.
const UNTOLD: &str = "0";

static ADDRESSES: AtomicU8 = AtomicU8::new(2);

/// What a pod's admin port answers, on an address of its own.
pub(crate) struct FakePod {
    pub(crate) address: IpAddr,
    answers: watch::Sender<Answers>,
}

/// Hash of the configuration, what `/readyz` misses, the metrics, and what `/mail` says.
struct Answers {
    hash: String,
    missing: Option<String>,
    metrics: String,
    mail: String,
    /// What `/state` tells of webhooks; without it there is no such path, as in older images.
    webhooks: Option<Value>,
}

impl Answers {
    fn answer(&self, request: &str) -> (&'static str, String) {
        match (request.split(' ').nth(1), &self.missing) {
            (Some(path), _) if path.starts_with("/state") => self.state(),
            (Some("/metrics"), _) => ("200 OK", self.metrics.clone()),
            (Some("/mail"), _) => ("200 OK", self.mail.clone()),
            (Some("/readyz"), Some(missing)) => ("503 Service Unavailable", format!("not ready: {missing}\n")),
            (Some("/readyz"), None) => ("200 OK", "ok\n".to_owned()),
            _ => ("200 OK", format!("{{\"hash\":\"{}\"}}", self.hash)),
        }
    }

    fn state(&self) -> (&'static str, String) {
        let Some(webhooks) = &self.webhooks else { return ("404 Not Found", String::new()) };
        let state = json!({"config": {"hash": self.hash}, "ready": self.missing.is_none(), "webhooks": webhooks});
        let mut told = state.clone();
        told["version"] = pipeline::hash([state.to_string().as_bytes()]).into();
        ("200 OK", told.to_string())
    }

    /// Whether a request is to be held: what it knows is the newest.
    fn is_known(&self, request: &str) -> bool {
        let since = request.split_once("since=").and_then(|(_, rest)| rest.split(['&', ' ']).next());
        since.is_some_and(|since| self.state().1.contains(since))
    }
}

impl FakePod {
    /// Serves at once, ready and without metrics.
    pub(crate) async fn new() -> Self {
        let [.., process_high, process_low] = std::process::id().to_be_bytes();
        let address = IpAddr::from([127, process_high, process_low, ADDRESSES.fetch_add(1, Ordering::Relaxed)]);
        let listener = TcpListener::bind(SocketAddr::new(address, 8081)).await.expect("the address is free");
        let answers = Answers {
            hash: UNTOLD.to_owned(),
            missing: None,
            metrics: String::new(),
            mail: "null".to_owned(),
            webhooks: None,
        };
        let answers = watch::Sender::new(answers);
        let shared = answers.subscribe();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        Self { address, answers }
    }

    fn change(&self, change: impl FnOnce(&mut Answers)) {
        self.answers.send_modify(change);
    }

    /// Reports this configuration, unless a test has chosen one.
    pub(crate) fn begins_with(&self, hash: &str) {
        self.change(|answers| {
            if answers.hash == UNTOLD {
                hash.clone_into(&mut answers.hash);
            }
        });
    }

    /// Reports another configuration from now on.
    pub(crate) fn runs(&self, hash: &str) {
        self.change(|answers| hash.clone_into(&mut answers.hash));
    }

    /// Cannot do its job from now on.
    pub(crate) fn is_not_ready(&self, missing: &str) {
        self.change(|answers| answers.missing = Some(missing.to_owned()));
    }

    /// Can do its job from now on.
    pub(crate) fn is_ready(&self) {
        self.change(|answers| answers.missing = None);
    }

    /// Shows these metrics from now on.
    pub(crate) fn measures(&self, metrics: &str) {
        self.change(|answers| metrics.clone_into(&mut answers.metrics));
    }

    /// Tells this of its last dialogue with the mail server from now on, in JSON.
    pub(crate) fn tells_of_mail(&self, report: &str) {
        self.change(|answers| report.clone_into(&mut answers.mail));
    }

    /// Tells this of receivers of webhooks from now on; for the first time before the operator asks, for an image
    /// either has `/state` or has not.
    pub(crate) fn tells_of_webhooks(&self, receivers: Value) {
        self.change(|answers| answers.webhooks = Some(receivers));
    }
}

/// Answers one request, when there is news for it.
async fn answer(mut stream: TcpStream, mut answers: watch::Receiver<Answers>) {
    let mut request = [0; 1024];
    let length = stream.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let (status, body) = match answers.wait_for(|answers| !answers.is_known(&request)).await {
        Ok(answers) => answers.answer(&request),
        // The pod is gone.
        Err(_) => return,
    };
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}
