//! Whether the database is this pipeline's.
//!
//! Takes: the store, and who asks. Gives: on a watch channel, nothing to say or whose it is; before it is known to be
//! ours, no task is taken. Does not: claim it (`api` does), or give it up because PostgreSQL is silent.

use pipeline::{Live, Unready};
use signup::{Claimant, Store};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How often it is asked: what another owner waits until this one leaves the database alone.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The same at the start, when nothing is sent before the answer.
const FIRST_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// PostgreSQL may never answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Nothing to say, or whose the database is.
pub(crate) type Ownership = Result<(), Unready>;

/// Asks for as long as it runs.
pub(crate) async fn follow(store: Store, live: Live, publish: watch::Sender<Ownership>) {
    loop {
        let claimant = Claimant::new(&live);
        if let Ok(answer) = timeout(ANSWER_TIMEOUT, store.demand_ownership(&claimant)).await
            && let Some(now) = read(answer.map_err(|error| error.unready()))
        {
            publish.send_if_modified(|known| {
                let is_news = *known != now;
                if let (true, Err(whose)) = (is_news, &now) {
                    tracing::error!("{whose}; no mail of it is sent");
                }
                *known = now;
                is_news
            });
        }
        let is_ours = publish.borrow().is_ok();
        sleep(if is_ours { POLL_INTERVAL } else { FIRST_POLL_INTERVAL }).await;
    }
}

/// Only an answer about the owner is one.
fn read(answer: Result<(), Unready>) -> Option<Ownership> {
    match answer {
        Ok(()) => Some(Ok(())),
        Err(whose @ (Unready::Shared(_) | Unready::Unclaimed)) => Some(Err(whose)),
        Err(_) => None,
    }
}
