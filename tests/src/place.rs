//! Where the parts of a pipeline listen, and where they are reached.
//!
//! Takes: the network that the test has to itself, if it has one. Gives: servers, addresses and URIs for it; without
//! one everything is at 127.0.0.1. Does not: make the network ([`Network::run`] does).

use anyhow::Result;
use servers::{Network, Postgres, Redis};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The machine itself, or a network of the test's own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place(pub(crate) Option<Network>);

impl Place {
    /// A PostgreSQL server, unless the one of the test process will do.
    pub(crate) fn postgres(self, own: bool) -> Result<Option<Postgres>> {
        Ok(match self.0 {
            Some(_) => Some(Postgres::start_with(&["listen_addresses=127.0.0.1,::1"])?),
            None if own => Some(Postgres::start()?),
            None => None,
        })
    }

    /// A Redis server; the minus lets it do without the address where there is none.
    pub(crate) fn redis(self) -> Result<Redis> {
        let both = ["--bind", "127.0.0.1", "-::1"];
        Ok(Redis::start_with(self.0.map_or(&[][..], |_| &both[..]))?)
    }

    /// A free port to listen at: in a network of its own at every address, written as the pod templates do.
    pub(crate) fn listener(self) -> SocketAddr {
        let address = if self.0.is_some() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        SocketAddr::from((address, 0))
    }

    /// A URI of 127.0.0.1 as the programs get it: by IPv6 where there is any.
    pub(crate) fn uri(self, uri: &str) -> String {
        if self.has_v6() { uri.replace("@127.0.0.1:", "@[::1]:") } else { uri.to_owned() }
    }

    /// Name or address of the mail server.
    pub(crate) fn mail_host(self, usual: &str) -> String {
        if self.has_v6() { Ipv6Addr::LOCALHOST.to_string() } else { usual.to_owned() }
    }

    /// Where clients reach what is bound there.
    pub(crate) fn reached(self, bound: SocketAddr) -> SocketAddr {
        match self.address().filter(|_| bound.ip().is_unspecified()) {
            Some(address) => SocketAddr::new(address, bound.port()),
            None => bound,
        }
    }

    /// Of IPv6 where there is any.
    fn address(self) -> Option<IpAddr> {
        self.0?.addresses().pop()
    }

    fn has_v6(self) -> bool {
        self.address().is_some_and(|address| address.is_ipv6())
    }
}
