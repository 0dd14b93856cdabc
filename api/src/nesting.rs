//! JSON that nests too deep.
//!
//! Takes: a body, or its beginning. Gives: the refusal, when there is one. Does not: read anything else of it.

use crate::error::ApiError;

/// Levels of arrays and objects; more is an attack, not a signup. serde_json's own limit for what it keeps.
const MAX_DEPTH: usize = 128;

/// The answer to a body that nests too deep, even if only its beginning is at hand.
pub(crate) fn error(body: &[u8]) -> Option<ApiError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let problem = format!("malformed JSON: nested deeper than {MAX_DEPTH} levels");
            return Some(ApiError::Malformed { field: None, problem });
        }
    }
    None
}
