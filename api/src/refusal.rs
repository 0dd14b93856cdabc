//! Tasks that Redis or the queue refuses.
//!
//! Takes: tasks of which some were refused in one round trip. Gives: the same tasks handed over one by one, so that a
//! refused one does not stop the others. Does not: give a refused task up: its row stays owed, and the sweeper hands it
//! over again.

use pipeline::chain;
use queue::{Client, Error, Task};
use std::slice;

/// Whether the error can be about one of several tasks; else it is about Redis as a whole.
pub(crate) fn can_be_of_one_task(error: &Error) -> bool {
    match error {
        Error::Refused(_) => !error.is_about_all_writes(),
        Error::InvalidTask { .. } | Error::Undecodable(_) | Error::UnexpectedReply { .. } => true,
        _ => false,
    }
}

/// Makes sure of each task by itself.
///
/// # Errors
///
/// [`Error`] when Redis is the trouble: it does not answer, or it refuses every task that the queue finds valid.
pub(crate) async fn ensure_each(client: &Client, tasks: &[Task]) -> Result<(), Error> {
    let (mut taken, mut refusal) = (0, None);
    for task in tasks {
        match client.ensure_many(slice::from_ref(task)).await {
            Ok(()) => taken += 1,
            Err(error) if can_be_of_one_task(&error) => {
                report(task, &error);
                if !matches!(error, Error::InvalidTask { .. }) {
                    refusal = Some(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    match refusal {
        Some(error) if taken == 0 => Err(error),
        _ => Ok(()),
    }
}

fn report(task: &Task, error: &Error) {
    metrics::counter!("signup_relay_refused_tasks_total").increment(1);
    let cause = std::error::Error::source(error).map(chain);
    tracing::error!(task.id = task.id, %error, cause, "this task is refused; it is tried again when it is overdue");
}
