//! What is owed to one URL, sent.
//!
//! Takes: the URL; its settings from the configuration in force, each time. Gives: each delivery leased, sent and
//! recorded, several at once, none while the circuit breaker is open. Does not: count what a receiver that is down does
//! not take as a failure of the delivery: that waits, and comes again until its deadline.

use super::{
    breaker::Breaker,
    post::{Failure, Receiver, Signed, misconfigured, unreadable},
    signature,
    standing::Standings,
};
use crate::{ownership::Ownership, random, retry_wait};
use jiff::Timestamp;
use pipeline::{Live, document::Webhook};
use signup::{Delivery, DeliveryEnd, Store};
use std::time::Duration;
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often PostgreSQL is asked for what is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long one worker has a delivery to itself: longer than a request takes and is recorded.
const LEASE: Duration = Duration::from_secs(60);

/// PostgreSQL may never answer; a result that is not recorded makes the delivery due again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends to one URL; one per URL and process.
pub(super) struct Sender {
    url: String,
    live: Live,
    store: Store,
    ownership: watch::Receiver<Ownership>,
    breaker: Breaker,
    standings: Standings,
}

type Sent = (Delivery, Result<(), Failure>);

impl Sender {
    pub(super) fn new(
        url: String,
        live: Live,
        store: Store,
        ownership: watch::Receiver<Ownership>,
        wait: fn(Duration, Duration) -> Duration,
        standings: Standings,
    ) -> Self {
        Self { url, live, store, ownership, breaker: Breaker::new(wait), standings }
    }

    /// Sends until `draining`, or until the URL is none of the configuration's; then ends with what is under way.
    pub(super) async fn run(mut self, draining: &CancellationToken) {
        let mut under_way: JoinSet<Sent> = JoinSet::new();
        while let Some(webhook) = self.webhook().filter(|_| !draining.is_cancelled()) {
            for delivery in self.leased(under_way.len()).await {
                let webhook = webhook.clone();
                under_way.spawn(async move {
                    let result = send(&webhook, &delivery).await;
                    (delivery, result)
                });
            }
            tokio::select! {
                Some(Ok((delivery, result))) = under_way.join_next(), if !under_way.is_empty() => {
                    self.settle(&delivery, result).await;
                }
                () = sleep(POLL_INTERVAL) => {}
                () = draining.cancelled() => {}
            }
        }
        while let Some(ended) = under_way.join_next().await {
            if let Ok((delivery, result)) = ended {
                self.settle(&delivery, result).await;
            }
        }
        self.standings.forget(&self.url);
    }

    fn webhook(&self) -> Option<Webhook> {
        self.live.document().webhooks.iter().find(|webhook| webhook.url == self.url).cloned()
    }

    async fn leased(&self, under_way: usize) -> Vec<Delivery> {
        let free = self.breaker.allowed().saturating_sub(under_way);
        if free == 0 || self.ownership.borrow().is_err() {
            return Vec::new();
        }
        let leasing = self.store.lease_deliveries(&self.url, u32::try_from(free).unwrap_or(1), LEASE);
        // That PostgreSQL is away is told by others.
        tokio::time::timeout(ANSWER_TIMEOUT, leasing).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn settle(&mut self, delivery: &Delivery, result: Result<(), Failure>) {
        let works = !matches!(result, Err(Failure::Down { .. } | Failure::Misconfigured(_)));
        let has_changed = self.breaker.record(works);
        self.standings.record(&self.url, self.host(), result.as_ref().copied());
        if has_changed {
            self.announce(result.as_ref().err());
        }
        let label = label(&result);
        metrics::counter!("signup_webhook_requests_total", "result" => label).increment(1);
        let recording = async {
            match &result {
                Ok(()) => self.store.record_delivered(delivery).await.map(|_| None),
                Err(failure) => {
                    let (counted, after) = self.wait(delivery, failure);
                    self.store.record_undelivered(delivery, label, counted, after).await.map(Some)
                }
            }
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, recording).await {
            Ok(Ok(Some(DeliveryEnd::Dead))) => {
                metrics::counter!("signup_webhooks_dead_total").increment(1);
                let (id, event, host) = (&delivery.id, &delivery.event, self.host());
                let cause = result.err().map(|failure| failure.to_string());
                tracing::error!(webhook.id = %id, webhook.event = event, webhook.host = host, cause, "webhook dead");
            }
            Ok(Ok(_)) => tracing::debug!(webhook.id = %delivery.id, result = label, "webhook sent"),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(webhook.id = %delivery.id, result = label, "webhook not recorded, it comes due again");
            }
        }
    }

    /// Whether the failure counts, and how long the delivery waits after it.
    fn wait(&self, delivery: &Delivery, failure: &Failure) -> (bool, Duration) {
        let backoff = self.live.document().task.backoff;
        match failure {
            Failure::Down { after, .. } => (false, after.unwrap_or_else(|| self.breaker.wait()).min(backoff.max)),
            Failure::Misconfigured(_) => (false, self.breaker.wait().min(backoff.max)),
            Failure::Refused(_) => (true, retry_wait::policy(&backoff).delay(delivery.failures, random::number())),
        }
    }

    fn announce(&self, failure: Option<&Failure>) {
        let (host, cause) = (self.host(), failure.map(ToString::to_string));
        if self.breaker.is_open() {
            tracing::warn!(webhook.host = host, cause, "webhooks to this host wait until a probe is taken");
        } else {
            tracing::info!(webhook.host = host, "webhooks to this host are taken again");
        }
    }

    /// What may be logged of a URL: a path may hold a secret.
    fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }
}

/// What [`label`] gives.
pub(super) const RESULTS: [&str; 4] = ["delivered", "down", "refused", "misconfigured"];

fn label(result: &Result<(), Failure>) -> &'static str {
    RESULTS[match result {
        Ok(()) => 0,
        Err(Failure::Down { .. }) => 1,
        Err(Failure::Refused(_)) => 2,
        Err(Failure::Misconfigured(_)) => 3,
    }]
}

/// The secret is read each time, so that a new one needs nothing but its file.
async fn send(webhook: &Webhook, delivery: &Delivery) -> Result<(), Failure> {
    let secrets = tokio::fs::read_to_string(&webhook.secret_file).await.map_err(|error| unreadable(&error))?;
    let (id, timestamp) = (delivery.id.to_string(), Timestamp::now().as_second());
    let signature = signature::of(&secrets, &id, timestamp, &delivery.body);
    let signature = signature.map_err(|error| misconfigured(&error.to_string()))?;
    let receiver = Receiver { url: &webhook.url, allows_local: webhook.allow_local_addresses };
    receiver.post(&Signed { id: &id, timestamp, signature: &signature, body: &delivery.body }).await
}
