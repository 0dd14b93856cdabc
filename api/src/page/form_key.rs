//! The key in the form of a page, by which a second click is the same request.
//!
//! Takes: what the form sent. Gives: a key for each form that is shown, and one answer to all clicks on a button. Does
//! not: keep keys; the form does.

use crate::{error::ApiError, idempotency::IdempotencyKey, peer::Peer};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a second click waits for what the first one comes to.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two polls whether it has come.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A new key; empty where the system has no randomness: then each click is a request of its own.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    let filled = getrandom::fill(&mut bytes);
    if filled.is_err() { String::new() } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}

/// The key that a form came with, for the next one; a new one where it had none that can be used.
pub(super) fn kept(key: String) -> String {
    if IdempotencyKey::read(&key).is_some() { key } else { random() }
}

/// One click: `ask`s under a key, and once more as soon as no other click's request is under way: of a second click the
/// browser shows this answer alone, and may have broken off the first request. Only the first `ask` names the client,
/// whose limit it counts against.
pub(super) async fn press<T, Asked, Looked>(
    key: Option<IdempotencyKey>,
    peer: Peer,
    ask: impl Fn(Option<IdempotencyKey>, Option<Peer>) -> Asked,
    is_under_way: impl Fn([u8; 32]) -> Looked,
) -> Result<T, ApiError>
where
    Asked: Future<Output = Result<T, ApiError>>,
    Looked: Future<Output = bool>,
{
    let end = Instant::now() + TIMEOUT;
    let mut asked = ask(key.clone(), Some(peer)).await;
    while let (Err(ApiError::KeyRunning), Some(known)) = (&asked, &key)
        && Instant::now() < end
    {
        sleep(POLL_INTERVAL).await;
        while Instant::now() < end && is_under_way(known.hash()).await {
            sleep(POLL_INTERVAL).await;
        }
        asked = ask(key.clone(), None).await;
    }
    match asked {
        // Somebody went back and changed what is no part of the key.
        Err(ApiError::KeyReused) => ask(None, None).await,
        asked => asked,
    }
}
