//! A link that came out of a mail.
//!
//! Takes: the query of a GET or the form of a POST to the page behind it. Gives: a `VerifyEmailRequest`, as an
//! extractor of handlers, also where programs on the way damaged the link; a whole one is read as the Go program
//! reads it. Does not: verify; [`crate::page`] asks first.

use crate::{error::ApiError, pb, query, request_body, verification};
use axum::{
    extract::{FromRequest, Request},
    http::Method,
};
use signup::link::Link;

/// The message in the query of a GET or in the form of a POST.
pub(crate) struct MailLink(pub(crate) pb::VerifyEmailRequest);

impl<S: Send + Sync> FromRequest<S> for MailLink {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        if request.method() == Method::POST {
            return read(&request_body::read(request).await?).map(Self);
        }
        read(request.uri().query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// # Errors
///
/// [`ApiError::Invalid`], [`ApiError::Malformed`] or [`ApiError::EmailId`]: what is wrong with it.
fn read(query: &[u8]) -> Result<pb::VerifyEmailRequest, ApiError> {
    let read =
        query::verify_email_request(&[query]).and_then(|request| verification::check(&request).map(|()| request));
    let is_whole = |request: &pb::VerifyEmailRequest| request.secret_code.bytes().all(|c| c.is_ascii_alphanumeric());
    if read.as_ref().is_ok_and(is_whole) {
        return read;
    }
    match Link::from_damaged(query) {
        Some(Link { email_id, secret_code }) => Ok(pb::VerifyEmailRequest { email_id, secret_code }),
        None => read,
    }
}
