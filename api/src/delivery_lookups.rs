//! The states that clients ask for, looked up together.
//!
//! Takes: an account. Gives: its state, by one statement for all that are asked for at that time, and no two of them
//! within a second: a process asks PostgreSQL at a bounded rate, however many clients wait, and nobody learns the
//! moment of a change to less than that. The first question after a pause is answered at once. Does not: keep a state.

use parking_lot::Mutex;
use signup::{Account, DeliveryState, Store};
use std::{collections::HashMap, time::Duration};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Between two statements.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Accounts of one statement; further ones are of the next.
const BATCH: usize = 500;

/// Outer `None`: the database did not answer. Inner: there is no such user.
type Answer = Option<Option<DeliveryState>>;

/// What is asked for.
#[derive(Default)]
pub(crate) struct Lookups {
    asked: Mutex<HashMap<Account, Vec<oneshot::Sender<Answer>>>>,
    wake: Notify,
}

impl Lookups {
    /// The state of an account once it is looked up; see [`Answer`].
    pub(crate) async fn state_of(&self, account: &Account) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.asked.lock().entry(account.clone()).or_default().push(sender);
        self.wake.notify_one();
        answer.await.ok().flatten()
    }

    /// Looks up what is asked for until `stop`.
    pub(crate) async fn run(&self, store: &Store, stop: &CancellationToken) {
        while stop.run_until_cancelled(self.wake.notified()).await.is_some() {
            let round = async {
                self.look_up(store).await;
                sleep(POLL_INTERVAL).await;
            };
            stop.run_until_cancelled(round).await;
        }
        self.asked.lock().clear();
    }

    async fn look_up(&self, store: &Store) {
        let asked = self.take();
        if asked.is_empty() {
            return;
        }
        let accounts: Vec<Account> = asked.keys().cloned().collect();
        let states = store.delivery_states(&accounts).await;
        if let Err(error) = &states {
            let cause = std::error::Error::source(error).map(pipeline::chain);
            tracing::warn!(%error, cause, "failed to look up states of delivery");
        }
        for (account, waiting) in asked {
            let answer = states.as_ref().ok().map(|states| states.get(&account).copied());
            for sender in waiting {
                // Whoever asked may have gone.
                let _ = sender.send(answer);
            }
        }
    }

    /// What the next statement is about: nobody's who has gone.
    fn take(&self) -> HashMap<Account, Vec<oneshot::Sender<Answer>>> {
        let mut asked = self.asked.lock();
        asked.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        if asked.len() <= BATCH {
            return std::mem::take(&mut *asked);
        }
        self.wake.notify_one();
        let next: Vec<Account> = asked.keys().take(BATCH).cloned().collect();
        next.into_iter().filter_map(|account| asked.remove_entry(&account)).collect()
    }
}
