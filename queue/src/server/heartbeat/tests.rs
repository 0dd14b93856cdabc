//! What a lost lease does to an attempt.

use super::*;
use crate::{
    Connection, Settings,
    broker::{Broker, Taken},
    server::held::Held,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_lost_lease_cancels_a_running_attempt_and_none_whose_settlement_is_being_written() {
    let broker = Broker::new(Connection::open(&servers::redis().fresh_database(), None).expect("a good URI"));
    let settings = Settings { queues: Vec::new(), concurrency: 0, ..Settings::default() };
    let (sender, _settlements) = tokio::sync::mpsc::unbounded_channel();
    let shared = Shared::new(broker, tokio::sync::watch::channel(settings).1, sender);
    let handler = tokio::spawn(std::future::pending::<()>());
    let attempt = |number, abort| {
        let held = Held {
            number,
            queue: shared.queues.get("default"),
            taken: Taken { id: "a".to_owned(), message: Vec::new(), unread_bytes: None },
            token: "A".into(),
        };
        let attempt = Attempt {
            held: Arc::new(held),
            started: shared.started,
            ends: shared.started,
            cancelled: CancellationToken::new(),
            lease_until: Instant::now(),
            abort,
        };
        shared.running.insert(attempt.clone());
        attempt
    };
    let attempts = [attempt(0, None), attempt(1, Some(handler.abort_handle()))];
    extend_chunk(&shared, &attempts).await.expect("Redis answers");
    assert_eq!(attempts.map(|attempt| attempt.cancelled.is_cancelled()), [false, true]);
    handler.abort();
}
