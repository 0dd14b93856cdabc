//! A TCP connection to a server that may have several addresses.
//!
//! Takes: a host and a port, or addresses. Gives: a connection to the address that answers first, each tried a moment
//! after the one before it (RFC 8305, section 5): an address that swallows packets keeps nothing from the others. Does
//! not: limit the time of the whole; its caller does.

use futures::{StreamExt as _, stream::FuturesUnordered};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};
use tokio::net::{TcpStream, lookup_host};

/// How long an address is tried alone: RFC 8305's Connection Attempt Delay.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Connects to the host.
///
/// # Errors
///
/// The name has no address, or the last failure of its addresses.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    first_of(lookup_host((host, port)).await?).await
}

/// Connects to one of the addresses.
///
/// # Errors
///
/// There is none, or the last failure.
pub(crate) async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.peekable();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.push(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = tokio::time::sleep(NEXT_AFTER), if addresses.peek().is_some() => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    /// Long for a machine under load, and short for the kernel, which tries a silent address for two minutes.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    pub(crate) async fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    /// An address at which nobody takes connections and the queue of those that wait is full: the kernel drops what
    /// comes.
    pub(crate) async fn silent() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            waiting.push(stream.expect("the queue takes it"));
        }
        (listener, address, waiting)
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_or_refuses_does_not_keep_the_others_from_answering() {
        let (_silent, silent, _waiting) = silent().await;
        let (_listener, answering) = listening().await;
        let (refusing, refused) = listening().await;
        drop(refusing);
        let addresses = [silent, refused, silent, answering];
        let connected = tokio::time::timeout(PATIENCE, first_of(addresses.into_iter())).await.expect("in time");
        assert_eq!(connected.expect("a connection").peer_addr().expect("an address"), answering);
    }

    #[tokio::test]
    async fn without_an_address_that_answers_the_failure_is_told() {
        let (refusing, refused) = listening().await;
        drop(refusing);
        for (addresses, kind) in
            [(vec![refused, refused], ErrorKind::ConnectionRefused), (Vec::new(), ErrorKind::NotFound)]
        {
            let told = first_of(addresses.into_iter()).await.map(|_| ()).map_err(|error| error.kind());
            assert_eq!(told, Err(kind));
        }
    }
}
