//! The accept loop of one interface.
//!
//! Takes: a listener and the routes behind it. Gives: served connections, each within bounds: how many, how long a
//! client may take to send the header of a request, how large the header may be, how old it becomes. After the stop
//! token, requests under way are finished, but not longer than [`DRAIN`]. Does not: know what is served.

use crate::peer::Peer;
use axum::{Router, body::Body};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use lifecycle::shutdown::Shutdown;
use std::{
    net::IpAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// Time for the header of a request, from the first byte a connection may send; also how long HTTP/1.1 may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of the header of a request.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Time that requests under way get after the stop token: as long as a body may take to arrive, or the work on it.
const DRAIN: Duration = Duration::from_secs(10);

/// HTTP/2: how often a silent peer is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// HTTP/2: calls at once on one connection.
const MAX_STREAMS: u32 = 128;

/// HTTP/2: bytes a connection may send ahead of what is read of it, over all its calls.
const WINDOW: u32 = 64 * 1024;

/// HTTP/2: age at which a connection is asked to end. A client keeps one connection for all its calls, and would never
/// find the replicas that came after it.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// How long the calls of a connection that was asked to end may take: longer than any does. Streams end with it.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// Wait after an accept that failed, e.g. for want of file descriptors, which only the end of a connection frees.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS ("prior knowledge"), as gRPC clients speak it. A connection of `max_age` takes no more
    /// calls.
    Http2 { max_age: Duration },
}

/// Serves until the soft stop, then until the requests under way are answered or [`DRAIN`] or the hard stop ends them.
pub(crate) async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    routes: Router,
    max_connections: u32,
    shutdown: Shutdown,
) {
    let stop = shutdown.soft();
    let builder = builder(protocol);
    let permits = Arc::new(Semaphore::new(max_connections as usize));
    let served = TaskTracker::new();
    while let Some((stream, peer, permit)) = next(&listener, &permits, &stop).await {
        let heard = Arc::new(AtomicBool::new(false));
        let service = with_peer(routes.clone(), Peer::new(peer), Arc::clone(&heard));
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        let leave = leave(protocol, stop.clone());
        let (stop, hard) = (stop.clone(), shutdown.hard());
        served.spawn(async move {
            tokio::select! {
                () = serve_one(connection, leave, &stop, &heard) => {}
                () = hard.cancelled() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    served.close();
    served.wait().await;
}

/// Serves one connection until it ends or has never said anything; asked to `leave`, it answers the requests under way
/// and takes no more. How it ends is the client's affair.
async fn serve_one(
    connection: Connection,
    leave: impl Future<Output = ()>,
    stop: &CancellationToken,
    heard: &AtomicBool,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        _result = connection.as_mut() => return,
        () = silent(heard) => return,
        () = leave => {}
    }
    connection.as_mut().graceful_shutdown();
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        _result = connection => {}
        () = tokio::time::sleep(GRACE_PERIOD) => {}
        () = drained => {}
    }
}

/// When a connection is asked to leave: at the stop, or at its maximum age. HTTP/1.1 has no word for it that could not
/// cross with a request.
async fn leave(protocol: Protocol, stop: CancellationToken) {
    match protocol {
        Protocol::Http1 => stop.cancelled().await,
        Protocol::Http2 { max_age } => drop(tokio::time::timeout(max_age, stop.cancelled()).await),
    }
}

fn builder(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 { .. } => builder.http2_only(),
    }
}

/// The next connection, once there is a permit for it; `None` at the stop.
async fn next(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Without it a small answer waits for the client's delayed acknowledgement; no harm if it fails.
                    let _ = stream.set_nodelay(true);
                    return Some((stream, peer.ip(), permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepted => accepted,
        () = stop.cancelled() => None,
    }
}

type Connection = auto::Connection<'static, TokioIo<TcpStream>, TowerToHyperService<Routed>, TokioExecutor>;

type Routed = tower::util::BoxCloneSyncService<
    hyper::Request<hyper::body::Incoming>,
    axum::response::Response,
    std::convert::Infallible,
>;

/// The routes, which know the peer, and noting in `heard` that the connection has sent a request.
fn with_peer(routes: Router, peer: Peer, heard: Arc<AtomicBool>) -> Routed {
    let service = routes.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        heard.store(true, Ordering::Relaxed);
        let peer = peer.with(request.headers());
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    });
    tower::util::BoxCloneSyncService::new(service)
}

/// Ends when a connection has sent no request in time; hyper's own limit does not cover the preface of HTTP/2.
async fn silent(heard: &AtomicBool) {
    tokio::time::sleep(HEADER_TIMEOUT).await;
    if heard.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
