//! Clients that sign up, and what they were told.
//!
//! Takes: the addresses of the apis, or of an ingress and the host name behind it. Gives: signups with unique users,
//! one at a time, many, or on and on in the background, as fast as the answers come or with pauses. Does not: repeat a
//! signup that failed, for the checker has to know what each client believes; but of many, a client that is told that
//! too many sign up at once comes back later as another user, however busy the machine is.

use crate::{canary::MARK, until::PATIENCE};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A client's pause after a failure, so that an outage does not become a flood of attempts.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What `Retry-After` says to a client whose password would wait for longer than a second.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// Clients of a steady load.
const STEADY_CLIENTS: u32 = 2;

/// What one client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200: the user exists and the mail is owed.
    Acknowledged,
    /// Another status, with the body.
    Refused(u16, String),
    /// The connection failed or broke: nobody told the client anything.
    Unknown,
}

/// One signup as its client saw it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The user.
    pub username: String,
    /// The address, which no log may show.
    pub email: String,
    /// What the client was told.
    pub outcome: Outcome,
}

/// Clients of one pipeline.
#[derive(Debug)]
pub struct Signups {
    apis: Vec<SocketAddr>,
    /// Header `Host`, which an ingress goes by.
    host: Option<String>,
    client: reqwest::Client,
    started: AtomicUsize,
    attempts: Mutex<Vec<Attempt>>,
}

impl Signups {
    pub(crate) fn new(apis: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { apis, host: None, client, started: AtomicUsize::new(0), attempts: Mutex::default() })
    }

    /// Clients that reach the api through an ingress.
    ///
    /// # Errors
    ///
    /// The HTTP client's, when it cannot be set up.
    pub fn through(ingress: SocketAddr, host: &str) -> anyhow::Result<Self> {
        Ok(Self { host: Some(host.to_owned()), ..Self::new(vec![ingress])? })
    }

    /// What all clients were told so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().clone()
    }

    /// Signs one user up, at the apis in turn.
    pub async fn one(&self) -> Attempt {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.sign_up(number, format!("{MARK}.{number}@example.com")).await
    }

    /// Signs one user up with an address that a rule of the mail server is about.
    pub async fn with_email(&self, email: &str) -> Attempt {
        self.sign_up(self.started.fetch_add(1, Ordering::Relaxed), email.to_owned()).await
    }

    async fn sign_up(&self, number: usize, email: String) -> Attempt {
        let username = format!("user_{number}");
        let form = serde_json::json!({
            "username": username,
            "full_name": format!("Full Name {MARK}"),
            "email": email,
            "password": format!("{MARK}-of-the-password-{number}"),
        });
        let url = format!("http://{}/v1/create_user", self.apis[number % self.apis.len()]);
        let mut request = self.client.post(url).json(&form);
        if let Some(host) = &self.host {
            request = request.header(reqwest::header::HOST, host);
        }
        let outcome = match request.send().await {
            Err(_) => Outcome::Unknown,
            Ok(response) => {
                let status = response.status().as_u16();
                match response.text().await {
                    Ok(_) if status == 200 => Outcome::Acknowledged,
                    Ok(body) => Outcome::Refused(status, body),
                    Err(_) => Outcome::Unknown,
                }
            }
        };
        let attempt = Attempt { username, email, outcome };
        self.attempts.lock().push(attempt.clone());
        attempt
    }

    async fn one_in_time(&self) -> Attempt {
        loop {
            let attempt = self.one().await;
            match &attempt.outcome {
                Outcome::Refused(503, body) if body.contains("too many signups at once") => {
                    tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                }
                _ => return attempt,
            }
        }
    }

    /// Signs `count` users up, `concurrency` at a time. Those who were told to come back later do not count.
    pub async fn many(self: &Arc<Self>, count: usize, concurrency: usize) -> Vec<Attempt> {
        let left = Arc::new(AtomicUsize::new(count));
        let mut clients = JoinSet::new();
        for _ in 0..concurrency {
            let (signups, left) = (Arc::clone(self), Arc::clone(&left));
            clients.spawn(async move {
                let mut attempts = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    attempts.push(signups.one_in_time().await);
                }
                attempts
            });
        }
        clients.join_all().await.into_iter().flatten().collect()
    }

    /// Signs users up, `concurrency` at a time, until the load is stopped.
    pub(crate) fn load(self: &Arc<Self>, concurrency: usize) -> Load {
        let (stop, mut clients) = (CancellationToken::new(), JoinSet::new());
        for _ in 0..concurrency {
            let (signups, stop) = (Arc::clone(self), stop.clone());
            clients.spawn(async move {
                while !stop.is_cancelled() {
                    if signups.one().await.outcome != Outcome::Acknowledged {
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    }
                }
            });
        }
        Load { stop, clients }
    }

    /// Signs a user up about every `pause` until the load is stopped: two clients in turn, each of which waits for its
    /// answer, so that a slow machine gets a smaller load instead of a growing one.
    pub fn steadily(self: &Arc<Self>, pause: Duration) -> Load {
        let (stop, mut clients) = (CancellationToken::new(), JoinSet::new());
        for _ in 0..STEADY_CLIENTS {
            let (signups, stop) = (Arc::clone(self), stop.clone());
            clients.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(pause * STEADY_CLIENTS)).await.is_some() {
                    signups.one().await;
                }
            });
        }
        Load { stop, clients }
    }
}

/// Signups on and on in the background.
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts no more signups and waits for the last answers.
    pub async fn stop(self) {
        self.stop.cancel();
        self.clients.join_all().await;
    }
}
