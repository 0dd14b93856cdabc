//! Runs the scripts: one call or a pipeline of calls, sending a script's text when Redis does not (or no longer) know
//! it. The submodules give each script its arguments and turn its answer into a value. Nothing else writes to Redis.

mod consume;
mod fleet;
mod inspect;
mod maintain;
mod presence;
mod produce;
mod queue_states;
mod settle;
mod supervise;
#[cfg(test)]
pub(crate) mod tests;

use crate::{connection::Connection, error::Error, scripts::Script};
use redis::{Arg, Cmd, ErrorKind, FromRedisValue, Pipeline, ServerErrorKind, ToRedisArgs, Value};
use std::ops::Deref;

pub(crate) use consume::{Dequeue, Dequeued, LEASE, Lease, MAX_TASKS_PER_DEQUEUE, Taken};
pub(crate) use maintain::{Expired, Forwarded};
pub(crate) use queue_states::queue_states;
pub(crate) use settle::{Guard, NextAttempt, Settled};
pub(crate) use supervise::{Ended, MARK_LIFE};

/// Access to Redis for everything that changes tasks.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    connection: Connection,
    /// Name of the private wake-up channel.
    wake: String,
}

/// One call of one script.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    fn new(script: &'static impl Deref<Target = Script>, keys: &[&str]) -> Self {
        let script: &'static Script = script;
        let mut command = redis::cmd("EVALSHA");
        command.arg(&script.digest).arg(keys.len()).arg(keys);
        Self { script, command }
    }

    fn arg(&mut self, value: impl ToRedisArgs) -> &mut Self {
        self.command.arg(value);
        self
    }

    fn with(mut self, value: impl ToRedisArgs) -> Self {
        self.command.arg(value);
        self
    }
}

impl Broker {
    pub(crate) fn new(connection: Connection) -> Self {
        let wake = crate::keys::wake(connection.database());
        Self { connection, wake }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn now(&self) -> crate::clock::Now {
        self.connection.clock().now()
    }

    /// Runs one call.
    async fn run<T: FromRedisValue>(&self, call: Call) -> Result<T, Error> {
        let reply = match self.connection.command(&call.command).await {
            Err(Error::Refused(error)) if is_unknown_script(&error) => {
                self.connection.command(&with_text(call.script, &call.command)).await?
            }
            other => other?,
        };
        parse(call.script.name, reply)
    }

    /// Runs calls in one round trip; the answers are in the order of the calls. Calls whose script Redis did not know
    /// are repeated with its text, so they may run after later ones.
    async fn run_all(&self, calls: Vec<Call>) -> Result<Vec<Result<Value, Error>>, Error> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(calls.len());
        let mut scripts = Vec::with_capacity(calls.len());
        for call in calls {
            scripts.push(call.script);
            pipeline.add_command(call.command);
        }
        let mut replies = self.connection.pipeline(&pipeline).await?;
        let is_unknown =
            |reply: &Result<Value, Error>| matches!(reply, Err(Error::Refused(error)) if is_unknown_script(error));
        let unknown: Vec<usize> = (0..replies.len()).filter(|&at| is_unknown(&replies[at])).collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let mut again = Pipeline::with_capacity(unknown.len());
        for (at, command) in pipeline.cmd_iter().enumerate().filter(|(at, _)| unknown.binary_search(at).is_ok()) {
            again.add_command(with_text(scripts[at], command));
        }
        for (at, reply) in unknown.into_iter().zip(self.connection.pipeline(&again).await?) {
            replies[at] = reply;
        }
        Ok(replies)
    }
}

/// The same call with the script's text instead of its digest; Redis remembers the text. One command, because a flush
/// could come between loading a script and calling it.
fn with_text(script: &Script, command: &Cmd) -> Cmd {
    let mut eval = redis::cmd("EVAL");
    eval.arg(script.code);
    for arg in command.args_iter().skip(2) {
        if let Arg::Simple(bytes) = arg {
            eval.arg(bytes);
        }
    }
    eval
}

fn is_unknown_script(error: &redis::RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn parse<T: FromRedisValue>(script: &'static str, reply: Value) -> Result<T, Error> {
    T::from_redis_value(reply).map_err(|_| Error::UnexpectedReply { script })
}
