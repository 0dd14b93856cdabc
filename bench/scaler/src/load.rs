//! Tasks by time: the loads that all who scale get at once.
//!
//! Takes: the shape of a load, and sides with a Redis database each. Gives: the same tasks in each, at the same times.
//! Does not: look at what becomes of them.

use crate::dice::Dice;
use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use queue::{Client, Connection, Task};
use std::time::Duration;

/// The queue of verification mails.
pub(crate) const QUEUE: &str = "critical";

/// Tasks arrive in steps of it.
const STEP: Duration = Duration::from_millis(100);

/// One that scales, and the database of its queue.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// Of the pipeline, or of what stands in its place; its Deployment is `<name>-worker`.
    pub(crate) name: String,
    pub(crate) uri: String,
}

impl Side {
    pub(crate) fn deployment(&self) -> String {
        format!("{}-worker", self.name)
    }

    /// Puts tasks in that take `takes` each.
    pub(crate) async fn enqueue(&self, tasks: &[Task]) -> anyhow::Result<()> {
        let client = Client::new(Connection::open(&self.uri, None)?);
        client.enqueue_many(tasks).await.with_context(|| format!("Redis takes no task for {}", self.name))?;
        Ok(())
    }
}

/// Tasks that are put in together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    /// After the beginning.
    at: Duration,
    /// After the beginning; not before `at`.
    due: Duration,
    /// Of each.
    takes: Vec<Duration>,
}

/// A load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) length: Duration,
    batches: Vec<Batch>,
}

impl Load {
    /// So many tasks a second, which changes with time; a task takes a second on average.
    pub(crate) fn of_rate(length: Duration, rate: impl Fn(Duration) -> f64) -> Self {
        let mut dice = Dice::new(16);
        let steps = u32::try_from(length.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX);
        let batch = |step| {
            let at = STEP * step;
            let count = dice.arrivals(rate(at) * STEP.as_secs_f64());
            let takes = (0..count).map(|_| Duration::from_secs_f64(dice.exponential())).collect();
            Batch { at, due: at, takes }
        };
        Self { length, batches: (0..steps).map(batch).collect() }
    }

    /// Nothing but what is added.
    pub(crate) fn silence(length: Duration) -> Self {
        Self { length, batches: Vec::new() }
    }

    /// So many tasks of a second each, put in at one time and due at another.
    pub(crate) fn with(mut self, at: Duration, due: Duration, count: usize) -> Self {
        self.batches.push(Batch { at, due, takes: vec![Duration::from_secs(1); count] });
        self.batches.sort_by_key(|batch| batch.at);
        self
    }

    /// The same with tasks of another length.
    pub(crate) fn taking(mut self, takes: Duration) -> Self {
        self.batches.iter_mut().for_each(|batch| batch.takes.fill(takes));
        self
    }

    pub(crate) fn tasks(&self) -> usize {
        self.batches.iter().map(|batch| batch.takes.len()).sum()
    }

    /// Puts all of it into each side's queue, until its length has passed.
    pub(crate) async fn play(&self, sides: &[Side], began: Timestamp) -> anyhow::Result<()> {
        let plays = sides.iter().map(|side| self.play_to(side, began));
        futures::future::try_join_all(plays).await?;
        Ok(())
    }

    async fn play_to(&self, side: &Side, began: Timestamp) -> anyhow::Result<()> {
        let client = Client::new(Connection::open(&side.uri, None)?);
        for batch in self.batches.iter().filter(|batch| !batch.takes.is_empty()) {
            sleep_until(began, batch.at).await;
            client.enqueue_many(&batch.tasks(began)).await.context("Redis takes no task")?;
        }
        sleep_until(began, self.length).await;
        Ok(())
    }
}

impl Batch {
    fn tasks(&self, began: Timestamp) -> Vec<Task> {
        let due = began + SignedDuration::try_from(self.due).unwrap_or_default();
        let task = |takes: &Duration| {
            let process_at = (self.due > self.at).then_some(due);
            Task { process_at, ..task(due, *takes) }
        };
        self.takes.iter().map(task).collect()
    }
}

/// One task, as `worker` reads it.
pub(crate) fn task(due: Timestamp, takes: Duration) -> Task {
    let payload = format!("{} {}", due.as_millisecond(), takes.as_millis());
    Task { queue: QUEUE.to_owned(), ..Task::new("bench:sleep", payload) }
}

/// One in the course of which its worker's process is killed.
pub(crate) fn deadly_task(due: Timestamp, after: Duration) -> Task {
    let payload = format!("{} {} kill", due.as_millisecond(), after.as_millis());
    Task { payload: payload.into(), ..task(due, after) }
}

async fn sleep_until(began: Timestamp, after: Duration) {
    let passed = Timestamp::now().duration_since(began).unsigned_abs();
    tokio::time::sleep(after.saturating_sub(passed)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_has_its_rate_and_its_batches_in_the_order_of_time() {
        let minute = Duration::from_secs(60);
        let load = Load::of_rate(minute, |_| 50.0).with(Duration::from_secs(30), minute, 700);
        // Five standard deviations of a Poisson variable of mean 3000.
        assert!((load.tasks() - 700).abs_diff(3000) < 280, "{}", load.tasks());
        assert!(load.batches.is_sorted_by_key(|batch| batch.at));
    }

    #[test]
    fn a_batch_of_a_later_time_is_scheduled_for_it() {
        let load = Load::silence(Duration::ZERO).with(Duration::ZERO, Duration::from_secs(5), 2);
        let tasks = load.batches[0].tasks(Timestamp::UNIX_EPOCH);
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[0].process_at, Some(Timestamp::constant(5, 0)));
        assert_eq!(tasks[0].payload, b"5000 1000");
    }
}
