//! The open connections of one interface, and who goes when there are too many.
//!
//! Takes: how many there may be. Gives: a permit for a new one, for which the longest idle one goes when all are taken;
//! where none idles, the new one waits, and a request is told that does nothing but wait, if there is one. Does not:
//! end one amid a request.

use super::{
    Protocol,
    activity::{Activity, End},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a connection that was asked for its permit may take to give it up before the next is asked.
const TIMEOUT: Duration = Duration::from_millis(500);

/// All of an interface.
#[derive(Debug)]
pub(super) struct Connections {
    protocol: Protocol,
    permits: Arc<Semaphore>,
    open: Mutex<(u64, HashMap<u64, Arc<Activity>>)>,
    crowded: Arc<Notify>,
}

/// A connection with its permit, which is free when this is dropped.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(protocol: Protocol, most: u32, crowded: Arc<Notify>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(most as usize));
        Arc::new(Self { protocol, permits, open: Mutex::default(), crowded })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open.lock().1.len()
    }

    /// A permit, once there is one.
    pub(super) async fn permit(self: &Arc<Self>) -> Permitted {
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned();
            tokio::select! {
                biased;
                // The semaphore is never closed.
                Ok(permit) = permit => return self.permitted(permit),
                () = self.end_the_longest_idle() => {}
            }
        }
    }

    fn permitted(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permitted {
        let activity = Arc::new(Activity::new(self.protocol));
        let mut open = self.open.lock();
        let id = open.0;
        open.0 += 1;
        open.1.insert(id, Arc::clone(&activity));
        drop(open);
        Permitted { activity, connections: Arc::clone(self), id, _permit: permit }
    }

    async fn end_the_longest_idle(&self) {
        let longest = {
            let open = self.open.lock();
            // Asked once: a request may begin meanwhile.
            let idle = open.1.values().filter_map(|activity| Some((activity.idle_since()?, activity)));
            idle.min_by_key(|(since, _)| *since).map(|(_, activity)| Arc::clone(activity))
        };
        match longest {
            Some(activity) => activity.end_idle(End::Crowded),
            None => self.crowded.notify_one(),
        }
        tokio::time::sleep(TIMEOUT).await;
    }

    /// Asks the connection to end that holds the most permits for requests that wait for its client, and says how many
    /// permits it has; 0: there is none.
    pub(super) fn end_the_greatest_holder(&self) -> usize {
        let open = self.open.lock();
        let greatest = open.1.values().max_by_key(|activity| activity.held());
        let Some(activity) = greatest.filter(|activity| activity.held() > 0) else { return 0 };
        activity.end(End::Overrun);
        activity.permitted()
    }
}

impl Drop for Permitted {
    fn drop(&mut self) {
        self.connections.open.lock().1.remove(&self.id);
    }
}
