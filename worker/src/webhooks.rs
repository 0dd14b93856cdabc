//! Tells applications of users and mails.
//!
//! Takes: what PostgreSQL owes to the URLs of `webhooks`. Gives: POST requests, signed as the Standard Webhooks
//! specification says (v1), and what came of them, recorded; at least once each, with the same id and body. Does not:
//! pass Redis, take a place or wait from mails, or wait for one receiver before another: each URL has a task of its
//! own, with a circuit breaker of its own.
//!
//! # Layout
//!
//! - `sender`: what is owed to one URL; `breaker`: when nothing is sent to it
//! - `post`: one request; `local`: where none may go
//! - `signature`: how it is signed; `standing`: which receivers take nothing, for the operator

mod breaker;
mod local;
mod post;
mod sender;
mod signature;
mod standing;

pub use standing::Report;
pub(crate) use standing::Standings;

use crate::ownership::Ownership;
use pipeline::Live;
use sender::{RESULTS, Sender};
use signup::Store;
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Time between two rounds of forgetting what was given up long ago.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Describes the metrics and makes them visible before the first webhook: a rate needs its zero.
pub(crate) fn begin() {
    metrics::describe_counter!("signup_webhook_requests_total", "Requests to the URLs of webhooks, by result.");
    metrics::describe_counter!("signup_webhooks_dead_total", "Webhooks that were given up.");
    metrics::counter!("signup_webhooks_dead_total").increment(0);
    for result in RESULTS {
        metrics::counter!("signup_webhook_requests_total", "result" => result).increment(0);
    }
}

/// Sends what is owed to each URL of the configuration in force, until `draining`; then ends with what is under way.
pub(crate) async fn run(
    mut live: Live,
    store: Store,
    ownership: watch::Receiver<Ownership>,
    wait: fn(Duration, Duration) -> Duration,
    standings: Standings,
    draining: CancellationToken,
) {
    let mut senders = JoinSet::new();
    let mut urls = BTreeSet::new();
    let mut forgetting = interval(FORGET_INTERVAL);
    forgetting.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !draining.is_cancelled() {
        for webhook in &live.document().webhooks {
            if urls.insert(webhook.url.clone()) {
                let (url, draining, known) = (webhook.url.clone(), draining.clone(), standings.clone());
                let sender = Sender::new(url.clone(), live.clone(), store.clone(), ownership.clone(), wait, known);
                senders.spawn(async move {
                    sender.run(&draining).await;
                    url
                });
            }
        }
        tokio::select! {
            changed = live.changed() => if changed.is_none() { break },
            // A sender ends when its URL is taken out of the configuration; it may have come back meanwhile.
            Some(Ok(url)) = senders.join_next(), if !senders.is_empty() => drop(urls.remove(&url)),
            _ = forgetting.tick(), if ownership.borrow().is_ok() && !urls.is_empty() => {
                let _ = store.forget_deliveries().await;
            }
            () = draining.cancelled() => {}
        }
    }
    while senders.join_next().await.is_some() {}
}
