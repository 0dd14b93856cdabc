//! The settings of the queue's server while it runs.
//!
//! Takes: the configuration in force, what the circuit breaker allows, whose the database is, and what changed in them.
//! Gives: [`queue::Settings`]. Does not: take tasks; concurrency 0 means that they stay in Redis.

use crate::{
    mail::{Mailer, Share, breaker::Allowance, pace},
    ownership::Ownership,
    retry_wait,
};
use pipeline::{Document, Live};
use queue::{QueuePriority, Settings};
use tokio::sync::watch;

/// Tasks per connection: while one mail goes over it, others are leased, written and recorded.
const SLOTS_PER_CONNECTION: usize = 4;

/// The settings for one version of the configuration.
///
/// `connections`: as many as the mail server takes at once, as far as is known. `share`: this worker's part of what all
/// workers may do; where they are limited it takes nothing before that is known.
pub(crate) fn settings(
    document: &Document,
    allowance: Allowance,
    connections: Option<usize>,
    share: Option<Share>,
) -> Settings {
    let queues = document.queues.iter().map(|queue| QueuePriority {
        name: queue.name.clone(),
        priority: queue.priority,
        paused: queue.paused,
    });
    Settings {
        queues: queues.collect(),
        strict_priority: document.strict_priority,
        concurrency: match allowance {
            Allowance::All => slots(document, share).min(slots_of(connections)),
            Allowance::Probe => slots(document, share).min(slots_of(connections)).min(1),
            Allowance::Nothing => 0,
        },
        retry: retry_wait::policy(&document.task.backoff),
        max_payload_bytes: queue::MAX_PAYLOAD_BYTES,
    }
}

/// With `maxPerSecond` no more than can have their turn while a task may wait for it.
fn slots(document: &Document, share: Option<Share>) -> usize {
    let (smtp, concurrency) = (&document.mail.smtp, document.worker.concurrency as usize);
    let is_limited = smtp.max_connections.is_some() || smtp.max_per_second.is_some();
    let share = match share {
        None if is_limited => return 0,
        share => share.unwrap_or_default(),
    };
    let wait = pace::longest_wait(document.task.timeout);
    let turns = |limit: u32| share.turns(limit, wait);
    let of_connections = |limit: u32| slots_of(Some(share.of(limit)));
    concurrency
        .min(smtp.max_per_second.map_or(usize::MAX, turns))
        .min(smtp.max_connections.map_or(usize::MAX, of_connections))
}

/// Enough mails for each connection to find the next one ready, and no crowd that waits for them with leases in hand.
fn slots_of(connections: Option<usize>) -> usize {
    connections.map_or(usize::MAX, |connections| connections.saturating_mul(SLOTS_PER_CONNECTION))
}

/// Publishes new settings whenever configuration, breaker, the number of connections or the owner of the database
/// change; runs until the configuration is dropped.
pub(crate) async fn follow(
    mut live: Live,
    mailer: &Mailer,
    mut ownership: watch::Receiver<Ownership>,
    publish: watch::Sender<Settings>,
) {
    let mut allowance = mailer.breaker().subscribe();
    let (mut connections, mut share) = (mailer.connections_allowed(), mailer.share());
    loop {
        let (allowed, connected, part) =
            (*allowance.borrow_and_update(), *connections.borrow_and_update(), *share.borrow_and_update());
        let allowed = if ownership.borrow_and_update().is_ok() { allowed } else { Allowance::Nothing };
        let current = settings(&live.document(), allowed, connected, part);
        publish.send_if_modified(|published| std::mem::replace(published, current.clone()) != current);
        tokio::select! {
            changed = live.changed() => if changed.is_none() { return },
            changed = allowance.changed() => if changed.is_err() { return },
            changed = connections.changed() => if changed.is_err() { return },
            changed = share.changed() => if changed.is_err() { return },
            changed = ownership.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::document;
    use std::time::Duration;

    /// One worker, counted.
    const ALONE: Option<Share> = Some(Share::new(0, 1));

    #[test]
    fn an_open_breaker_takes_nothing_and_a_probe_one() {
        let document = document();
        for (allowance, concurrency) in [(Allowance::All, 16), (Allowance::Probe, 1), (Allowance::Nothing, 0)] {
            assert_eq!(settings(&document, allowance, None, None).concurrency, concurrency);
        }
    }

    #[test]
    fn few_connections_need_few_slots() {
        let document = document();
        for (connections, concurrency) in [(None, 16), (Some(1), 4), (Some(3), 12), (Some(100), 16)] {
            assert_eq!(
                settings(&document, Allowance::All, connections, None).concurrency,
                concurrency,
                "{connections:?}"
            );
        }
    }

    #[test]
    fn a_slow_pace_needs_few_slots() {
        let mut document = document();
        for (limit, concurrency) in [(0, 1), (1, 3), (5, 15), (1_000, 16)] {
            document.mail.smtp.max_per_second = Some(limit);
            assert_eq!(settings(&document, Allowance::All, None, ALONE).concurrency, concurrency, "{limit} per second");
        }
    }

    #[test]
    fn no_more_mails_wait_for_their_turn_than_half_the_timeout_lets_through() {
        let mut document = document();
        document.mail.smtp.max_per_second = Some(4);
        for (timeout_s, concurrency) in [(1, 2), (2, 4), (4, 8), (6, 12), (600, 12)] {
            document.task.timeout = Duration::from_secs(timeout_s);
            assert_eq!(settings(&document, Allowance::All, None, ALONE).concurrency, concurrency, "{timeout_s} s");
        }
    }

    #[test]
    fn a_limit_of_all_workers_is_divided_and_nothing_is_taken_before_they_are_counted() {
        let mut document = document();
        document.mail.smtp.max_connections = Some(3);
        let concurrency = |document: &Document, share| settings(document, Allowance::All, None, share).concurrency;
        assert_eq!(concurrency(&document, None), 0);
        let shared: Vec<_> = (0..4).map(|at| concurrency(&document, Some(Share::new(at, 4)))).collect();
        assert_eq!(shared, [4, 4, 4, 0]);
        document.mail.smtp.max_connections = None;
        document.mail.smtp.max_per_second = Some(4);
        assert_eq!(concurrency(&document, None), 0);
        assert_eq!([1, 2, 12, 100].map(|of| concurrency(&document, Some(Share::new(0, of)))), [12, 6, 1, 1]);
        let unlimited = Document { mail: crate::samples::document().mail, ..document };
        assert_eq!(concurrency(&unlimited, None), 16);
    }

    #[test]
    fn queues_keep_their_priority_and_pause() {
        let mut document = document();
        document.queues[1].paused = true;
        let settings = settings(&document, Allowance::All, None, None);
        let seen: Vec<_> = settings.queues.iter().map(|q| (q.name.as_str(), q.priority, q.paused)).collect();
        assert_eq!(seen, [("critical", 10, false), ("default", 5, true)]);
    }
}
