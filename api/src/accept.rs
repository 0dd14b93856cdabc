//! The accept loop of one interface.
//!
//! Takes: a listener and the routes behind it. Gives: served connections, each within bounds: how many, how long a
//! client may take to send the header of a request and to read its answer, how large the header may be, how long it may
//! idle, how old it becomes, how many requests of HTTP/2 it has under way. After the stop token, requests under way are
//! finished, and idle connections of HTTP/1.1 kept for [`LINGER`], but nothing longer than [`DRAIN`] after that. Does
//! not: know what is served.

mod activity;
mod connections;
mod exchange;
mod listening;
mod streams;
mod watched;

use crate::peer::Peer;
use activity::{Activity, End};
use axum::Router;
use connections::{Connections, Permitted};
use exchange::Exchange;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use lifecycle::shutdown::Shutdown;
use listening::{next, queued};
use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};
use streams::Streams;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watched::Watched;

/// Bytes of the header of a request.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// HTTP/1.1: how long connections are kept after the stop token. A proxy does not know of the stop before an answer
/// says so, and repeats no POST; what it sends on a kept connection meanwhile is answered.
const LINGER: Duration = Duration::from_secs(5);

/// Time that requests under way get after that: as long as a body may take to arrive, or the work on it.
const DRAIN: Duration = Duration::from_secs(10);

/// HTTP/2: how often a silent peer is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// HTTP/2: calls at once on one connection.
const MAX_STREAMS: u32 = 128;

/// HTTP/2: bytes a connection may send ahead of what is read of it, over all its calls.
const WINDOW: u32 = 64 * 1024;

/// HTTP/2: bytes of an answer that are kept for a client that does not take them.
const MAX_SEND_BUFFER: usize = 16 * 1024;

/// Age at which a connection is asked to end, give or take a tenth, so that those of one moment do not end in one. A
/// client keeps one connection for all its calls, and would never find the replicas that came after it.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// How long the calls of a connection that was asked to end may take: longer than any does. Streams end with it.
const GRACE_PERIOD: Duration = Duration::from_secs(30);

/// The same where a new connection waits for its permit, or too much was taken back.
const SHORT_GRACE: Duration = Duration::from_secs(1);

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS ("prior knowledge"), as gRPC clients speak it.
    Http2,
}

/// What an interface is, besides its routes.
#[derive(Clone)]
pub(crate) struct Interface {
    pub(crate) protocol: Protocol,
    /// Connections at once; the longest idle one goes for a new one.
    pub(crate) max_connections: u32,
    /// See [`MAX_AGE`].
    pub(crate) max_age: Duration,
    /// How long a connection may wait for a next request; asked anew each time.
    pub(crate) idle_timeout: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Told when a new connection waits for its permit and none idles: a request that only waits is to end.
    pub(crate) crowded: Arc<Notify>,
}

/// Serves until the soft stop, then until the requests under way are answered or [`DRAIN`] or the hard stop ends them.
pub(crate) async fn serve(listener: TcpListener, interface: Interface, routes: Router, shutdown: Shutdown) {
    let crowded = Arc::clone(&interface.crowded);
    let connections = Connections::new(interface.protocol, interface.max_connections, crowded);
    let streams = Streams::new(Arc::clone(&connections));
    let server = Server { builder: builder(interface.protocol), interface, routes, streams, shutdown };
    let stop = server.shutdown.soft();
    let served = TaskTracker::new();
    while let Some((stream, peer)) = next(&listener, &stop).await {
        tokio::select! {
            permit = connections.permit() => drop(served.spawn(server.clone().serve(stream, peer, permit))),
            () = drained(&stop) => {}
        }
    }
    // Clients of connections that the kernel has taken for us may have sent their requests.
    for (stream, peer) in queued(listener) {
        let (server, connections, stop) = (server.clone(), Arc::clone(&connections), stop.clone());
        served.spawn(async move {
            tokio::select! {
                permit = connections.permit() => server.serve(stream, peer, permit).await,
                () = drained(&stop) => {}
            }
        });
    }
    served.close();
    served.wait().await;
}

/// What all connections of an interface share.
#[derive(Clone)]
struct Server {
    builder: auto::Builder<TokioExecutor>,
    interface: Interface,
    routes: Router,
    streams: Arc<Streams>,
    shutdown: Shutdown,
}

impl Server {
    /// Serves one connection until it ends, the hard stop at the latest.
    async fn serve(self, stream: TcpStream, peer: IpAddr, permit: Permitted) {
        let hard = self.shutdown.hard();
        tokio::select! {
            () = self.serve_one(stream, peer, Arc::clone(&permit.activity)) => {}
            () = hard.cancelled() => {}
        }
        drop(permit);
    }

    /// Asked to leave, a connection answers the requests under way and takes no more. How it ends is the client's
    /// affair.
    async fn serve_one(&self, stream: TcpStream, peer: IpAddr, activity: Arc<Activity>) {
        // Without it a small answer waits for the client's delayed acknowledgement; no harm if it fails.
        let _ = stream.set_nodelay(true);
        let (protocol, stop) = (self.interface.protocol, self.shutdown.soft());
        let exchange = Exchange {
            protocol,
            routes: self.routes.clone(),
            peer: Peer::new(peer),
            activity: Arc::clone(&activity),
            streams: Arc::clone(&self.streams),
            old_at: Instant::now() + jittered(self.interface.max_age),
            stop: stop.clone(),
        };
        let leave = leave(protocol, exchange.old_at, stop.clone());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let mut connection = pin!(self.builder.serve_connection(io, exchange).into_owned());
        let over = activity.over(&*self.interface.idle_timeout);
        let grace = tokio::select! {
            _result = connection.as_mut() => return,
            end = over => match end_of(end) {
                Some(grace) => grace,
                None => return,
            },
            () = leave => GRACE_PERIOD,
        };
        // A request that has just come is answered: it is read before the connection is told.
        tokio::select! {
            biased;
            _result = connection.as_mut() => return,
            () = tokio::task::yield_now() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _result = connection => {}
            () = sleep(grace) => {}
            () = drained(&stop) => {}
        }
    }
}

/// Counts a connection that we end. How long it may still take; `None`: it goes at once.
fn end_of(end: End) -> Option<Duration> {
    metrics::counter!("signup_connections_ended_total", "reason" => end.label()).increment(1);
    match end {
        End::Idle => Some(GRACE_PERIOD),
        End::Crowded | End::Flood => Some(SHORT_GRACE),
        End::Overrun | End::Header | End::Unsent => None,
    }
}

/// When a connection is asked to leave. HTTP/1.1 has no word for it besides `Connection: close` in an answer, so
/// connections without one wait for their end at the stop; for its age none is ended that idles.
async fn leave(protocol: Protocol, old_at: Instant, stop: CancellationToken) {
    match protocol {
        Protocol::Http1 => {
            stop.cancelled().await;
            sleep(LINGER).await;
        }
        Protocol::Http2 => tokio::select! {
            () = stop.cancelled() => {}
            () = sleep_until(old_at) => {}
        },
    }
}

/// When nothing is waited for any more.
async fn drained(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LINGER + DRAIN).await;
}

/// Nine to eleven tenths, as gRPC's `MAX_CONNECTION_AGE` is spread.
fn jittered(age: Duration) -> Duration {
    // Without random bytes (a kernel before its first seed) the ages are as they are.
    let share = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    age.mul_f64(0.9 + 0.2 * share)
}

fn builder(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would count from the end of the last answer; ours counts from the first byte.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}

#[cfg(test)]
mod tests;
