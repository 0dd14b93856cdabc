//! What the `api` processes of a pipeline tell each other of their signups, through Redis.
//!
//! Takes: what this process admitted. Gives: what all admitted, and how many they are. Does not: hold up a request;
//! while Redis is away the buckets go on with the last number of processes.

use super::SignupLimit;
use pipeline::Live;
use queue::{Error, Exchanged, Fleet};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How long another process may not know of a signup: one round trip to Redis each time.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// Exchanges until `stop`.
pub(crate) async fn run(limit: Arc<SignupLimit>, live: Live, fleet: Fleet, stop: CancellationToken) {
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = true;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let Some(per_minute) = NonZeroU32::new(live.document().signup.per_minute_per_ip) else { continue };
        let exchanged = exchange_once(&limit, per_minute, &fleet).await;
        if let Err(error) = &exchanged
            && answered
        {
            let cause = std::error::Error::source(error).map(pipeline::chain);
            tracing::warn!(%error, cause, "signups are limited without the other api processes until Redis answers");
        }
        answered = exchanged.is_ok();
    }
    // It may be gone as well; this process is forgotten soon, then.
    let _ = fleet.leave().await;
}

async fn exchange_once(limit: &SignupLimit, per_minute: NonZeroU32, fleet: &Fleet) -> Result<(), Error> {
    let (untold, cost) = limit.with(per_minute, |buckets| (buckets.untold(), buckets.cost()));
    let named: Vec<(String, u32)> = untold.iter().map(|(client, count)| (client.to_string(), *count)).collect();
    let exchanged = fleet.exchange(&format!("signups:{per_minute}"), cost, &named).await;
    limit.with(per_minute, |buckets| {
        match &exchanged {
            Ok(exchanged) => {
                let told = untold.iter().map(|(client, _)| *client).zip(exchanged.told.iter().copied());
                let known =
                    exchanged.known.iter().filter_map(|(name, debt)| Some((name.parse::<IpAddr>().ok()?, *debt)));
                buckets.learn(u32::try_from(exchanged.members).unwrap_or(u32::MAX), known.chain(told), Instant::now());
            }
            Err(_) => buckets.not_told(&untold),
        }
        buckets.forget_paid(Instant::now());
    });
    exchanged.map(report)
}

fn report(exchanged: Exchanged) {
    metrics::gauge!("signup_limit_processes").set(exchanged.members as f64);
}
