//! Reading a request body within bounds.
//!
//! Takes: the body of a request. Gives: its bytes, at most [`LIMIT`], within [`TIMEOUT`]. Does not: look into them,
//! except to tell nesting bombs from bodies that are merely too large.

use crate::{error::ApiError, nesting};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;
use std::time::Duration;

/// Bytes: a signup is well below 1 KiB, so 64 KiB is generous.
pub(crate) const LIMIT: usize = 64 * 1024;

/// Time for the whole body, however it trickles in.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a body that is too large which are read and dropped, so that the client reads our answer instead of a
/// reset.
const MAX_DRAINED: usize = 32 * 1024 * 1024;

/// Reads a body.
///
/// # Errors
///
/// [`ApiError::TooLarge`], [`ApiError::BodyTimeout`], or [`ApiError::Malformed`] when the connection breaks in between
/// or the first [`LIMIT`] bytes are already nested too deep to be accepted.
pub(crate) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let (parts, mut body) = request.into_parts();
    let announced = content_length(&parts.headers);
    let waits_for_consent = parts.headers.contains_key(header::EXPECT);
    if announced > LIMIT && (waits_for_consent || announced > MAX_DRAINED) {
        return Err(ApiError::TooLarge);
    }
    match tokio::time::timeout(TIMEOUT, collect(&mut body, announced.min(LIMIT))).await {
        Ok(read) => read,
        Err(_elapsed) => Err(ApiError::BodyTimeout),
    }
}

async fn collect(body: &mut Body, expected: usize) -> Result<Bytes, ApiError> {
    let mut read = Vec::with_capacity(expected);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        let room = LIMIT - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            drain(body).await;
            return Err(nesting::error(&read).unwrap_or(ApiError::TooLarge));
        }
    }
    Ok(read.into())
}

async fn drain(body: &mut Body) {
    let mut left = MAX_DRAINED;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// 0 when it is absent; HTTP itself refuses one that is not a number.
fn content_length(headers: &HeaderMap) -> usize {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn broken() -> ApiError {
    ApiError::Malformed { field: None, problem: "the body ended before it was complete".into() }
}
