//! What reading an object can come to.
//!
//! Takes: an answer of the API server. Gives: a [`Seen`], in which absence and a missing right are answers like any
//! other. Does not: ask.

/// What the API server says when it is asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen<T> {
    /// It is there.
    There(T),
    /// It is not.
    Absent,
    /// The caller may not know.
    Forbidden,
}

impl<T> Seen<T> {
    /// The same with what `change` makes of it.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::There(found) => Seen::There(change(found)),
            Self::Absent => Seen::Absent,
            Self::Forbidden => Seen::Forbidden,
        }
    }
}
