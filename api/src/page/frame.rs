//! What all pages share: language, look and headers.
//!
//! Takes: a filled page. Gives: the answer. Does not: run scripts (but one, on the page after a signup), load
//! anything, or let the page be cached, framed,
//! indexed or sent as referrer: the address of one of them holds a code.

use super::words::{self, Words};
use crate::error::ApiError;
use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use signup::Language;
use std::{convert::Infallible, sync::LazyLock};

/// The only style there is.
pub(super) const STYLE: &str = include_str!("../../templates/style.css");

/// The only script there is, on the page after a signup: that page works without it.
pub(super) const SCRIPT: &str = include_str!("../../templates/delivery.js");

/// Allows that one style, by its hash, and forms to this site (CSP level 3).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy(""));

/// Allows also that one script, which asks this site alone.
static POLICY_WITH_SCRIPT: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = STANDARD.encode(Sha256::digest(SCRIPT));
    policy(&format!("script-src 'sha256-{script}'; connect-src 'self'; "))
});

fn policy(more: &str) -> HeaderValue {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; {more}form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    // Base64 has no sign that a header may not hold.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Headers of every page, besides the policy and those of the language.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
    (header::VARY, "Accept-Language"),
];

/// A user name without the blank that keyboards of phones put behind a word that they complete. Of addresses browsers
/// take it off.
pub(super) fn without_blanks(username: &str) -> String {
    username.trim().to_owned()
}

/// Who reads a page, and where its address is.
pub(crate) struct Reader {
    pub(super) language: Language,
    pub(super) words: &'static Words,
    /// Put before the names of other pages: a proxy may have put a path before this one.
    pub(super) base: &'static str,
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Several headers are one list (RFC 9110, 5.3).
        let headers = parts.headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
        let language = Language::accepted(&headers.collect::<Vec<_>>().join(","));
        let base = if parts.uri.path().ends_with('/') { "../" } else { "" };
        Ok(Self { language, words: words::of(language), base })
    }
}

impl Reader {
    /// The page as an answer.
    pub(super) fn page(&self, status: StatusCode, template: &impl Template) -> Response {
        let html = match template.render() {
            Ok(html) => html,
            Err(error) => return ApiError::Internal(Some(Box::new(error))).into_response(),
        };
        let mut response = (status, Html(html)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.language.tag()));
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// The page that has the script.
    pub(super) fn page_with_script(&self, template: &impl Template) -> Response {
        let mut response = self.page(StatusCode::OK, template);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY_WITH_SCRIPT.clone());
        response
    }

    /// The page of an error, with the time after which to come again.
    pub(super) fn failed(&self, error: &ApiError, template: &impl Template) -> Response {
        error.log_cause();
        let mut response = self.page(error.status(), template);
        error.write_headers(response.headers_mut());
        response
    }
}
