//! A free port, for a server that has to be told one.
//!
//! Gives: a TCP port of 127.0.0.1 at which nobody listens, below those that the kernel gives to
//! clients, so that no connection made meanwhile takes it. Does not: reserve it; another process that looks for one at
//! random may, one time in thousands, find the same.

use crate::process::ServerError;
use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::Range,
};

/// Ports that are tried: above those of well-known services, below Kubernetes' node ports (30000 to 32767).
const PORTS: Range<u16> = 10_000..30_000;

/// Many more than are needed unless somebody has taken nearly all.
const TRIES: u32 = 1_000;

/// The first port that clients get (Linux, `ip_local_port_range`) where nobody has set another.
const FIRST_OF_CLIENTS: u16 = 32_768;

/// Finds a port.
///
/// # Errors
///
/// [`ServerError::Io`]: no port is free, or there are no random bytes.
pub fn free_port() -> Result<u16, ServerError> {
    let range = PORTS.start..PORTS.end.min(first_of_clients());
    if !range.is_empty() {
        for _ in 0..TRIES {
            let port = range.start + random()? % (range.end - range.start);
            if nobody_listens(port) {
                return Ok(port);
            }
        }
    }
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    any.map(|address| address.port()).map_err(|source| ServerError::Io { action: "find a free port", source })
}

/// Whether somebody listens there by now.
pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Finds a port so that the one `distance` above it is free as well, and below those of clients.
pub(crate) fn free_pair(distance: u16) -> Result<u16, ServerError> {
    for _ in 0..TRIES {
        let port = free_port()?;
        if port.saturating_add(distance) < first_of_clients() && nobody_listens(port + distance) {
            return Ok(port);
        }
    }
    let source = io::Error::from(ErrorKind::AddrInUse);
    Err(ServerError::Io { action: "find two free ports", source })
}

/// Asks without binding the port: until its `exec`, a child that another thread starts holds whatever we have bound.
fn nobody_listens(port: u16) -> bool {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn first_of_clients() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(FIRST_OF_CLIENTS)
}

fn random() -> Result<u16, ServerError> {
    let number = getrandom::u32();
    let number =
        number.map_err(|error| ServerError::Io { action: "get random bytes", source: io::Error::other(error) })?;
    Ok((number >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ports_are_drawn_at_random_from_those_that_no_client_gets() {
        let first = first_of_clients();
        let ports: BTreeSet<u16> = (0..100).map(|_| free_port().expect("a port")).collect();
        assert!(ports.iter().all(|port| *port < first), "{ports:?}, clients from {first}");
        assert!(ports.len() > 50, "{ports:?}");
    }

    #[test]
    fn a_port_at_which_somebody_listens_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(!nobody_listens(listener.local_addr().expect("an address").port()));
        assert!(nobody_listens(free_port().expect("a port")));
    }
}
