//! Signups per minute and client address, of all `api` processes together.
//!
//! Takes: the address of a client and the limit in force, n a minute. Gives: admission, or the time until the next one:
//! n at once, then one every 60 s / n; and what is left of it (`quota`). What other processes admit is learnt in the
//! background (`exchange`); a request asks this process alone (`buckets`). Does not: find out who the client is (`peer`
//! does), or limit loopback clients (tests, sidecars, port-forwards).

mod buckets;
pub(crate) mod exchange;
mod quota;

pub(crate) use quota::Quota;

use crate::error::ApiError;
use buckets::Buckets;
use parking_lot::Mutex;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};
use tokio::time::Instant;

/// The counts, for the limit they were made with; another limit begins with new ones.
#[derive(Default)]
pub(crate) struct SignupLimit(Mutex<Option<Buckets>>);

impl SignupLimit {
    /// Admits a signup, or says how long to wait. `per_minute` 0 admits everybody.
    ///
    /// # Errors
    ///
    /// [`ApiError::LimitReached`].
    pub(crate) fn admit(&self, client: IpAddr, per_minute: u32) -> Result<(), ApiError> {
        let client = network(client);
        let Some(per_minute) = NonZeroU32::new(per_minute).filter(|_| !client.is_loopback()) else { return Ok(()) };
        let admitted = self.with(per_minute, |buckets| buckets.admit(client, exchange::INTERVAL, Instant::now()));
        admitted.map_err(|after| ApiError::LimitReached { after })
    }

    /// What is left to a client, as far as this process knows; `None` where it is not limited.
    pub(crate) fn quota(&self, client: IpAddr, per_minute: u32) -> Option<Quota> {
        let client = network(client);
        let per_minute = NonZeroU32::new(per_minute).filter(|_| !client.is_loopback())?;
        let (left, until_all) = self.with(per_minute, |buckets| buckets.left(client, Instant::now()));
        Some(Quota { per_minute, left, until_all })
    }

    fn with<T>(&self, per_minute: NonZeroU32, work: impl FnOnce(&mut Buckets) -> T) -> T {
        let mut current = self.0.lock();
        let processes = current.as_ref().map_or(1, Buckets::processes);
        match &mut *current {
            Some(buckets) if buckets.per_minute == per_minute => work(buckets),
            _ => work(current.insert(Buckets::new(per_minute, processes))),
        }
    }
}

/// IPv6 clients own a /64 (RFC 6177), so they are counted by it; an IPv4-mapped address counts as IPv4.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let segments = address.segments();
            Ipv6Addr::new(segments[0], segments[1], segments[2], segments[3], 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn the_eleventh_signup_of_a_minute_has_to_wait_and_other_addresses_do_not() {
        let limit = SignupLimit::default();
        for _ in 0..10 {
            assert!(limit.admit(address("192.0.2.1"), 10).is_ok());
        }
        let Err(ApiError::LimitReached { after }) = limit.admit(address("192.0.2.1"), 10) else {
            panic!("the eleventh is admitted")
        };
        assert!(after.as_secs() <= 60 && !after.is_zero(), "{after:?}");
        assert!(limit.admit(address("192.0.2.2"), 10).is_ok());
    }

    #[test]
    fn a_changed_limit_counts_anew_and_zero_means_none() {
        let limit = SignupLimit::default();
        assert!(limit.admit(address("192.0.2.1"), 1).is_ok());
        assert!(limit.admit(address("192.0.2.1"), 1).is_err());
        assert!(limit.admit(address("192.0.2.1"), 2).is_ok());
        for _ in 0..100 {
            assert!(limit.admit(address("192.0.2.1"), 0).is_ok());
        }
    }

    #[test]
    fn loopback_is_exempt_and_a_whole_ipv6_network_is_one_client() {
        let limit = SignupLimit::default();
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(limit.admit(address(text), 1).is_ok() && limit.admit(address(text), 1).is_ok(), "{text}");
        }
        assert!(limit.admit(address("2001:db8::1"), 1).is_ok());
        assert!(limit.admit(address("2001:db8::2"), 1).is_err());
    }
}
