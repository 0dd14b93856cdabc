//! Query strings and form bodies (`application/x-www-form-urlencoded`), as grpc-gateway v2.10 reads them.
//!
//! Takes: the text after `?` and, for a form, the body. Gives: a `VerifyEmailRequest`; and, for logs, the text with all
//! values but ids replaced. Accepts `email_id` and `emailId`, ignores unknown parameters, refuses a parameter given twice.
//! Does not: judge values; that is [`crate::verification`].

use crate::{error::ApiError, pb};

/// Written in place of a secret value.
const REDACTED: &str = "REDACTED";

/// Parameters whose values may be logged.
const IDS: [&str; 2] = ["email_id", "emailId"];

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

/// A request URI that may be logged: of its values only ids are kept, so that no code is in a log however its link was
/// mangled on the way (an escaped `?` or `&`, say).
pub(crate) fn redact(uri: &str) -> String {
    match uri.split_once('?') {
        Some((path, query)) => {
            let parts: Vec<String> = query.split(['&', ';']).map(redact_part).collect();
            format!("{}?{}", redact_path(path), parts.join("&"))
        }
        None => redact_path(uri),
    }
}

/// No path of ours holds what sets parameters apart.
fn redact_path(path: &str) -> String {
    match path.split_once(['%', '&', ';', '=']) {
        Some((path, _)) => format!("{path}{REDACTED}"),
        None => path.to_owned(),
    }
}

fn redact_part(part: &str) -> String {
    match part.split_once('=') {
        Some((name, value)) if IDS.contains(&name) && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.to_owned()
        }
        Some((name, _)) => format!("{name}={REDACTED}"),
        None if part.is_empty() => String::new(),
        None => REDACTED.to_owned(),
    }
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
    fn of_all_values_only_ids_are_kept() {
        for (uri, logged) in [
            ("/v1/verify_email?email_id=1&secret_code=abc", "/v1/verify_email?email_id=1&secret_code=REDACTED"),
            ("/v1/verify_email?secretCode=abc&emailId=1", "/v1/verify_email?secretCode=REDACTED&emailId=1"),
            ("/x?secret%5fcode=abc&Secret_Code=def", "/x?secret%5fcode=REDACTED&Secret_Code=REDACTED"),
            ("/x?%zz=abc&password=p&a=b&c", "/x?%zz=REDACTED&password=REDACTED&a=REDACTED&REDACTED"),
            ("/x?email_id=1&amp;secret_code=abc", "/x?email_id=1&REDACTED&secret_code=REDACTED"),
            ("/x?email_id=1;secret_code=abc", "/x?email_id=1&secret_code=REDACTED"),
            ("/x?email_id=1%26secret_code%3Dabc", "/x?email_id=REDACTED"),
            ("/verify_email%3Femail_id=1&secret_code=abc", "/verify_emailREDACTED"),
            ("/verify_email&secret_code=abc?x=1", "/verify_emailREDACTED?x=REDACTED"),
            ("/v1/verify_email?abc", "/v1/verify_email?REDACTED"),
            ("/v1/create_user", "/v1/create_user"),
        ] {
            assert_eq!(redact(uri), logged);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = verify_email_request(&[&text]);
        }

        #[test]
        fn a_code_never_survives_redaction(code in "[a-z]{32}", name in "(secret_?code|secretCode|SECRET_CODE)") {
            let uri = format!("/p?a=1&{name}={code}&b=2");
            prop_assert!(!redact(&uri).contains(&code));
        }
    }
}
