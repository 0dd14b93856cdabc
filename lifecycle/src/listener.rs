//! Where a program listens.
//!
//! Takes: an address. Gives: a socket bound to it, or a listener on it. An address that means every address of the
//! machine (`0.0.0.0`, `[::]`) means those of both families, whichever it is written in: it is bound as `[::]` that
//! takes IPv4 too (RFC 3493, section 5.3), and as `0.0.0.0` where there is no IPv6. Any other address is bound as it
//! is. Does not: accept anything; a peer of IPv4 is then seen as `::ffff:192.0.2.1`, which `IpAddr::to_canonical`
//! undoes.
//!
//! The pod templates say `0.0.0.0`, which programs of every version understand.

use socket2::SockRef;
use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted: as many as with the standard library's listeners.
const BACKLOG: u32 = 128;

/// Listens. Needs a Tokio runtime.
///
/// # Errors
///
/// The operating system's reason.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    socket(address)?.listen(BACKLOG)
}

/// Binds, and does not listen yet: nobody is let in, and nobody else gets the port.
///
/// # Errors
///
/// The operating system's reason.
pub fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if !address.ip().is_unspecified() {
        return bound(address);
    }
    match bound((Ipv6Addr::UNSPECIFIED, address.port()).into()) {
        // A program that listens on one of the families must not leave us the other.
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        Err(_) => bound((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        Ok(socket) => Ok(socket),
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // A machine may have it otherwise (`net.ipv6.bindv6only`).
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // Connections of an earlier run in TIME_WAIT must not keep us from the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
