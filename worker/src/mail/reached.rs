//! The step that a dialogue is at.
//!
//! Takes: each step, from the dialogue. Gives: the last one, to whoever ends the dialogue from outside. Does not: end it.

use super::reply::Phase;
use std::sync::{Mutex, PoisonError};

/// The step that a dialogue waits at.
#[derive(Debug, Default)]
pub(super) struct Reached(Mutex<Option<Phase>>);

impl Reached {
    /// `None`: nothing was asked of the server yet.
    pub(super) fn step(&self) -> Option<Phase> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the dialogue is at this step from now on.
    pub(super) fn at(&self, step: Phase) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
        step
    }
}
