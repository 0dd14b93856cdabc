//! The key in the form of a page, by which a second click is the same request.
//!
//! Gives: a new key, and how a second click waits for the first one. Does not: keep any; the form does.

use std::time::Duration;

/// How long a second click waits for what the first one comes to.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Time between looks whether it has come.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A new key; empty where the system has no randomness: then each click is a request of its own.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    let filled = getrandom::fill(&mut bytes);
    if filled.is_err() { String::new() } else { bytes.iter().map(|byte| format!("{byte:02x}")).collect() }
}
