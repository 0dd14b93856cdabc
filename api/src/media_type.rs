//! What a client says that its body is.
//!
//! Takes: the header Content-Type, and a body that could not be read as JSON. Gives: whether 415 is the answer: where
//! the client itself says that it sent something else. Does not: refuse a body that can be read, whatever its label:
//! the Go program never looked at it, and `curl -d` calls everything a form.

use crate::error::ApiError;
use axum::http::{HeaderMap, header};

/// The label of a body.
pub(crate) struct Declared {
    is_json: bool,
    /// UTF-8 or a part of it, or nothing said.
    is_utf8: bool,
}

impl Declared {
    /// Reads the header. None, and one that says nothing, is JSON.
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        let label = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("unreadable"));
        let label = label.to_ascii_lowercase();
        let (essence, parameters) = label.split_once(';').unwrap_or((&label, ""));
        let essence = essence.trim();
        let is_json = ["", "application/json", "text/json", "text/plain", "application/octet-stream"]
            .contains(&essence)
            || essence.ends_with("+json");
        let mut charsets = parameters.split(';').filter_map(|one| one.trim().strip_prefix("charset="));
        let is_utf8 = charsets.all(|charset| ["utf-8", "utf8", "us-ascii"].contains(&charset.trim_matches('"')));
        Self { is_json, is_utf8 }
    }

    /// What `error`, which says that the body is no JSON, means. What begins like a JSON object was meant as one.
    pub(crate) fn judge(&self, error: ApiError, body: &[u8]) -> ApiError {
        let begins_like_json = body.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['));
        let is_labelled = !self.is_utf8 || !(self.is_json || begins_like_json);
        match error {
            ApiError::Malformed { .. } if is_labelled => ApiError::NotJson,
            error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn judged(label: &[u8], body: &[u8]) -> ApiError {
        let value = HeaderValue::from_bytes(label).expect("a header");
        let malformed = ApiError::Malformed { field: None, problem: "no JSON".to_owned() };
        Declared::by(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)])).judge(malformed, body)
    }

    #[test]
    fn what_is_labelled_as_something_else_and_looks_like_it_is_of_a_type_that_is_not_read() {
        for (label, body) in [
            ("application/x-www-form-urlencoded", &b"username=alice"[..]),
            ("multipart/form-data; boundary=x", b"--x\r\n"),
            ("application/xml", b"<user/>"),
            ("Application/GRPC", b"\0\0\0\0\0"),
            ("application/json; charset=utf-16", b"{\0}\0"),
            ("application/json;charset=\"UTF-16LE\"", b"{\0}\0"),
            ("text/html; charset=iso-8859-1", b"{\"a\":\"\xe9\"}"),
        ] {
            assert!(matches!(judged(label.as_bytes(), body), ApiError::NotJson), "{label}");
        }
    }

    #[test]
    fn broken_json_is_malformed_under_a_label_of_json_and_under_that_of_curl() {
        for label in ["", "application/json; charset=UTF-8", "text/plain", "application/problem+json"] {
            assert!(matches!(judged(label.as_bytes(), b"username=alice"), ApiError::Malformed { .. }), "{label}");
        }
        let curl = judged(b"application/x-www-form-urlencoded", b" {\"username\":");
        assert!(matches!(curl, ApiError::Malformed { .. }), "{curl}");
    }

    proptest! {
        #[test]
        fn no_label_panics(label in "[ -~]{0,60}", body in prop::collection::vec(any::<u8>(), 0..20)) {
            judged(label.as_bytes(), &body);
        }
    }
}
