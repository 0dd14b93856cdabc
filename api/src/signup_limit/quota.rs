//! The limit as clients are told of it.
//!
//! Takes: what is left to a client. Gives: the headers `RateLimit-Policy` and `RateLimit` of
//! draft-ietf-httpapi-ratelimit-headers-10. Does not: promise anything: another process may admit the same client, and
//! where both stand, `Retry-After` holds.

use crate::error::whole_seconds;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::{num::NonZeroU32, time::Duration};

/// What the limit leaves to a client.
pub(crate) struct Quota {
    /// Signups a minute.
    pub(super) per_minute: NonZeroU32,
    /// Signups that would be admitted now.
    pub(super) left: u32,
    /// Until all of them would be.
    pub(super) until_all: Duration,
}

impl Quota {
    /// Adds both headers.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        let Self { per_minute, left, until_all } = self;
        let seconds = if until_all.is_zero() { 0 } else { whole_seconds(*until_all) };
        let policy = format!("\"signup\";q={per_minute};w=60");
        let limit = format!("\"signup\";r={left};t={seconds}");
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
