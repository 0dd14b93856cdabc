//! Reads many queues in one round trip, in several databases where the connection may select them.

use super::{is_unknown_script, with_text};
use crate::{connection::Connection, error::Error, keys::QueueKeys, queue_state::QueueReading, tracker::Question};
use redis::{Pipeline, Value};

/// The states of queues, in the order of the questions. With `selects` the connection must be the caller's alone.
pub(crate) async fn queue_states(
    connection: &Connection,
    questions: &[Question],
    selects: bool,
) -> Result<Vec<Result<QueueReading, Error>>, Error> {
    let mut order: Vec<usize> = (0..questions.len()).collect();
    order.sort_by_key(|&at| questions[at].database);
    let groups: Vec<&[usize]> =
        order.chunk_by(|&one, &other| questions[one].database == questions[other].database).collect();
    let replies = connection.pipeline(&calls(questions, &groups, selects, false)).await?;
    let is_unknown =
        |reply: &Result<Value, Error>| matches!(reply, Err(Error::Refused(error)) if is_unknown_script(error));
    // All of them again: one alone would run in the database that was selected last.
    let replies = match replies.iter().any(is_unknown) {
        true => connection.pipeline(&calls(questions, &groups, selects, true)).await?,
        false => replies,
    };
    Ok(in_order(replies, &groups, selects))
}

fn calls(questions: &[Question], groups: &[&[usize]], selects: bool, texts: bool) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(questions.len() + groups.len());
    for group in groups {
        if selects {
            pipeline.cmd("SELECT").arg(questions[group[0]].database);
        }
        for &at in *group {
            let call =
                super::inspect::queue_state_call(&QueueKeys::new(&questions[at].queue), questions[at].due_within);
            let command = if texts { with_text(call.script, &call.command) } else { call.command };
            pipeline.add_command(command);
        }
    }
    pipeline
}

/// A database that cannot be selected is one whose queues cannot be read: what was read in its place is dropped.
fn in_order(
    replies: Vec<Result<Value, Error>>,
    groups: &[&[usize]],
    selects: bool,
) -> Vec<Result<QueueReading, Error>> {
    let count = groups.iter().map(|group| group.len()).sum();
    let missing = || Error::UnexpectedReply { script: "queue_state" };
    let mut states: Vec<Result<QueueReading, Error>> = vec![Err(missing()); count];
    let mut replies = replies.into_iter();
    for group in groups {
        let selected = if selects { replies.next().unwrap_or_else(|| Err(missing())) } else { Ok(Value::Okay) };
        let refusal = selected.err().map(crate::connection::selection_error);
        for &at in *group {
            let reply = replies.next().unwrap_or_else(|| Err(missing()));
            states[at] = match &refusal {
                Some(error) => Err(error.clone()),
                None => reply.and_then(super::inspect::queue_reading),
            };
        }
    }
    states
}
