//! Listening sockets.
//!
//! Takes: an address, and what listens there for the error text. Gives: a bound socket, and later a listener on it.
//! Does not: accept anything.

use crate::error::StartError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Waiting connections; more than any test opens at once.
const BACKLOG: u32 = 1024;
/// Stands in an error for an address that the operating system does not tell.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

pub(crate) fn bind(address: SocketAddr, purpose: &'static str) -> Result<(TcpSocket, SocketAddr), StartError> {
    let bound = || {
        let socket = lifecycle::listener::socket(address)?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    };
    bound().map_err(|source| StartError::Listen { address, purpose, source })
}

/// Needs a runtime, which the socket is going to report to.
pub(crate) fn listen(socket: TcpSocket, purpose: &'static str) -> Result<TcpListener, StartError> {
    let address = socket.local_addr();
    let failed = |source| StartError::Listen { address: address.unwrap_or(UNKNOWN), purpose, source };
    socket.listen(BACKLOG).map_err(failed)
}
