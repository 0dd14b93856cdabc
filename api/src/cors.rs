//! Requests from pages of other origins (CORS, the Fetch standard).
//!
//! Takes: a request, and `signup.allowedOrigins` in force. Gives: preflights their answer, and each answer of the JSON
//! interface the headers by which a browser shows it to a script, errors included. Does not: touch a request where the
//! field is not set, nor the pages behind links, which no script of another page has to read; allow credentials, for
//! there are none.

use crate::delivery;
use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::Response,
};
use pipeline::Live;
use std::time::Duration;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may go without asking again: the longest that Chromium takes; Firefox would take a day.
const MAX_AGE: Duration = Duration::from_secs(2 * 3600);

/// What scripts may ask for.
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::PATCH];

/// Headers of answers that scripts may read besides those that they always may.
const EXPOSED: [HeaderName; 4] = [
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    delivery::HEADER,
];

/// Answers a preflight, or marks the answer of what comes next.
pub(crate) async fn answer(State(live): State<Live>, request: Request, next: Next) -> Response {
    let document = live.document();
    if document.signup.allowed_origins.is_empty() || !is_asked_by_scripts(&request) {
        return next.run(request).await;
    }
    let is_allowed = move |origin: &HeaderValue, _: &Parts| {
        document.signup.allowed_origins.iter().any(|allowed| allowed.admits(origin.as_bytes()))
    };
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods(METHODS)
        // No header is secret where no credentials are; tracing adds some to every request of a page.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE);
    match cors.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// An OPTIONS that is no preflight is a method like any other.
fn is_asked_by_scripts(request: &Request) -> bool {
    let headers = request.headers();
    let is_preflight =
        headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    request.uri().path().starts_with("/v1/") && (request.method() != Method::OPTIONS || is_preflight)
}
