//! This worker's share of what the mail server takes from all of them.
//!
//! Takes: `mail.smtp.maxConnections`, and the workers that are alive as their heartbeats in Redis tell. Gives: the
//! bound of this process. Does not: hand remainders out: three connections are one for each of two workers. Every
//! worker has one at least, so more workers than connections exceed the number; the server's refusals then teach
//! them.

use crate::mail::Mailer;
use pipeline::{Document, Live};
use queue::{Inspector, ServerInfo};
use std::{sync::Arc, time::Duration};

/// How often workers are counted; their heartbeats come every 5 s.
const INTERVAL: Duration = Duration::from_secs(5);

/// Bounds the mailer's connections whenever the configuration or the number of workers changes; runs until the
/// configuration is dropped.
pub(crate) async fn follow(mut live: Live, mailer: Arc<Mailer>, inspector: Inspector) {
    let mut workers = 1;
    loop {
        let document = live.document();
        let limit = document.mail.smtp.max_connections;
        if limit.is_some() {
            // While Redis is silent the last number stays.
            workers = inspector.servers().await.map_or(workers, |servers| count(&servers, &document));
        }
        mailer.set_max_connections(limit.map(|limit| share(limit, workers)));
        tokio::select! {
            changed = live.changed() => if changed.is_none() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// This worker is one of them, also before its first heartbeat.
fn count(servers: &[ServerInfo], document: &Document) -> usize {
    let is_ours = |server: &&ServerInfo| {
        server.status == "active" && document.queues.iter().any(|queue| server.queues.contains_key(&queue.name))
    };
    servers.iter().filter(is_ours).count().max(1)
}

fn share(limit: u32, workers: usize) -> usize {
    (limit as usize / workers).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(queue: &str, status: &str) -> ServerInfo {
        ServerInfo {
            host: "worker-1".into(),
            pid: 7,
            id: "1".into(),
            concurrency: 16,
            queues: [(queue.to_owned(), 1)].into(),
            strict_priority: false,
            status: status.into(),
            started_at: None,
            running: 0,
        }
    }

    #[test]
    fn each_worker_has_its_part_and_one_at_least() {
        for (limit, workers, expected) in [(10, 1, 10), (10, 4, 2), (3, 3, 1), (3, 5, 1)] {
            assert_eq!(share(limit, workers), expected, "{limit} among {workers}");
        }
    }

    #[test]
    fn workers_that_take_these_queues_are_counted() {
        let document = Document::sample();
        let servers = [server("default", "active"), server("critical", "active")];
        assert_eq!(count(&servers, &document), 2);
        let others = [server("default", "active"), server("default", "stopped"), server("elsewhere", "active")];
        assert_eq!(count(&others, &document), 1);
        assert_eq!(count(&[], &document), 1);
    }
}
