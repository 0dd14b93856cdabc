//! Whose request it is.
//!
//! Takes: the address at the other end of the connection, and the header `X-Forwarded-For`. Gives: the client's
//! address. Believes the header's last entry alone, which the nearest proxy wrote, and only where there is a proxy: all
//! entries before it, and all of it elsewhere, anybody can write. Does not: know whether there is one; the
//! configuration says so.

use crate::error::ApiError;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use std::net::{IpAddr, SocketAddr};

/// Who sent a request; in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The other end of the connection.
    address: IpAddr,
    /// Whom the other end says it speaks for.
    forwarded: Option<IpAddr>,
}

impl Peer {
    /// The peer at `address`, of whose requests nothing is known yet.
    pub(crate) fn new(address: IpAddr) -> Self {
        Self { address, forwarded: None }
    }

    /// The same peer with a request of these headers.
    pub(crate) fn with(self, headers: &HeaderMap) -> Self {
        let last = headers.get_all("x-forwarded-for").iter().next_back();
        let entry = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        Self { forwarded: entry.and_then(|entry| address(entry.trim())), ..self }
    }

    /// The client, which is the peer itself unless it is a proxy that names another.
    pub(crate) fn client(self, behind_proxy: bool) -> IpAddr {
        self.forwarded.filter(|_| behind_proxy).unwrap_or(self.address)
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    /// The accept loop names the peer of every request.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or(ApiError::Internal(None))
    }
}

/// `192.0.2.1`, `2001:db8::1`, or with a port as some proxies write it: `192.0.2.1:1234`, `[2001:db8::1]:1234`.
fn address(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(behind_proxy: bool, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().expect("a value"));
        }
        Peer::new([10, 0, 0, 1].into()).with(&headers).client(behind_proxy).to_string()
    }

    #[test]
    fn the_last_entry_is_the_client_behind_a_proxy_and_nothing_is_believed_elsewhere() {
        for (values, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9", "203.0.113.5, 2001:db8::1"], "2001:db8::1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client(true, values), expected, "{values:?}");
            assert_eq!(client(false, values), "10.0.0.1", "{values:?}");
        }
    }
}
