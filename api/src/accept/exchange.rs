//! One request and its answer, as the connection's [`Activity`] has to know of them.
//!
//! Takes: a request of hyper's, and the routes. Gives: the routes' answer; HTTP/1.1: with `Connection: close` when the
//! connection is to end with it; HTTP/2: with a permit among the [`Streams`] until its last byte is taken, or 503 where
//! there is none. Does not: know what is served.

use super::{
    Protocol,
    activity::{Activity, Open},
    streams::{Admission, Streams},
};
use crate::peer::Peer;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
};
use futures::{FutureExt as _, future::BoxFuture};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming, SizeHint},
    header::{CONNECTION, HeaderValue},
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The service of one connection.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) protocol: Protocol,
    pub(super) routes: Router,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) streams: Arc<Streams>,
    /// From when on an answer is the connection's last: at its age, or at the stop.
    pub(super) old_at: Instant,
    pub(super) stop: CancellationToken,
}

impl hyper::service::Service<Request<Incoming>> for Exchange {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = self.activity.begin();
        let admission = match self.protocol {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(self.streams.admit(&self.activity)),
        };
        match admission {
            None => self.clone().answer(request, open).boxed(),
            Some(Admission::Permit(permit)) => self.clone().answer(request, open.with(permit)).boxed(),
            Some(Admission::Wait) => self.clone().answer_later(request, open).boxed(),
            Some(Admission::Refused) => std::future::ready(Ok(refused(&open))).boxed(),
        }
    }
}

impl Exchange {
    async fn answer_later(self, request: Request<Incoming>, open: Open) -> Result<Response<Body>, Infallible> {
        match self.streams.wait().await {
            Some(permit) => self.answer(request, open.with(permit)).await,
            None => Ok(refused(&open)),
        }
    }

    async fn answer(self, request: Request<Incoming>, open: Open) -> Result<Response<Body>, Infallible> {
        let open = Arc::new(open);
        let peer = self.peer.with(request.headers());
        let mut request = request.map(|body| Body::new(Arriving::new(body, Arc::clone(&open))));
        request.extensions_mut().insert(peer);
        let mut response = self.routes.oneshot(request).await?;
        if self.protocol == Protocol::Http1 && (self.stop.is_cancelled() || Instant::now() >= self.old_at) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        open.answered();
        Ok(response.map(|body| Body::new(Leaving::new(body, open, self.protocol))))
    }
}

/// gRPC clients read it as UNAVAILABLE (gRPC's `http-grpc-status-mapping.md`). It has no body: closed windows cannot
/// hold it.
fn refused(open: &Open) -> Response<Body> {
    open.refused();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// A message, and its end told.
struct Arriving {
    body: Incoming,
    open: Arc<Open>,
}

impl Arriving {
    fn new(body: Incoming, open: Arc<Open>) -> Self {
        let arriving = Self { body, open };
        arriving.look();
        arriving
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.open.arrived();
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.open.arrived(),
            Poll::Ready(Some(Err(_))) => self.open.broke_off(),
            _ => self.look(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer. Its request is under way until the last piece of it is dropped.
struct Leaving {
    body: Body,
    open: Arc<Open>,
    protocol: Protocol,
}

/// A piece of an answer, which HTTP/2 keeps while the client's windows are closed.
struct Piece {
    bytes: Bytes,
    _open: Arc<Open>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Leaving {
    fn new(body: Body, open: Arc<Open>, protocol: Protocol) -> Self {
        let leaving = Self { body, open, protocol };
        leaving.look();
        leaving
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.open.done();
        }
    }

    fn kept(&self, bytes: Bytes) -> Bytes {
        match self.protocol {
            Protocol::Http1 => bytes,
            Protocol::Http2 => Bytes::from_owner(Piece { bytes, _open: Arc::clone(&self.open) }),
        }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.open.done(),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => self.open.done(),
            _ => self.look(),
        }
        polled.map_ok(|frame| frame.map_data(|bytes| self.kept(bytes)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
