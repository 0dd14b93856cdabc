//! A document with every required field, for tests of all crates: a new field is written here once.
//!
//! Gives: the text and the [`Document`]. Does not: name files that exist; tests fill their own in.
//!
//! It is part of every build. A feature for tests would have cargo compile this crate and all above it twice.

use crate::Document;

/// The document as a file holds it; no value stands in it twice, so that tests can replace one.
pub const TEXT: &str = include_str!("sample.yaml");

impl Document {
    /// The document of [`TEXT`].
    ///
    /// # Panics
    ///
    /// Never: the text is part of the program, and a test of this crate parses it.
    pub fn sample() -> Self {
        Self::parse(TEXT).unwrap_or_else(|error| unreachable!("{error}"))
    }
}
