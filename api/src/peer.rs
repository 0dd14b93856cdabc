//! Whose request it is.
//!
//! Takes: the address at the other end of the connection, and all headers `X-Forwarded-For`. Gives: the client's
//! address: the last one in the line of hops that no trusted hop stands for. Does not: know which hops are trusted; the
//! configuration says so. Nor does it read `Forwarded` (RFC 7239): a proxy that writes the one passes the other on as
//! the client wrote it, and whoever reads both believes the client.

use crate::error::ApiError;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use pipeline::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hops that are read at most; a longer line of trusted ones is none of proxies.
const MAX_HOPS: usize = 32;

/// Who sent a request; in the extensions of every request.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The other end of the connection.
    address: IpAddr,
    /// Whom each hop speaks for: first the one that the other end names, then the one which that one named to it, and
    /// so on, up to the first that is no address.
    forwarded: Vec<IpAddr>,
}

impl Peer {
    /// The peer at `address`, of whose requests nothing is known yet.
    pub(crate) fn new(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), forwarded: Vec::new() }
    }

    /// The same peer with a request of these headers. Several are one list, in which empty elements mean nothing (RFC
    /// 9110, sections 5.3 and 5.6.1).
    pub(crate) fn with(&self, headers: &HeaderMap) -> Self {
        let values = headers.get_all("x-forwarded-for").iter().rev();
        let entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let entries = entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
        let forwarded = entries.take(MAX_HOPS).map_while(address).collect();
        Self { address: self.address, forwarded }
    }

    /// The client: what a trusted hop says is believed, and what that one was told is believed if it trusted who told
    /// it. The nearest hop is trusted when it is a proxy by the configuration, or in one of the networks; the others
    /// when they are in one.
    pub(crate) fn client(&self, behind_proxy: bool, trusted: &[Network]) -> IpAddr {
        let is_trusted = |hop: IpAddr| trusted.iter().any(|network| network.contains(hop));
        let mut client = self.address;
        let mut believes = behind_proxy || is_trusted(client);
        for hop in &self.forwarded {
            if !believes {
                break;
            }
            client = *hop;
            believes = is_trusted(client);
        }
        client
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    /// The accept loop names the peer of every request.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or(ApiError::Internal(None))
    }
}

/// One entry as proxies write them: `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, with a port or without, with a zone
/// (`fe80::1%eth0`, RFC 4007) or without. Port and zone are the proxy's own affair.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let address = match entry.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let is_whole = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(without_zone(inside).parse::<Ipv6Addr>().ok().filter(|_| is_whole)?)
        }
        None => match entry.split_once(':') {
            Some((before, port)) if is_port(port) => IpAddr::V4(before.parse::<Ipv4Addr>().ok()?),
            Some(_) => IpAddr::V6(without_zone(entry).parse::<Ipv6Addr>().ok()?),
            None => IpAddr::V4(entry.parse::<Ipv4Addr>().ok()?),
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn without_zone(address: &str) -> &str {
    match address.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        _ => address,
    }
}

#[cfg(test)]
mod tests;
