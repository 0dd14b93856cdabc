//! What comes to a listener.
//!
//! Takes: a listener and the stop token. Gives: one connection after the other, and at the end those that wait at it.
//! Does not: bound how many.

use std::{net::IpAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Wait after an accept that failed, e.g. for want of file descriptors, which only the end of a connection frees.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection; `None` at the stop.
pub(super) async fn next(listener: &TcpListener, stop: &CancellationToken) -> Option<(TcpStream, IpAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return None,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer.ip())),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ends the listener, and gives what waited at it.
pub(super) fn queued(listener: TcpListener) -> Vec<(TcpStream, IpAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accept = || {
        let (stream, peer) = listener.accept().ok()?;
        stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)).ok().map(|stream| (stream, peer.ip()))
    };
    std::iter::from_fn(accept).collect()
}
