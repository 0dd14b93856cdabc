//! The requests that all connections of HTTP/2 have under way, bounded for the whole process.
//!
//! Takes: how many there may be. Gives: a permit for a new one. When all are taken, the connection that holds the most
//! of them for requests that wait for its client (an answer it does not take, a message it does not end) goes at once,
//! with all of them; a connection with more than its share of the permits is refused instead. Does not: count HTTP/1.1,
//! whose connections have one request each.

use super::{activity::Activity, connections::Connections};
use parking_lot::Mutex;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at once of a process: 256, and for each core as many as may wait for their password to be hashed there. A
/// held one takes up to 26 KiB (measured: 338 MiB for 12,800).
const STREAMS: (usize, usize) = (256, 128);

/// How long a connection that was asked to go may take to give its permits up, before another is asked.
const AGAIN: Duration = Duration::from_millis(50);

/// How often that is waited for by one request: for a second in all. It is no time of the clock, for that passes while
/// the process itself has no processor, and connections that were asked to go cannot.
const ROUNDS: u32 = 20;

#[derive(Debug)]
pub(super) struct Streams {
    most: usize,
    permits: Arc<Semaphore>,
    connections: Arc<Connections>,
    /// Permits of connections that were asked to go, less the requests that were permitted since.
    coming: Mutex<usize>,
}

/// What a new request gets.
#[derive(Debug)]
pub(super) enum Admission {
    Permit(OwnedSemaphorePermit),
    /// [`Streams::wait`] for one.
    Wait,
    Refused,
}

impl Streams {
    pub(super) fn new(connections: Arc<Connections>) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(STREAMS.0 + STREAMS.1 * cores, connections)
    }

    pub(super) fn of(most: usize, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { most, permits: Arc::new(Semaphore::new(most)), connections, coming: Mutex::default() })
    }

    /// Decides about a request that this connection has begun.
    pub(super) fn admit(&self, activity: &Activity) -> Admission {
        let mut coming = self.coming.lock();
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            *coming = coming.saturating_sub(1);
            return Admission::Permit(permit);
        }
        let share = self.most / self.connections.count().max(1);
        if activity.open() > share.max(1) {
            return Admission::Refused;
        }
        self.make_room(&mut coming);
        Admission::Wait
    }

    /// A permit: of a connection that was asked to go, or of a request that ends. `None`: neither came in time.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let mut permit = pin!(Arc::clone(&self.permits).acquire_owned());
        for _ in 0..ROUNDS {
            tokio::select! {
                biased;
                permit = permit.as_mut() => return permit.ok(),
                // Where nobody could be asked before, or others were first.
                () = tokio::time::sleep(AGAIN) => self.make_room(&mut self.coming.lock()),
            }
        }
        None
    }

    /// Asks a connection to go, unless more permits are coming already than others wait for.
    fn make_room(&self, coming: &mut usize) {
        if *coming == 0 {
            *coming = self.connections.end_the_greatest_holder();
        }
        *coming = coming.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Protocol,
            activity::{End, Open},
            connections::Permitted,
        },
        *,
    };
    use futures::FutureExt as _;

    /// Four permits, and three connections.
    async fn full() -> (Arc<Streams>, [Permitted; 3]) {
        let connections = Connections::new(Protocol::Http2, 3, Arc::default());
        let streams = Streams::of(4, Arc::clone(&connections));
        let permitted = [connections.permit().await, connections.permit().await, connections.permit().await];
        (streams, permitted)
    }

    fn permitted(streams: &Streams, activity: &Arc<Activity>) -> Open {
        let open = activity.begin();
        let Admission::Permit(permit) = streams.admit(activity) else { panic!("there is a permit") };
        open.with(permit)
    }

    fn end(activity: &Activity) -> Option<End> {
        activity.over(|| Duration::from_secs(60)).now_or_never()
    }

    #[tokio::test]
    async fn the_connection_that_holds_the_most_goes_for_those_below_their_share() {
        let (streams, [greedy, modest, new]) = full().await;
        let held: Vec<Open> = (0..3).map(|_| permitted(&streams, &greedy.activity)).collect();
        let _kept = permitted(&streams, &modest.activity);

        let (_more, _first) = (greedy.activity.begin(), new.activity.begin());
        assert!(matches!(streams.admit(&greedy.activity), Admission::Refused), "beyond its share");
        assert!(matches!(streams.admit(&new.activity), Admission::Wait));
        assert_eq!(end(&greedy.activity), Some(End::Overrun));
        assert_eq!((end(&modest.activity), end(&new.activity)), (None, None));
        drop(held);
        assert!(streams.wait().await.is_some());
    }

    #[tokio::test]
    async fn no_connection_goes_for_places_that_work() {
        let (streams, [busy, _, new]) = full().await;
        let working: Vec<Open> = (0..4).map(|_| permitted(&streams, &busy.activity)).collect();
        working.iter().for_each(Open::arrived);
        let _first = new.activity.begin();
        assert!(matches!(streams.admit(&new.activity), Admission::Wait));
        assert_eq!(end(&busy.activity), None);
        working[0].answered();
        assert!(matches!(streams.admit(&new.activity), Admission::Wait), "its client does not take the answer");
        assert_eq!(end(&busy.activity), Some(End::Overrun));
    }
}
