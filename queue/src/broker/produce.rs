//! Writes new tasks: enqueue, schedule, their unique forms, ensure; and the registry of queues.

use super::{Broker, Call, parse};
use crate::{
    clock::Now,
    error::Error,
    keys::{self, QueueKeys},
    message, scripts,
    task::{Enqueued, Task},
};
use redis::Value;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// At most this many tasks go into one script call, which bounds how long Redis serves no other client (about 1 ms).
const TASKS_PER_CALL: usize = 200;

impl Broker {
    /// Enqueues or schedules one task.
    pub(crate) async fn enqueue(&self, task: &Task, now: Now) -> Result<Enqueued, Error> {
        let codes = self.run::<Value>(self.enqueue_call(task, now)).await?;
        match codes {
            Value::Int(code) => enqueued(code),
            Value::Array(codes) => {
                enqueued(parse::<Vec<i64>>("enqueue", Value::Array(codes))?.first().copied().unwrap_or_default())
            }
            _ => Err(Error::UnexpectedReply { script: "enqueue" }),
        }
    }

    fn enqueue_call(&self, task: &Task, now: Now) -> Call {
        match (later_than(task, now), task.unique_for) {
            (None, None) => self.enqueue_plain(&[task], now),
            (Some(due), None) => self.schedule_plain(&[(task, due)]),
            (due, Some(ttl)) => self.enqueue_unique(task, due, ttl, now),
        }
    }

    /// Enqueues or schedules many tasks in one round trip.
    pub(crate) async fn enqueue_many(&self, tasks: &[Task], now: Now) -> Result<Vec<Enqueued>, Error> {
        self.enqueue_each(tasks, now).await.into_iter().collect()
    }

    /// As [`enqueue_many`](Self::enqueue_many), with a result for each: tasks of the same queue and form share their
    /// errors.
    pub(crate) async fn enqueue_each(&self, tasks: &[Task], now: Now) -> Vec<Result<Enqueued, Error>> {
        let groups = group(tasks, now);
        let calls = groups.iter().map(|indices| self.group_call(tasks, indices, now)).collect();
        let replies = self.run_all(calls).await.unwrap_or_else(|error| vec![Err(error); groups.len()]);
        let mut results = vec![Ok(Enqueued::Added); tasks.len()];
        for (indices, reply) in groups.iter().zip(replies) {
            match reply.and_then(|reply| codes(reply, indices.len())) {
                Ok(codes) => indices.iter().zip(codes).for_each(|(&index, code)| results[index] = enqueued(code)),
                Err(error) => indices.iter().for_each(|&index| results[index] = Err(error.clone())),
            }
        }
        results
    }

    fn group_call(&self, tasks: &[Task], indices: &[usize], now: Now) -> Call {
        let first = &tasks[indices[0]];
        if first.unique_for.is_some() {
            return self.enqueue_call(first, now);
        }
        let members: Vec<&Task> = indices.iter().map(|&index| &tasks[index]).collect();
        if later_than(first, now).is_none() {
            return self.enqueue_plain(&members, now);
        }
        let due: Vec<(&Task, Now)> =
            members.into_iter().filter_map(|task| Some((task, later_than(task, now)?))).collect();
        self.schedule_plain(&due)
    }

    fn enqueue_plain(&self, tasks: &[&Task], now: Now) -> Call {
        let queue = &tasks[0].queue;
        let mut call = Call::new(&scripts::ENQUEUE, &[&keys::pending(queue)]);
        call.arg(keys::task_prefix(queue)).arg(now.0).arg(&self.wake).arg(queue);
        for task in tasks {
            call.arg(&task.id).arg(message::encode(task, ""));
        }
        call
    }

    fn schedule_plain(&self, tasks: &[(&Task, Now)]) -> Call {
        let queue = &tasks[0].0.queue;
        let mut call = Call::new(&scripts::SCHEDULE, &[&keys::scheduled(queue)]);
        call.arg(keys::task_prefix(queue)).arg(&self.wake);
        for (task, due) in tasks {
            call.arg(&task.id).arg(message::encode(task, "")).arg(due.seconds()).arg(due.millis());
        }
        call
    }

    fn enqueue_unique(&self, task: &Task, due: Option<Now>, ttl: Duration, now: Now) -> Call {
        let lock = keys::unique(&task.queue, &task.kind, &task.payload);
        let bytes = message::encode(task, &lock);
        let prefix = keys::task_prefix(&task.queue);
        match due {
            None => Call::new(&scripts::ENQUEUE_UNIQUE, &[&keys::pending(&task.queue), &lock])
                .with(prefix)
                .with(now.0)
                .with(&self.wake)
                .with(&task.queue)
                .with(&task.id)
                .with(bytes)
                .with(ttl.as_secs()),
            Some(due) => {
                let waiting = Duration::from_nanos(due.0.saturating_sub(now.0).unsigned_abs());
                Call::new(&scripts::SCHEDULE_UNIQUE, &[&keys::scheduled(&task.queue), &lock])
                    .with(prefix)
                    .with(&self.wake)
                    .with(&task.id)
                    .with(bytes)
                    .with(due.seconds())
                    .with(due.millis())
                    .with((waiting + ttl).as_secs())
            }
        }
    }

    /// Makes tasks run no later than asked, in one round trip.
    pub(crate) async fn ensure_many(&self, tasks: &[Task], now: Now) -> Result<(), Error> {
        let mut calls = Vec::new();
        for (queue, members) in by_queue(tasks) {
            let keys = QueueKeys::new(queue);
            for chunk in members.chunks(TASKS_PER_CALL) {
                calls.push(self.ensure_call(&keys, chunk, now));
            }
        }
        self.run_all(calls).await?.into_iter().try_for_each(|reply| reply.map(drop))
    }

    fn ensure_call(&self, keys: &QueueKeys, tasks: &[&Task], now: Now) -> Call {
        let waiting = [&*keys.pending, &*keys.scheduled, &*keys.retry];
        let others = [&*keys.archived, &*keys.completed, &*keys.active, &*keys.lease];
        let mut call = Call::new(&scripts::ENSURE, &[&waiting[..], &others].concat());
        call.arg(&keys.task_prefix).arg(now.0).arg(now.millis()).arg(&self.wake).arg(&keys.name);
        for task in tasks {
            let due = later_than(task, now).unwrap_or(now);
            call.arg(&task.id).arg(message::encode(task, "")).arg(due.seconds()).arg(due.millis());
        }
        call
    }

    /// Adds names to the registry that asynq's tools list.
    pub(crate) async fn register(&self, queues: &[&str]) -> Result<(), Error> {
        if queues.is_empty() {
            return Ok(());
        }
        self.connection.command(redis::cmd("SADD").arg(keys::QUEUES).arg(queues)).await.map(drop)
    }

    /// The value that is lost together with the data; `fresh` becomes it when there is none. Reads first: a Redis that
    /// is out of memory refuses the write also where there is nothing to write.
    pub(crate) async fn incarnation(&self, fresh: &str) -> Result<String, Error> {
        let mut read = redis::cmd("GET");
        read.arg(keys::INCARNATION);
        if let Some(value) = parse("GET", self.connection.command(&read).await?)? {
            return Ok(value);
        }
        self.connection.command(redis::cmd("SETNX").arg(keys::INCARNATION).arg(fresh)).await?;
        parse("GET", self.connection.command(&read).await?)
    }

    /// Sets asynq's pause flag. False when it was set already.
    pub(crate) async fn pause(&self, queue: &str, now: Now) -> Result<bool, Error> {
        let paused = QueueKeys::new(queue).paused;
        parse("SETNX", self.connection.command(redis::cmd("SETNX").arg(paused).arg(now.seconds())).await?)
    }

    /// Removes asynq's pause flag and wakes consumers. False when it was not set.
    pub(crate) async fn unpause(&self, queue: &str) -> Result<bool, Error> {
        let paused = QueueKeys::new(queue).paused;
        let removed = parse("DEL", self.connection.command(redis::cmd("DEL").arg(paused)).await?)?;
        self.connection.command(redis::cmd("PUBLISH").arg(&self.wake).arg(format!("pending:{queue}"))).await?;
        Ok(removed)
    }

    /// Asks the server that runs the task to cancel it.
    pub(crate) async fn cancel(&self, id: &str) -> Result<(), Error> {
        self.connection.command(redis::cmd("PUBLISH").arg(keys::CANCEL).arg(id)).await.map(drop)
    }
}

/// The task's time when it lies strictly after `now`.
fn later_than(task: &Task, now: Now) -> Option<Now> {
    let nanos = i64::try_from(task.process_at?.as_nanosecond()).unwrap_or(i64::MAX);
    (nanos > now.0).then_some(Now(nanos))
}

/// Indices of tasks that can share a call: same queue, same form, none of them unique.
fn group(tasks: &[Task], now: Now) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open: HashMap<(&str, bool), usize> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        let form = (&*task.queue, later_than(task, now).is_some());
        match open.get(&form) {
            Some(&at) if task.unique_for.is_none() && groups[at].len() < TASKS_PER_CALL => groups[at].push(index),
            _ => {
                if task.unique_for.is_none() {
                    open.insert(form, groups.len());
                }
                groups.push(vec![index]);
            }
        }
    }
    groups
}

fn by_queue(tasks: &[Task]) -> BTreeMap<&str, Vec<&Task>> {
    let mut queues = BTreeMap::<&str, Vec<&Task>>::new();
    for task in tasks {
        queues.entry(&task.queue).or_default().push(task);
    }
    queues
}

/// One code per task, from a script for one task or for many.
fn codes(reply: Value, tasks: usize) -> Result<Vec<i64>, Error> {
    let codes = match reply {
        Value::Int(code) => vec![code],
        other => parse::<Vec<i64>>("enqueue", other)?,
    };
    if codes.len() == tasks { Ok(codes) } else { Err(Error::UnexpectedReply { script: "enqueue" }) }
}

fn enqueued(code: i64) -> Result<Enqueued, Error> {
    match code {
        1 => Ok(Enqueued::Added),
        0 => Ok(Enqueued::AlreadyThere),
        -1 => Ok(Enqueued::Duplicate),
        _ => Err(Error::UnexpectedReply { script: "enqueue" }),
    }
}
