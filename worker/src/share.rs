//! Counts the workers that share what the mail server takes from all of them.
//!
//! Takes: `mail.smtp.maxConnections`, `mail.smtp.maxPerSecond`, and the workers that are alive as their heartbeats in
//! Redis tell. Gives: this worker's share. Does not: know of a new worker before its first heartbeat was read, or of a
//! dead one's end before its last heartbeat is out of date (10 s).

use crate::mail::{Mailer, Share};
use pipeline::{Document, Live};
use queue::{Inspector, ServerInfo};
use std::{sync::Arc, time::Duration};

/// How often workers are counted. For so long all of them may together take more than the limit: the new one its share,
/// the others theirs of before.
const INTERVAL: Duration = Duration::from_secs(2);

/// Sets the mailer's share whenever the configuration or the number of workers changes; runs until the configuration is
/// dropped. `id` is this worker's in Redis.
pub(crate) async fn follow(mut live: Live, mailer: Arc<Mailer>, inspector: Inspector, id: String) {
    let mut known = None;
    loop {
        let document = live.document();
        let smtp = &document.mail.smtp;
        known = match smtp.max_connections.or(smtp.max_per_second) {
            // While Redis is silent the last share holds.
            Some(_) => inspector.servers().await.map_or(known, |servers| Some(share(servers, &document, &id))),
            None => None,
        };
        mailer.set_max_connections(smtp.max_connections.map(|limit| known.map_or(0, |share: Share| share.of(limit))));
        mailer.set_share(known);
        // Nothing before the workers were first counted.
        let of = |limit| known.map_or(0.0, |share: Share| 1.0 / share.gap(limit).as_secs_f64());
        metrics::gauge!("signup_mail_per_second_allowed").set(smtp.max_per_second.map_or(f64::INFINITY, of));
        tokio::select! {
            changed = live.changed() => if changed.is_none() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// The oldest workers come first, so that a new one takes nothing from them but its share. This worker is one of them,
/// also before its first heartbeat.
fn share(mut servers: Vec<ServerInfo>, document: &Document, id: &str) -> Share {
    servers.retain(|server| is_sending(server) && document.queues.iter().any(|q| server.queues.contains_key(&q.name)));
    servers.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
    let position = servers.iter().position(|server| server.id == id);
    let workers = servers.len() + usize::from(position.is_none());
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Share::new(number(position.unwrap_or(servers.len())), number(workers))
}

/// One that stops still sends what it has begun.
fn is_sending(server: &ServerInfo) -> bool {
    server.status == "active" || server.running > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: &str, queue: &str, status: &str) -> ServerInfo {
        ServerInfo {
            host: "worker-1".into(),
            pid: 7,
            id: id.into(),
            concurrency: 16,
            queues: [(queue.to_owned(), 1)].into(),
            strict_priority: false,
            status: status.into(),
            started_at: None,
            running: 0,
        }
    }

    #[test]
    fn workers_that_take_these_queues_are_counted() {
        let document = Document::sample();
        let servers = vec![server("1", "default", "active"), server("2", "critical", "active")];
        assert_eq!(share(servers, &document, "2"), Share::new(1, 2));
        let stopped = server("2", "default", "stopped");
        let others = vec![server("1", "default", "active"), stopped.clone(), server("3", "elsewhere", "active")];
        assert_eq!(share(others, &document, "1"), Share::new(0, 1));
        let draining = vec![server("1", "default", "active"), ServerInfo { running: 1, ..stopped }];
        assert_eq!(share(draining, &document, "1"), Share::new(0, 2));
        assert_eq!(share(Vec::new(), &document, "1"), Share::new(0, 1));
    }

    #[test]
    fn a_new_worker_comes_last_also_before_its_first_heartbeat() {
        let document = Document::sample();
        let at = |id: &str, second| {
            let started_at = jiff::Timestamp::from_second(second).ok();
            ServerInfo { started_at, ..server(id, "default", "active") }
        };
        let old = vec![at("b", 10), at("a", 20)];
        assert_eq!(share(old.clone(), &document, "b"), Share::new(0, 2));
        assert_eq!(share(old.clone(), &document, "new"), Share::new(2, 3));
        assert_eq!(share([old, vec![at("0", 30)]].concat(), &document, "0"), Share::new(2, 3));
    }
}
