//! Signups per minute and client address, in this process.
//!
//! Takes: the address of a client and the limit in force, n a minute. Gives: admission, or the time until the next one:
//! n at once, then one every 60 s / n. Does not: find out who the client is (`peer` does), limit loopback clients
//! (tests, sidecars, port-forwards), or share its counts with other replicas: the limit grows with the number of `api`
//! processes.

use crate::error::ApiError;
use governor::{Quota, RateLimiter, clock::Clock, clock::DefaultClock, state::keyed::DashMapStateStore};
use parking_lot::Mutex;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
};

/// Addresses remembered before those that are no longer limited are forgotten: about 1 MiB.
const MAX_REMEMBERED: usize = 10_000;

type Limiter = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>;

/// The counts, for the limit they were made with; another limit begins with new ones.
#[derive(Default)]
pub(crate) struct SignupLimit(Mutex<Option<(NonZeroU32, Arc<Limiter>)>>);

impl SignupLimit {
    /// Admits a signup, or says how long to wait. `per_minute` 0 admits everybody.
    ///
    /// # Errors
    ///
    /// [`ApiError::LimitReached`].
    pub(crate) fn admit(&self, client: IpAddr, per_minute: u32) -> Result<(), ApiError> {
        let client = network(client);
        let Some(per_minute) = NonZeroU32::new(per_minute).filter(|_| !client.is_loopback()) else { return Ok(()) };
        let limiter = self.limiter(per_minute);
        if limiter.len() > MAX_REMEMBERED {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(&client).map_err(|denied| {
            let after = denied.wait_time_from(DefaultClock::default().now());
            ApiError::LimitReached { after }
        })
    }

    fn limiter(&self, per_minute: NonZeroU32) -> Arc<Limiter> {
        let mut current = self.0.lock();
        match &*current {
            Some((limit, limiter)) if *limit == per_minute => Arc::clone(limiter),
            _ => {
                let limiter = Arc::new(RateLimiter::dashmap(Quota::per_minute(per_minute)));
                *current = Some((per_minute, Arc::clone(&limiter)));
                limiter
            }
        }
    }
}

/// IPv6 clients own a /64 (RFC 6177), so they are counted by it; an IPv4-mapped address counts as IPv4.
fn network(client: IpAddr) -> IpAddr {
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
