//! The JSON of protobuf messages, as grpc-gateway v2.10 reads it, and (`response`) writes it.
//!
//! Takes: the body of a request. Gives: the message, or the field that cannot be read. Accepts `full_name` and
//! `fullName`, ignores unknown fields, reads `null` as absent and no body at all as the empty message; refuses a field
//! given twice. Does not: judge values; that is the domain's work.

mod response;

use crate::{error::ApiError, fields::Fields, media_type::Declared, nesting, request_body};
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use std::fmt;

/// What was being read when reading stopped: the field and what is wrong with it, unless the JSON itself is broken.
type Position = Option<(&'static str, &'static str)>;

/// A message as the JSON body of a request or of an answer.
pub(crate) struct ProtoJson<T>(pub(crate) T);

impl<S: Send + Sync, T: Fields + Send> FromRequest<S> for ProtoJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let declared = Declared::by(request.headers());
        let body = request_body::read(request).await?;
        Ok(Self(message(&body).map_err(|error| declared.judge(error, &body))?))
    }
}

/// Reads a message.
///
/// # Errors
///
/// [`ApiError::Malformed`], with the field when one can be named.
fn message<T: Fields>(body: &[u8]) -> Result<T, ApiError> {
    let mut request = T::default();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(request);
    }
    if let Some(error) = nesting::error(body) {
        return Err(error);
    }
    let mut position = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    Message { request: &mut request, position: &mut position }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| malformed(&error, position))?;
    // The reader skips unknown fields without looking at their letters.
    match std::str::from_utf8(body) {
        Ok(_) => Ok(request),
        Err(_) => Err(ApiError::Malformed { field: None, problem: "malformed JSON: not valid UTF-8".to_owned() }),
    }
}

/// serde's own text is not used: it repeats values, and a value may be a password.
fn malformed(error: &serde_json::Error, position: Position) -> ApiError {
    let syntax = matches!(error.classify(), Category::Syntax | Category::Eof | Category::Io);
    let (line, column) = (error.line(), error.column());
    let (field, problem) = match position {
        Some((field, _)) if syntax => {
            (Some(field), format!("malformed JSON in {field} at line {line} column {column}"))
        }
        Some((field, problem)) => (Some(field), format!("{field} {problem}")),
        None if syntax => (None, format!("malformed JSON at line {line} column {column}")),
        None => (None, "the body must be a JSON object".to_owned()),
    };
    ApiError::Malformed { field, problem }
}

/// Fills `request`, keeping `position` up to date.
struct Message<'a, T> {
    request: &'a mut T,
    position: &'a mut Position,
}

impl<'de, T: Fields> DeserializeSeed<'de> for Message<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Message<'_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some((name, _)) = self.request.field(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.position = Some((name, "is given twice"));
            if seen.contains(&name) {
                return Err(A::Error::custom("duplicate field"));
            }
            seen.push(name);
            *self.position = Some((name, "must be a string"));
            let text = map.next_value::<Option<String>>()?.unwrap_or_default();
            if let Some((_, slot)) = self.request.field(&key) {
                *slot = text;
            }
            *self.position = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;
    use proptest::prelude::*;
    use serde_json::json;

    fn create_user_request(body: &[u8]) -> Result<pb::CreateUserRequest, ApiError> {
        message(body)
    }

    fn problem(body: &[u8]) -> (Option<&'static str>, String) {
        match create_user_request(body) {
            Err(ApiError::Malformed { field, problem }) => (field, problem),
            other => panic!("{:?} is accepted: {}", String::from_utf8_lossy(body), other.is_ok()),
        }
    }

    #[test]
    fn both_spellings_unknown_fields_and_null_are_read() {
        let body = br#"{"fullName":"Alice","x":[{"y":1}],"email":null,"username":"al\u0069ce"}"#;
        let request = create_user_request(body).expect("valid");
        assert_eq!((request.username.as_str(), request.full_name.as_str()), ("alice", "Alice"));
        assert_eq!((request.email.as_str(), request.password.as_str()), ("", ""));
        assert!(create_user_request(b" \r\n\t").expect("no body is the empty message").username.is_empty());
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named_and_its_value_is_not() {
        for (body, field, text) in [
            (&br#"{"password":12345678}"#[..], Some("password"), "must be a string"),
            (br#"{"fullName":["x"]}"#, Some("full_name"), "must be a string"),
            (br#"{"email":{"a":"b"}}"#, Some("email"), "must be a string"),
            (br#"{"username":true}"#, Some("username"), "must be a string"),
            (b"{\"username\":\"a\xff\"}", Some("username"), "malformed JSON in username"),
            (b"{\"unknown\":\"a\xff\"}", None, "not valid UTF-8"),
            (br#"{"username":"\ud800"}"#, Some("username"), "username"),
            (br#"{"full_name":"a","fullName":"b"}"#, Some("full_name"), "twice"),
            (b"{\"password\":\"a\0bcdefgh\"}", Some("password"), "malformed JSON"),
            (br#"{"email":"a"#, Some("email"), "malformed JSON"),
            (br#"{"email":"a"}}"#, None, "malformed JSON"),
            (b"[]", None, "JSON object"),
            (b"null", None, "JSON object"),
            (b"\"username\"", None, "JSON object"),
            (b"{", None, "malformed JSON"),
        ] {
            let (named, problem) = problem(body);
            assert_eq!(named, field, "{}", String::from_utf8_lossy(body));
            assert!(problem.contains(text) && !problem.contains("12345678"), "{problem}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_nest() {
        let deep = [&b"{\"x\":"[..], &b"[".repeat(60_000)].concat();
        assert!(problem(&deep).1.contains("nested deeper than 128"));
        let harmless = format!(r#"{{"x":"\"{}","username":"alice"}}"#, "[".repeat(500));
        assert_eq!(create_user_request(harmless.as_bytes()).expect("valid").username, "alice");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = create_user_request(&body);
        }

        #[test]
        fn every_string_is_read_as_it_was_written(username in any::<String>(), password in any::<String>()) {
            let body = json!({"username": username, "password": password}).to_string();
            let request = create_user_request(body.as_bytes()).expect("serde_json wrote it");
            prop_assert_eq!(request.username, username);
            prop_assert_eq!(request.password, password);
        }
    }
}
