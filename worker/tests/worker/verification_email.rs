//! One attempt at a time: what the mail server, PostgreSQL and the queue are told in every case.

mod invariants;
mod language;
mod lost;
mod mailboxes;
mod notices;
mod payloads;
mod refusals;
mod silence;
mod time;
mod trouble;

use crate::fixture::{Fixture, SOON, job, task, timing, until};
use inbox::{Action, Phase, Rule};
use queue::{Task, TaskError};
use std::time::Duration;
use uuid::Uuid;
use worker::{lease::Timing, mail::breaker::Breaker};

const MINUTE: Duration = Duration::from_secs(60);

fn retry(result: Result<(), TaskError>) -> (Option<Duration>, bool, String) {
    match result {
        Err(TaskError::Retry { after, counted, cause }) => (after, counted, cause),
        other => panic!("a retry was expected, not {other:?}"),
    }
}
