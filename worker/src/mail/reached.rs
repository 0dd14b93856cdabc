//! The step that a dialogue is at.
//!
//! Takes: each step, from the dialogue. Gives: the last one, to whoever ends the dialogue from outside. Does not: end
//! it.

use super::reply::Phase;
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Debug, Default)]
enum Where {
    /// Nothing was asked of the server yet.
    #[default]
    Nowhere,
    /// Other mails are waited for, not the server.
    Queue,
    Step(Phase),
    /// Wherever the connection is that is being opened.
    Opening(Arc<Reached>),
}

/// The step that a dialogue waits at.
#[derive(Debug, Default)]
pub(super) struct Reached(Mutex<Where>);

impl Reached {
    /// `None`: nothing is asked of the server now.
    pub(super) fn step(&self) -> Option<Phase> {
        match &*self.0.lock() {
            Where::Nowhere | Where::Queue => None,
            Where::Step(step) => Some(*step),
            Where::Opening(opening) => opening.step(),
        }
    }

    /// True: the mail waits for a connection that others use.
    pub(super) fn is_queued(&self) -> bool {
        matches!(*self.0.lock(), Where::Queue)
    }

    /// Notes that the dialogue is at this step from now on.
    pub(super) fn at(&self, step: Phase) -> Phase {
        self.set(Where::Step(step));
        step
    }

    /// Notes that the dialogue is wherever the opening of its connection is.
    pub(super) fn follow(&self, opening: Arc<Self>) {
        self.set(Where::Opening(opening));
    }

    /// Notes that the dialogue waits for other mails.
    pub(super) fn queue(&self) {
        self.set(Where::Queue);
    }

    fn set(&self, place: Where) {
        *self.0.lock() = place;
    }
}
