//! Percent-encoding of what goes into a URI (RFC 3986 section 2.1).
//!
//! Takes: text. Gives: the same with everything but ASCII letters and digits encoded, which is right in every place of
//! a URI. Does not: decode.

use std::fmt::Write as _;

/// Appends `text` to `uri`.
pub(crate) fn encode(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}
