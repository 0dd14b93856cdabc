//! Why a field of a request was refused, in the words clients of the Go program already know.
//!
//! Gives: the field's name and a text that never repeats the value (it may be a
//! password). Does not: know HTTP or gRPC; `api` puts it into a `google.rpc.BadRequest`.

/// One field that breaks its rule; a field is reported once, its length before anything else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {description}")]
pub struct Violation {
    /// The field's snake_case name in the request.
    pub field: &'static str,
    /// What the field must be.
    pub description: String,
}

impl Violation {
    pub(crate) fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self { field, description: description.into() }
    }
}

/// The text of a length rule; shared because clients compare it.
pub(crate) fn length_text(shortest: usize, longest: usize) -> String {
    format!("must contain from {shortest}-{longest} characters")
}

/// Refuses a value whose length in bytes (Go's `len`, although the text says characters) is outside the bounds.
pub(crate) fn check_length(field: &'static str, value: &str, shortest: usize, longest: usize) -> Result<(), Violation> {
    if (shortest..=longest).contains(&value.len()) {
        return Ok(());
    }
    Err(Violation::new(field, length_text(shortest, longest)))
}
