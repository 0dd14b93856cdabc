//! What nobody finished.

use signup::Store;
use tokio_util::sync::CancellationToken;

/// Finds what nobody finished.
pub(crate) struct Sweeper;

impl Sweeper {
    /// A sweeper over `store` and `client`.
    pub(crate) fn new(_store: Store, _client: queue::Client) -> Self {
        Self
    }

    /// Runs until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }
}
