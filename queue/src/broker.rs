//! Runs the scripts: one call or a pipeline of calls, loading a script into Redis when Redis does not (or no longer) know it.
//! The submodules give each script its arguments and turn its answer into a value. Nothing else writes to Redis.

mod consume;
mod inspect;
mod maintain;
mod produce;
mod settle;

use std::ops::Deref;

use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, ServerErrorKind, ToRedisArgs, Value};

use crate::connection::Connection;
use crate::error::Error;
use crate::scripts::Script;

pub(crate) use consume::{Dequeue, LEASE, TASKS_PER_DEQUEUE, Taken};
pub(crate) use maintain::Expired;
pub(crate) use settle::{Guard, Settled};

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
                self.load(&[call.script]).await?;
                self.connection.command(&call.command).await?
            }
            other => other?,
        };
        parse(call.script.name, reply)
    }

    /// Runs calls in one round trip; the answers are in the order of the calls. Calls whose script Redis did not know are
    /// repeated, so they may run after later ones.
    async fn run_all(&self, calls: Vec<Call>) -> Result<Vec<Result<Value, Error>>, Error> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let (scripts, mut pipeline) = (calls.iter().map(|call| call.script).collect::<Vec<_>>(), Pipeline::new());
        for call in calls {
            pipeline.add_command(call.command);
        }
        let mut replies = to_results(self.connection.pipeline(&pipeline).await?);
        let unknown: Vec<usize> = (0..replies.len())
            .filter(|&at| matches!(&replies[at], Err(Error::Refused(error)) if is_unknown_script(error)))
            .collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        self.load(&unknown.iter().map(|&at| scripts[at]).collect::<Vec<_>>()).await?;
        let mut again = Pipeline::new();
        for (at, command) in pipeline.cmd_iter().enumerate() {
            if unknown.binary_search(&at).is_ok() {
                again.add_command(command.clone());
            }
        }
        for (at, reply) in unknown.into_iter().zip(to_results(self.connection.pipeline(&again).await?)) {
            replies[at] = reply;
        }
        Ok(replies)
    }

    async fn load(&self, scripts: &[&'static Script]) -> Result<(), Error> {
        let mut pipeline = Pipeline::new();
        let mut names: Vec<&str> = Vec::new();
        for script in scripts {
            if !names.contains(&script.name) {
                names.push(script.name);
                pipeline.cmd("SCRIPT").arg("LOAD").arg(script.code);
            }
        }
        to_results(self.connection.pipeline(&pipeline).await?).into_iter().try_for_each(|reply| reply.map(drop))
    }
}

fn is_unknown_script(error: &redis::RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn to_results(replies: Vec<Value>) -> Vec<Result<Value, Error>> {
    replies.into_iter().map(|reply| reply.extract_error().map_err(Error::from)).collect()
}

fn parse<T: FromRedisValue>(script: &'static str, reply: Value) -> Result<T, Error> {
    T::from_redis_value(reply).map_err(|_| Error::UnexpectedReply { script })
}
