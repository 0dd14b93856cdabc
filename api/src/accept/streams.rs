//! The requests that all connections of HTTP/2 have under way, bounded for the whole process.
//!
//! Takes: how many there may be. Gives: a place for a new one. When all are taken, the connection that holds the most
//! requests waiting for its client (an answer it does not take, a message it does not end) goes at once, with all of
//! them; a connection with more than its share of the places is refused instead. Does not: count HTTP/1.1, whose
//! connections have one request each.

use super::{activity::Activity, connections::Connections};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at once of a process: 256, and for each core as many as may wait for their password to be hashed there. A
/// held one takes up to 26 KiB (measured: 338 MiB for 12,800).
const STREAMS: (usize, usize) = (256, 128);

/// How long the connection that goes may take to give its places up.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Streams {
    most: usize,
    places: Arc<Semaphore>,
    connections: Arc<Connections>,
    /// Places of connections that were asked to go, less the requests that were placed since.
    coming: Mutex<usize>,
}

/// What a new request gets.
#[derive(Debug)]
pub(super) enum Admission {
    Place(OwnedSemaphorePermit),
    /// A place is coming; [`Streams::wait`] for it.
    Wait,
    Refused,
}

impl Streams {
    pub(super) fn new(connections: Arc<Connections>) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(STREAMS.0 + STREAMS.1 * cores, connections)
    }

    pub(super) fn of(most: usize, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { most, places: Arc::new(Semaphore::new(most)), connections, coming: Mutex::default() })
    }

    /// Decides about a request that this connection has begun.
    pub(super) fn admit(&self, activity: &Activity) -> Admission {
        let mut coming = self.coming.lock();
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            *coming = coming.saturating_sub(1);
            return Admission::Place(place);
        }
        let share = self.most / self.connections.count().max(1);
        if activity.open() > share.max(1) {
            return Admission::Refused;
        }
        if *coming == 0 {
            *coming = self.connections.end_the_greatest_holder();
        }
        if *coming == 0 {
            return Admission::Refused;
        }
        *coming -= 1;
        Admission::Wait
    }

    /// The place that is coming; `None`: it did not come.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }
}
