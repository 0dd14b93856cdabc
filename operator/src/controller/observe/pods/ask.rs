//! One request that a pod holds until something changes.
//!
//! Takes: an address, and the version of the state that is known. Gives: the state, once it is another one or the time
//! is over. Does not: keep a connection between two requests.
//!
//! hyper is used by itself, so that a held request, of which there is one per pod, has a read buffer of [`MAX_HEAD`]
//! and not of the eight kilobytes that it begins with otherwise (hyper 1, `proto/h1/io.rs`).

use super::{Mail, NotTaken, Receiver, Report, ask_old::AskerOfOld};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// A pod on a lost node does not answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What an answer may take beside the time that it is held for: a pod asks its servers first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer's head, which has four lines, and of its body.
const MAX_HEAD: usize = 1024;
const MAX_BODY: usize = 16 * 1024;

/// Asks pods on their admin ports.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) old: AskerOfOld,
}

/// What a pod answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its state, and the version to ask with next.
    State(Box<Report>, String),
    /// It has no such path: its image is older than the operator's.
    Old,
    /// None.
    Silent,
}

/// Body of `GET /state`.
#[derive(Debug, Deserialize)]
struct State {
    version: String,
    config: Option<Config>,
    ready: bool,
    missing: Option<String>,
    mail: Option<MailState>,
    templates: Option<Templates>,
    #[serde(default)]
    webhooks: Vec<ReceiverState>,
}

#[derive(Debug, Deserialize)]
struct Templates {
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Config {
    hash: String,
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
struct MailState {
    works: bool,
    phase: Option<String>,
    said: Option<String>,
    fault: Option<String>,
    connections: Option<u32>,
}

/// An entry of what a worker tells of webhooks.
#[derive(Debug, Deserialize)]
struct ReceiverState {
    host: String,
    works: bool,
    since: Option<String>,
    fault: Option<String>,
    said: Option<String>,
}

impl Asker {
    /// # Errors
    ///
    /// The HTTP client's, when it cannot be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { old: AskerOfOld::new()? })
    }

    /// Waits up to `hold` where `since` is the newest version; without one the answer comes at once.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        silent: &Report,
        since: Option<&str>,
        hold: Duration,
    ) -> Answer {
        let path = match since {
            Some(since) => format!("/state?since={since}&wait={}", hold.as_secs()),
            None => "/state".to_owned(),
        };
        let time = if since.is_some() { hold + ANSWER_TIMEOUT } else { ANSWER_TIMEOUT };
        match timeout(time, get(address, &path)).await {
            Ok(Ok((StatusCode::OK, body))) => serde_json::from_slice(&body)
                .map_or(Answer::Old, |state: State| Answer::State(Box::new(state.report(silent)), state.version)),
            Ok(Ok(_)) => Answer::Old,
            Ok(Err(error)) => {
                tracing::debug!(pod = silent.pod, %error, "a pod does not answer on its admin port");
                Answer::Silent
            }
            Err(_) => Answer::Silent,
        }
    }
}

impl State {
    fn report(&self, silent: &Report) -> Report {
        let missing = || self.missing.iter().flat_map(|missing| missing.chars()).take(200).collect();
        Report {
            hash: self.config.as_ref().map(|config| config.hash.clone()),
            refused: self.config.as_ref().and_then(|config| config.refused.clone()),
            ready: Some(if self.ready { Ok(()) } else { Err(missing()) }),
            templates: self.templates.as_ref().and_then(|templates| templates.refused.clone()),
            mail: self.mail.as_ref().map(MailState::mail),
            webhooks: self.webhooks.iter().map(ReceiverState::receiver).collect(),
            ..silent.clone()
        }
    }
}

impl MailState {
    fn mail(&self) -> Mail {
        let Self { works, phase, said, fault, connections } = self;
        match works {
            true => Mail::Works { connections: *connections },
            false => Mail::Fails { phase: phase.clone().unwrap_or_default(), said: said.clone(), fault: fault.clone() },
        }
    }
}

impl ReceiverState {
    fn receiver(&self) -> Receiver {
        let Self { host, works, since, fault, said } = self;
        let failing = NotTaken {
            since: since.as_ref().and_then(|since| since.parse().ok()),
            fault: fault.clone().unwrap_or_default(),
            said: said.iter().flat_map(|said| said.chars()).take(200).collect(),
        };
        Receiver { host: host.clone(), failing: (!works).then_some(failing) }
    }
}

type GetError = Box<dyn std::error::Error + Send + Sync>;

async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, Bytes), GetError> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    let mut settings = http1::Builder::new();
    settings.read_buf_exact_size(Some(MAX_HEAD));
    let (mut sender, connection) = settings.handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let (status, body) = (response.status(), Limited::new(response.into_body(), MAX_BODY));
        Ok((status, body.collect().await?.to_bytes()))
    };
    // The connection ends when the sender is gone.
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}
