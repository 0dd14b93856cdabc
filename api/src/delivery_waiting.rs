//! Clients that wait for a state to change.
//!
//! Takes: how many connections there may be, and whether one more is needed. Gives: a permit to wait, for a quarter of
//! the connections and for eight of one client; and when the wait is to end early: a new connection needs the place,
//! or the process stops. So no signup waits for who waits. Does not: limit clients on loopback, as `signup_limit`.

use crate::signup_limit::network;
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, sync::Arc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Of so many connections one may wait.
const SHARE: u32 = 4;

/// Waits of one client at once.
const MAX_PER_CLIENT: usize = 8;

/// Why a state was not waited for longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Too many wait.
    Full,
    /// A new connection needs the place of this one.
    Crowded,
    /// The process stops.
    Stopping,
}

/// Who waits.
pub(crate) struct Waiting {
    most: usize,
    by_client: Mutex<HashMap<IpAddr, usize>>,
    crowded: Arc<Notify>,
    stop: CancellationToken,
}

impl Waiting {
    /// For an interface of so many connections, which tells `crowded` when it needs one.
    pub(crate) fn new(max_connections: u32, crowded: Arc<Notify>, stop: CancellationToken) -> Self {
        Self { most: (max_connections / SHARE) as usize, by_client: Mutex::default(), crowded, stop }
    }

    /// Leave to wait, until it is dropped. `None`: too many wait.
    pub(crate) fn permit(&self, client: IpAddr) -> Option<Permit<'_>> {
        let client = network(client);
        let mut by_client = self.by_client.lock();
        let all: usize = by_client.values().sum();
        let own = by_client.get(&client).copied().unwrap_or_default();
        if all >= self.most || (own >= MAX_PER_CLIENT && !client.is_loopback()) {
            return None;
        }
        by_client.insert(client, own + 1);
        metrics::gauge!("signup_delivery_waits").set((all + 1) as f64);
        Some(Permit { waiting: self, client })
    }
}

/// Leave to wait.
pub(crate) struct Permit<'a> {
    waiting: &'a Waiting,
    client: IpAddr,
}

impl Permit<'_> {
    /// When the wait is to end early, and why.
    pub(crate) async fn cut(&self) -> Cut {
        tokio::select! {
            () = self.waiting.stop.cancelled() => Cut::Stopping,
            () = self.waiting.crowded.notified() => Cut::Crowded,
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut by_client = self.waiting.by_client.lock();
        if let Some(own) = by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                by_client.remove(&self.client);
            }
        }
        metrics::gauge!("signup_delivery_waits").set(by_client.values().sum::<usize>() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn waiting(max_connections: u32) -> Waiting {
        Waiting::new(max_connections, Arc::default(), CancellationToken::new())
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_quarter_of_the_connections_may_wait_and_eight_of_one_client() {
        let waiting = waiting(40);
        let mut permits: Vec<_> = (0..8).filter_map(|_| waiting.permit(address(1))).collect();
        assert_eq!(permits.len(), 8);
        assert!(waiting.permit(address(1)).is_none(), "the ninth of one client");
        permits.extend((2..4).filter_map(|last| waiting.permit(address(last))));
        assert_eq!(permits.len(), 10);
        assert!(waiting.permit(address(9)).is_none(), "the eleventh");
        permits.pop();
        assert!(waiting.permit(address(9)).is_some());
    }

    #[test]
    fn one_wait_ends_for_each_connection_that_is_needed_and_all_at_the_stop() {
        let waiting = waiting(8);
        let permits = [waiting.permit(address(1)), waiting.permit(address(1))].map(|permit| permit.expect("room"));
        let mut cuts = permits.each_ref().map(|permit| Box::pin(permit.cut()));
        assert_eq!(cuts.each_mut().map(|cut| cut.as_mut().now_or_never()), [None, None]);
        waiting.crowded.notify_one();
        assert_eq!(cuts.each_mut().map(|cut| cut.as_mut().now_or_never()), [Some(Cut::Crowded), None]);
        waiting.stop.cancel();
        assert_eq!(cuts[1].as_mut().now_or_never(), Some(Cut::Stopping));
    }
}
