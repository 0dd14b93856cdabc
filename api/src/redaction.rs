//! Request URIs as they may be logged.
//!
//! Takes: a URI as the client sent it. Gives: the same with all values but ids replaced. Does not: decode anything;
//! what is mangled is replaced as a whole.

/// Written in place of a secret value.
const REDACTED: &str = "REDACTED";

/// Parameters whose values may be logged.
const IDS: [&str; 2] = ["email_id", "emailId"];

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
        Some((name, _)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            format!("{name}={REDACTED}")
        }
        None if part.is_empty() => String::new(),
        // What is escaped may hold a whole query.
        _ => REDACTED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_all_values_only_ids_are_kept() {
        for (uri, logged) in [
            ("/v1/verify_email?email_id=1&secret_code=abc", "/v1/verify_email?email_id=1&secret_code=REDACTED"),
            ("/v1/verify_email?secretCode=abc&emailId=1", "/v1/verify_email?secretCode=REDACTED&emailId=1"),
            ("/x?secret%5fcode=abc&Secret_Code=def", "/x?REDACTED&Secret_Code=REDACTED"),
            ("/x?%zz=abc&password=p&a=b&c", "/x?REDACTED&password=REDACTED&a=REDACTED&REDACTED"),
            ("/x?email_id=1&amp;secret_code=abc", "/x?email_id=1&REDACTED&secret_code=REDACTED"),
            ("/x?email_id=1;secret_code=abc", "/x?email_id=1&secret_code=REDACTED"),
            ("/x?email_id=1%26secret_code%3Dabc", "/x?email_id=REDACTED"),
            ("/verify_email?email_id%3D1%26secret_code%3Dabc=", "/verify_email?REDACTED"),
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
        fn a_code_never_survives_redaction(code in "[a-z]{32}", name in "(secret_?code|secretCode|SECRET_CODE)") {
            let uri = format!("/p?a=1&{name}={code}&b=2");
            prop_assert!(!redact(&uri).contains(&code));
        }
    }
}
