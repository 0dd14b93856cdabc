//! Query strings and form bodies (`application/x-www-form-urlencoded`), as grpc-gateway v2.10 reads them.
//!
//! Takes: the text after `?` and, for a form, the body. Gives: a `VerifyEmailRequest`, the message of a page's form, or
//! what else a query says, as extractors of handlers.
//! Accepts `email_id` and `emailId`, ignores unknown parameters, refuses a parameter given twice. Does not: judge
//! values; that is [`crate::verification`].

use crate::{error::ApiError, fields::Fields, pb, request_body};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Method, header, request::Parts},
};

/// The message in the query of a GET, or in query and form of a POST: grpc-gateway serves a form by the GET route.
/// Other POSTs are unknown to it.
pub(crate) struct Parameters(pub(crate) pb::VerifyEmailRequest);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() != Method::POST {
            return Ok(Self(verify_email_request(&[query.as_bytes()])?));
        }
        if !is_form(request.headers()) {
            return Err(ApiError::NoSuchMethod);
        }
        let form = request_body::read(request).await?;
        Ok(Self(verify_email_request(&[query.as_bytes(), &form])?))
    }
}

/// A message in the form of a page of ours. Whatever else a browser sends along is ignored.
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Send + Sync, T: Fields + Send> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        form(&request_body::read(request).await?).map(Self)
    }
}

/// What the query of a GET says. Whatever else stands in it is ignored.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: Fields> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        form(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// # Errors
///
/// [`ApiError::Malformed`] for a parameter given twice or not UTF-8.
fn form<T: Fields>(text: &[u8]) -> Result<T, ApiError> {
    let (mut message, mut seen) = (T::default(), Vec::new());
    for (name, value) in pairs(text) {
        let Some(name) = decode(name) else { continue };
        let Some((field, slot)) = message.field(&name) else { continue };
        let fail = |problem: String| ApiError::Malformed { field: Some(field), problem };
        *slot = decode(value).ok_or_else(|| fail(format!("{field} must be valid UTF-8, percent-encoded")))?;
        if seen.contains(&field) {
            return Err(fail(format!("too many values for field \"{field}\"")));
        }
        seen.push(field);
    }
    Ok(message)
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Reads a `VerifyEmailRequest` from one or more encoded texts.
///
/// # Errors
///
/// [`ApiError::Malformed`] for a parameter given twice or not UTF-8, [`ApiError::EmailId`] for an id that is no number.
pub(crate) fn verify_email_request(texts: &[&[u8]]) -> Result<pb::VerifyEmailRequest, ApiError> {
    let (mut email_id, mut secret_code) = (None, None);
    for (name, value) in texts.iter().flat_map(|text| pairs(text)) {
        let (field, slot) = match decode(name).as_deref() {
            Some("email_id" | "emailId") => ("email_id", &mut email_id),
            Some("secret_code" | "secretCode") => ("secret_code", &mut secret_code),
            _ => continue,
        };
        let fail = |problem: String| ApiError::Malformed { field: Some(field), problem };
        let value = decode(value).ok_or_else(|| fail(format!("{field} must be valid UTF-8, percent-encoded")))?;
        if slot.replace(value).is_some() {
            return Err(fail(format!("too many values for field \"{field}\"")));
        }
    }
    let email_id = match email_id {
        Some(text) => text.parse().map_err(|_| ApiError::EmailId)?,
        None => 0,
    };
    Ok(pb::VerifyEmailRequest { email_id, secret_code: secret_code.unwrap_or_default() })
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + '_ {
    text.split(|byte| *byte == b'&').map(|part| {
        let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        (&part[..end], part.get(end + 1..).unwrap_or_default())
    })
}

/// `+` is a space, `%41` is a byte; `None` for a broken escape or text that is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(*rest.next()?)? * 16 + hex_digit(*rest.next()?)?,
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_spellings_and_unknown_parameters_are_read() {
        for text in
            ["email_id=7&secret_code=a%62c", "x=1&&emailId=7&secretCode=abc&y", "secret%5Fcode=abc&email_id=%37"]
        {
            let request = verify_email_request(&[text.as_bytes()]).expect(text);
            assert_eq!((request.email_id, request.secret_code.as_str()), (7, "abc"), "{text}");
        }
        assert_eq!(verify_email_request(&[b""]).expect("all absent").email_id, 0);
    }

    #[test]
    fn mistakes_name_the_parameter_and_keep_its_value_to_themselves() {
        for (texts, field) in [
            (&["secret_code=topsecret&secretCode=other"][..], "secret_code"),
            (&["email_id=1", "email_id=2"], "email_id"),
            (&["secret_code=topsecret%ff"], "secret_code"),
            (&["secret_code=topsecret%4"], "secret_code"),
            (&["email_id=topsecret"], "email_id"),
            (&["email_id=99999999999999999999"], "email_id"),
        ] {
            let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            let Err(error) = verify_email_request(&bytes) else { panic!("{texts:?} is accepted") };
            let text = error.to_string();
            assert!(text.contains(field) && !text.contains("topsecret"), "{text}");
        }
    }

    #[test]
    fn the_form_of_a_page_is_read_and_a_field_given_twice_is_not() {
        let read = |text: &str| form::<pb::VerifyCodeRequest>(text.as_bytes());
        let message = read("username=alice&code=123+456&x=%ff&%ff=1").expect("a form");
        assert_eq!((message.username.as_str(), message.code.as_str()), ("alice", "123 456"));
        assert!(read("").expect("an empty form").username.is_empty());
        for text in ["code=1&code=2", "code=%ff", "code=%4"] {
            assert!(matches!(read(text), Err(ApiError::Malformed { field: Some("code"), .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = verify_email_request(&[&text]);
            let _ = form::<pb::CorrectEmailRequest>(&text);
        }
    }
}
