//! Getting the database ready, and saying whether it is.
//!
//! Takes: the store, who applies the schema, and who claims the database. Gives: on a watch channel whether the schema
//! is there and the database ours, however long PostgreSQL stays away; and the answer for readiness probes. Does not:
//! let Redis or the mail server decide readiness: a signup needs neither.

use pipeline::{Unready, chain, document::Migrations};
use signup::{Claimant, Store, StoreError};
use std::{error::Error as _, time::Duration};
use tokio::sync::watch;

/// Wait before the next try, growing from the first to the last.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Time PostgreSQL has to answer a probe.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is asked whose the database is: what another owner waits until this one leaves it alone.
const OWNER_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the schema is there and the database ours; else what is in its way, as far as is known.
pub(crate) type SchemaState = Result<(), Unready>;

/// Gets the database ready and keeps looking whose it is; says so, and what is in the way until then, on `state`.
/// Returns never.
pub(crate) async fn keep(
    store: Store,
    migrations: Migrations,
    claimant: impl Fn() -> Claimant,
    state: watch::Sender<SchemaState>,
) {
    // Taken over once: a pipeline that hands the database on must not take it back by the same word.
    let mut was_ours = false;
    loop {
        let mut waits = WAITS.iter().chain(std::iter::repeat(&WAITS[WAITS.len() - 1]));
        loop {
            let mut claimant = claimant();
            claimant.take_over_from = claimant.take_over_from.filter(|_| !was_ours);
            let now = try_once(&store, migrations, &claimant).await;
            let is_there = now.is_ok();
            publish(&state, now);
            if is_there {
                break;
            }
            tokio::time::sleep(*waits.next().unwrap_or(&WAITS[0])).await;
        }
        was_ours = true;
        publish(&state, Err(until_lost(&store, &claimant).await));
    }
}

fn publish(state: &watch::Sender<SchemaState>, now: SchemaState) {
    state.send_if_modified(|known| {
        let is_news = *known != now;
        *known = now;
        is_news
    });
}

/// Returns when the database is another pipeline's. While it does not answer, it is ours.
async fn until_lost(store: &Store, claimant: &impl Fn() -> Claimant) -> Unready {
    loop {
        tokio::time::sleep(OWNER_POLL_INTERVAL).await;
        let asked = tokio::time::timeout(PING_TIMEOUT, store.demand_ownership(&claimant())).await;
        let Ok(Err(error)) = asked else { continue };
        if let lost @ (Unready::Shared(_) | Unready::Unclaimed) = error.unready() {
            tracing::error!("{lost}; nothing of it is touched from now on");
            return lost;
        }
    }
}

async fn try_once(store: &Store, migrations: Migrations, claimant: &Claimant) -> SchemaState {
    let done = match migrations {
        Migrations::Auto => store.migrate_for(claimant).await.map(|()| true),
        Migrations::Manual => claim_made_schema(store, claimant).await,
    };
    match (&done, migrations) {
        (Ok(true), Migrations::Auto) => tracing::info!("db migrated successfully"),
        (Ok(true), Migrations::Manual) => tracing::info!("the database has the schema"),
        (Ok(false), _) => {
            tracing::warn!("the database lacks the schema; apply migrations/ (database.migrations: Manual)")
        }
        (Err(error), _) => {
            let cause = error.source().map(chain);
            tracing::error!(%error, cause, "failed to prepare the database, trying again");
        }
    }
    match done {
        Ok(true) => Ok(()),
        Err(error) => match error.unready() {
            // Whether PostgreSQL answers is asked anew at each probe.
            lasting if lasting.lasts() => Err(lasting),
            _ => Err(Unready::NoSchema),
        },
        Ok(false) => Err(Unready::NoSchema),
    }
}

/// Whether the schema is there, which somebody else makes; then the database is claimed.
async fn claim_made_schema(store: &Store, claimant: &Claimant) -> Result<bool, StoreError> {
    let is_there = store.schema_ready().await?;
    if is_there {
        store.claim(claimant).await?;
    }
    Ok(is_there)
}

/// The answer to readiness probes. Once the tables were there, each probe looks whether they still are.
///
/// # Errors
///
/// What is missing, without addresses or other secrets.
pub(crate) async fn readiness(store: &Store, state: &watch::Receiver<SchemaState>) -> Result<&'static str, String> {
    let known = state.borrow().clone();
    let asking = async {
        match known {
            Ok(()) => store.usable().await.map_err(|error| error.unready()),
            Err(missing) => Err(store.ping().await.map_or_else(|error| error.unready(), |()| missing)),
        }
    };
    let answer = tokio::time::timeout(PING_TIMEOUT, asking).await.unwrap_or(Err(Unready::Silent));
    answer.map(|()| "ok").map_err(|unready| unready.to_string())
}
