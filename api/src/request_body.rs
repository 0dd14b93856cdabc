//! Reading a request body within bounds.
//!
//! Takes: the body of a request. Gives: its bytes, at most [`LIMIT`], within [`TIMEOUT`], without a mark of UTF-8's
//! byte order at their beginning (RFC 8259, 8.1). Does not: look into them otherwise, except to tell nesting bombs from
//! bodies that are merely too large; decode a body that is compressed.

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

/// Bytes of a body that is refused which are read and dropped, so that the client reads our answer instead of a
/// reset.
const MAX_DRAINED: usize = 32 * 1024 * 1024;

/// U+FEFF in UTF-8, which editors and some frameworks put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body.
///
/// # Errors
///
/// [`ApiError::Encoded`], [`ApiError::TooLarge`], [`ApiError::BodyTimeout`], or [`ApiError::Malformed`] when the
/// connection breaks in between or the first [`LIMIT`] bytes are already nested too deep to be accepted.
pub(crate) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let (parts, mut body) = request.into_parts();
    let announced = content_length(&parts.headers);
    let waits_for_consent = parts.headers.contains_key(header::EXPECT);
    if is_encoded(&parts.headers) {
        if !waits_for_consent && announced <= MAX_DRAINED {
            let _ = tokio::time::timeout(TIMEOUT, drain(&mut body)).await;
        }
        return Err(ApiError::Encoded);
    }
    if announced > LIMIT && (waits_for_consent || announced > MAX_DRAINED) {
        return Err(ApiError::TooLarge);
    }
    match tokio::time::timeout(TIMEOUT, collect(&mut body, announced.min(LIMIT))).await {
        Ok(read) => read.map(without_mark),
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

fn without_mark(body: Bytes) -> Bytes {
    if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body }
}

/// Whether a coding is named; `identity` is none (RFC 9110, 8.4 and 12.5.3).
fn is_encoded(headers: &HeaderMap) -> bool {
    let values =
        headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let mut codings = values.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
    codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// 0 when it is absent; HTTP itself refuses one that is not a number.
fn content_length(headers: &HeaderMap) -> usize {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn broken() -> ApiError {
    ApiError::Malformed { field: None, problem: "the body ended before it was complete".into() }
}
