//! Who else uses a Redis that was given: a pipeline of a cluster, or another local run.
//!
//! Takes: the connection, and by what this run is known, which is how it is known in its database, too. Gives: a line
//! about each of the others, and the name in Redis, where the operator of a cluster finds it; it goes with the end of
//! the run. Does not: keep anybody out, or need an answer.

use super::screen::say;
use crate::controller::scale::shares_with;
use queue::{Connection, Presence};
use std::{collections::BTreeSet, time::Duration};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

/// Time between two looks, as of an operator in a cluster.
const INTERVAL: Duration = Duration::from_secs(300);

/// For a connection and an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Looks for them until it is dropped; then the database is free for others, if Redis answers, else an hour later.
pub(super) struct Neighbours {
    presence: Presence,
    own: String,
    looks: JoinHandle<()>,
}

impl Neighbours {
    /// The first look is over when this returns, so that it is told before the first mail is taken.
    pub(super) async fn start(connection: Connection, own: String) -> Self {
        let presence = Presence::new(connection);
        let told = look(&presence, &own, BTreeSet::new()).await;
        let looks = tokio::spawn(keep_looking(presence.clone(), own.clone(), told));
        Self { presence, own, looks }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.looks.abort();
        let leaving = async { timeout(TIMEOUT, self.presence.leave(&self.own)).await };
        // Here and not in a task, for the program may end next.
        let _ = tokio::task::block_in_place(|| Handle::current().block_on(leaving));
    }
}

async fn keep_looking(presence: Presence, own: String, mut told: Option<BTreeSet<String>>) {
    while let Some(known) = told {
        tokio::time::sleep(INTERVAL).await;
        told = look(&presence, &own, known).await;
    }
}

/// Tells of those that were not there before; gives all that are there, or `None` where looking is forbidden.
async fn look(presence: &Presence, own: &str, told: BTreeSet<String>) -> Option<BTreeSet<String>> {
    match timeout(TIMEOUT, presence.tell(own)).await {
        Ok(Ok(others)) => {
            let others = others.into_iter().collect::<BTreeSet<_>>();
            let found = others.difference(&told).filter_map(|other| shares_with(own, other));
            found.for_each(|finding| say(&finding.message));
            Some(others)
        }
        Ok(Err(error)) if error.is_forbidden() => {
            say("nobody looks whether another pipeline uses this Redis: allow its user ~asynq:presence");
            None
        }
        // That Redis does not answer is told by api and workers.
        Ok(Err(_)) | Err(_) => Some(told),
    }
}
