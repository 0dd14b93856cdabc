//! Full names.
//!
//! Takes: text from a request. Gives: a [`FullName`] that can stand in a mail's header. Does not: hold line breaks. The
//! Go program's pattern `^[a-zA-Z\s]+$` lets CR, LF and form feed through; we refuse these with the same message,
//! because the name is written into mails.

use crate::violation::{Violation, check_length};
use std::fmt;

/// A full name: 3 to 100 bytes of ASCII letters, spaces and tabs. Personal: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct FullName(String);

impl FullName {
    /// Parses a full name.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `full_name`: its length first, then its letters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        check_length("full_name", text, 3, 100)?;
        if text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b' ' || byte == b'\t') {
            return Ok(Self(text.to_owned()));
        }
        Err(Violation::new("full_name", "must contain only letters or spaces"))
    }

    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FullName(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_spaces_and_tabs_are_accepted() {
        for name in ["Alice", "Alice New", "A b\tC", "   ", &"a".repeat(100)] {
            assert_eq!(FullName::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn each_mistake_has_the_text_clients_know() {
        let length = "must contain from 3-100 characters";
        let letters = "must contain only letters or spaces";
        let cases = [("", length), ("Al", length), ("1", length), ("José", letters), ("Al1ce", letters)];
        let breaks = [("Alice\r\nBcc: x", letters), ("Al\0ice", letters), ("Alice\n", letters), ("Al\x0cice", letters)];
        for (name, text) in cases.into_iter().chain(breaks).chain([("é".repeat(51).as_str(), length)]) {
            assert_eq!(FullName::parse(name), Err(Violation::new("full_name", text)), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_line_break_survives(text in any::<String>()) {
            if let Ok(name) = FullName::parse(&text) {
                prop_assert!(!name.as_str().contains(['\r', '\n', '\0']));
            }
        }
    }
}
