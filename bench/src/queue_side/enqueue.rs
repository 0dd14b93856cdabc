//! Enqueues as fast as it can, one by one or in batches.

use super::{KIND, Throughput, Weighted};
use queue::{Client, Connection, Enqueued, Task};
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Tasks in total.
    #[arg(long)]
    tasks: usize,
    /// Callers at work at once, on one connection.
    #[arg(long)]
    callers: usize,
    /// Tasks per call; 1 enqueues one by one.
    #[arg(long)]
    batch: usize,
    /// Queues, with their shares of the tasks.
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Weighted>,
}

pub(crate) async fn run(connection: Connection, arguments: Arguments) -> anyhow::Result<Throughput> {
    let client = Client::new(connection);
    // Connects, so that the measurement does not.
    client.incarnation().await?;
    let share = arguments.tasks / arguments.callers;
    let start = Instant::now();
    let callers: Vec<_> = (0..arguments.callers)
        .map(|caller| {
            tokio::spawn(call(client.clone(), caller * share, share, arguments.batch, cycle(&arguments.queues)))
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Ok(Throughput { tasks: share * arguments.callers, seconds: start.elapsed().as_secs_f64() })
}

async fn call(client: Client, first: usize, count: usize, batch: usize, queues: Vec<String>) -> anyhow::Result<()> {
    let task = |number: usize| {
        let payload =
            format!(r#"{{"username":"user_{number:08}","intent_id":"0198c0de-0000-7000-8000-{number:012}"}}"#);
        Task { queue: queues[number % queues.len()].clone(), ..Task::new(KIND, payload) }
    };
    let mut number = first;
    while number < first + count {
        let size = batch.min(first + count - number);
        let results = match size {
            1 => vec![client.enqueue(&task(number)).await?],
            _ => client.enqueue_many(&(number..number + size).map(task).collect::<Vec<_>>()).await?,
        };
        anyhow::ensure!(results.iter().all(|result| *result == Enqueued::Added), "a task was already there");
        number += size;
    }
    Ok(())
}

/// Each queue as often as its weight says, so that going round gives each its share.
fn cycle(queues: &[Weighted]) -> Vec<String> {
    let times = |queue: &Weighted| std::iter::repeat_n(queue.name.clone(), queue.weight as usize);
    queues.iter().flat_map(times).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_gets_its_share() {
        let queues = ["high:2".parse().expect("valid"), "low:1".parse().expect("valid")];
        assert_eq!(cycle(&queues), ["high", "high", "low"]);
    }
}
