//! The answers of a Redis that answers, pipeline by pipeline.
//!
//! Takes: the answers of one round trip, in the order of its questions. Gives: what was read of the next queues, and
//! which of them could not be. Does not: know whose they are.

use queue::{Answers, QueueReading, Untracked};

/// Something of each queue, by its name.
type ByQueue<T> = Vec<(String, T)>;

/// Answers of a Redis that answers.
pub(super) struct Answered {
    states: std::vec::IntoIter<Result<QueueReading, queue::Error>>,
    pub(super) untracked: Option<Untracked>,
}

impl Answered {
    /// One that loads its data says so to each command.
    pub(super) fn of(answers: Answers) -> Result<Self, queue::Error> {
        let Answers { states, untracked } = answers;
        match states.first() {
            Some(Err(first)) if states.iter().all(|state| state.as_ref().is_err_and(queue::Error::is_unreachable)) => {
                Err(first.clone())
            }
            _ => Ok(Self { states: states.into_iter(), untracked }),
        }
    }

    /// What was read of these queues, and which of them could not be read.
    pub(super) fn take(&mut self, names: &[String]) -> (ByQueue<QueueReading>, ByQueue<queue::Error>) {
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        for (name, state) in names.iter().cloned().zip(self.states.by_ref()) {
            match state {
                Ok(reading) => read.push((name, reading)),
                Err(error) => unread.push((name, error)),
            }
        }
        (read, unread)
    }
}
