//! `GET /state`: all that the operator asks a process for, in one answer that may wait for a change.
//!
//! Takes: the version that the asker knows (`since`), and how many seconds to hold the request while it is the newest
//! (`wait`). Gives: the state as JSON with its version, at once when it differs from that one. Does not: keep anything
//! of an asker; the version is a hash of the state.

use super::{Admin, Config};
use axum::{
    Json,
    extract::{Query, State as Of},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest that a request is held, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Time between two looks for a held request: readiness asks servers, so each look costs them something. A new
/// configuration is seen at once.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Query of the request.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    since: Option<String>,
    /// Seconds.
    #[serde(default)]
    wait: u64,
}

/// Body of the answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Hash of the rest.
    version: String,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
struct State {
    /// As `GET /config`; absent without a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    /// As `GET /readyz`.
    ready: bool,
    /// What is missing; absent when it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// What the program tells beside it, by the name of its path.
    #[serde(flatten)]
    told: Map<String, Value>,
}

pub(super) async fn state(Of(admin): Of<Admin>, Query(asked): Query<Asked>) -> Json<Answer> {
    let end = Instant::now() + Duration::from_secs(asked.wait).min(MAX_WAIT);
    let mut live = admin.live.clone();
    loop {
        let answer = admin.state().await;
        if asked.since.as_ref() != Some(&answer.version) || Instant::now() >= end {
            return Json(answer);
        }
        let next = end.min(Instant::now() + POLL_INTERVAL);
        match &mut live {
            // Whether there is a change or the time is over, it looks again.
            Some(live) => drop(timeout_at(next, live.changed()).await),
            None => sleep_until(next).await,
        }
    }
}

impl Admin {
    async fn state(&self) -> Answer {
        let config = self.live.as_ref().map(|live| live.now()).map(Config::of);
        let missing = (self.ready)().await.err();
        let told = self.told.iter().map(|(name, tell)| ((*name).to_owned(), tell())).collect();
        let state = State { config, ready: missing.is_none(), missing, told };
        // It has no keys but texts, so it is written.
        let version = pipeline::hash([serde_json::to_vec(&state).unwrap_or_default().as_slice()]);
        Answer { version, state }
    }
}
