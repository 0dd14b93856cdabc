//! Mails that are owed and due, for measurements of the worker alone.
//!
//! Takes: a deployment and a number. Gives: that many users in PostgreSQL whose tasks api's relay has handed to Redis,
//! and, after the worker's part, whether each mail is recorded as sent. Does not: leave an api running.

use crate::deployment::{Deployment, QUEUE};
use anyhow::ensure;
use queue::{Connection, Inspector};
use signup::{EmailAddress, FullName, NewUser, Policy, State, Store, Username, verification::Keys};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// Callers of the store at once, each with a connection.
pub(super) const CALLERS: usize = 8;
/// For the relay to hand all tasks over.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Has `mails` mails owed, and waits until all their tasks are in Redis and due.
pub(super) async fn owe(deployment: &Deployment, mails: usize) -> anyhow::Result<()> {
    let api = deployment.api().await?;
    let store = Store::connect(&deployment.database_uri, None, CALLERS as u32)?;
    write_users(deployment, &store, 0..mails).await?;
    wait_until_handed_over(deployment, mails).await?;
    drop(api);
    Ok(())
}

/// A mail sent and not recorded would be sent again: a rate reached that way would be a lie. The worker has ended, so
/// nothing is under way.
pub(super) async fn check_recorded(deployment: &Deployment, mails: usize) -> anyhow::Result<()> {
    let sent = Store::connect(&deployment.database_uri, None, 1)?.counts().await?.by_state[&State::Sent];
    ensure!(sent == mails as u64, "{sent} of {mails} mails are recorded as sent");
    Ok(())
}

/// Writes users without hashing, [`CALLERS`] at once.
pub(super) async fn write_users(deployment: &Deployment, store: &Store, numbers: Range<usize>) -> anyhow::Result<()> {
    let policy = Arc::new(Policy::from(&deployment.document));
    let keys = Arc::new(Keys::load(&deployment.keys_dir())?);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, policy, keys) = (store.clone(), Arc::clone(&policy), Arc::clone(&keys));
            let numbers = (numbers.start + caller..numbers.end).step_by(CALLERS);
            tokio::spawn(async move {
                for number in numbers {
                    store.create_user(&new_user(number)?, &policy, &keys).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(())
}

/// A user without a password.
fn new_user(number: usize) -> anyhow::Result<NewUser> {
    Ok(NewUser {
        username: Username::parse(&format!("user_{number}"))?,
        full_name: FullName::parse("Bench User")?,
        email: EmailAddress::parse(&format!("user{number}@example.com"))?,
        // No one logs in here, so there is nothing to verify.
        hashed_password: "none".to_owned(),
        locale: None,
    })
}

/// Waits until all tasks are in Redis and due.
async fn wait_until_handed_over(deployment: &Deployment, mails: usize) -> anyhow::Result<()> {
    let inspector = Inspector::new(Connection::open(&deployment.redis.uri(0), None)?);
    let start = Instant::now();
    loop {
        let state = inspector.queue(QUEUE, Duration::ZERO).await?;
        if state.pending + state.due == mails as u64 {
            return Ok(());
        }
        ensure!(
            start.elapsed() < TIMEOUT,
            "the relay handed over only {} of {mails} tasks",
            state.pending + state.scheduled
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
