//! Getting the database ready, and saying whether it is.
//!
//! Takes: the store and who applies the schema. Gives: on a watch channel whether the schema is there, however long
//! PostgreSQL stays away; and the answer for readiness probes. Does not: let Redis or the mail server decide readiness:
//! a signup needs neither.

use pipeline::{Unready, chain, document::Migrations};
use signup::Store;
use std::{error::Error as _, time::Duration};
use tokio::sync::watch;

/// Wait before the next try, growing from the first to the last.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Time PostgreSQL has to answer a probe.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the schema is there; else what is in its way, as far as is known.
pub(crate) type SchemaState = Result<(), Unready>;

/// Returns when the schema is there; says so, and what is in its way until then, on `state`.
pub(crate) async fn prepare(store: Store, migrations: Migrations, state: watch::Sender<SchemaState>) {
    let mut waits = WAITS.iter().chain(std::iter::repeat(&WAITS[WAITS.len() - 1]));
    loop {
        let now = try_once(&store, migrations).await;
        let is_there = now.is_ok();
        state.send_if_modified(|known| {
            let is_news = *known != now;
            *known = now;
            is_news
        });
        if is_there {
            return;
        }
        tokio::time::sleep(*waits.next().unwrap_or(&WAITS[0])).await;
    }
}

async fn try_once(store: &Store, migrations: Migrations) -> SchemaState {
    let done = match migrations {
        Migrations::Auto => store.migrate().await.map(|()| true),
        Migrations::Manual => store.schema_ready().await,
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
            lasting if lasting.is_about_content() || lasting == Unready::ReadOnly => Err(lasting),
            _ => Err(Unready::NoSchema),
        },
        Ok(false) => Err(Unready::NoSchema),
    }
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
