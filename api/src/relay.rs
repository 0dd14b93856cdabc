//! Committed intents on their way to Redis.

use signup::{Intent, Store};
use tokio_util::sync::CancellationToken;

/// Hands committed intents to Redis.
pub(crate) struct Relay;

impl Relay {
    /// A relay between `store` and `client`.
    pub(crate) fn new(_store: Store, _client: queue::Client) -> Self {
        Self
    }

    /// Runs until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }

    /// Hands one over at once, best effort.
    pub(crate) async fn hand_over(&self, _intent: &Intent) {}

    /// Says that something was committed.
    pub(crate) fn wake(&self) {}
}
