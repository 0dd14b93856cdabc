//! Who is told of users and mails, as the configuration says.
//!
//! Takes: each version of the configuration. Gives: its `webhooks` in PostgreSQL, where triggers write down what is
//! owed to them in the transaction of what it is about. Does not: send anything; workers do.

use crate::schema::SchemaState;
use pipeline::Live;
use signup::Store;
use std::time::Duration;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

/// Between two tries to write it down.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Follows the configuration until `stop`.
pub(crate) async fn follow(
    store: Store,
    mut live: Live,
    mut schema_ready: watch::Receiver<SchemaState>,
    stop: CancellationToken,
) {
    let following = async {
        // Where nobody looks after the schema any longer, the program ends.
        while schema_ready.wait_for(Result::is_ok).await.is_ok() {
            match store.set_webhooks(&live.document()).await {
                Ok(()) if live.changed().await.is_none() => return,
                Ok(()) => {}
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(pipeline::chain);
                    tracing::warn!(%error, cause, "webhooks are as they were; it is tried again");
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    };
    stop.run_until_cancelled(following).await;
}
