//! Which active tasks are a server's, and that they are given back once.

use super::{Fixture, M0, NOW, hex, next_attempt, stored, with_id};
use crate::{
    broker::{Guard, Settled},
    settings::MAX_PAYLOAD_BYTES,
};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn the_tasks_of_a_server_are_those_under_its_tokens_that_nobody_has_had_since() {
    let fixture = Fixture::new();
    let (broker, keys) = (&fixture.broker, &fixture.keys);
    for (id, token) in [("T1", "server:1"), ("T2", "server:2"), ("T3", "server-2:1"), ("T4", "server:3")] {
        broker.enqueue(&with_id(id), NOW).await.unwrap();
        fixture.dequeue(token, 1, NOW).await;
    }
    // A Go worker has had it since; it leaves our fields as they are.
    fixture.redis(&["ZADD", "asynq:{q}:lease", "1700000099", "T4"]).await;
    let held = broker.list_held(keys, "server", 0, MAX_PAYLOAD_BYTES).await.unwrap();
    let mut found: Vec<_> = held.tasks.iter().map(|(task, token)| (&*task.id, &**token)).collect();
    found.sort_unstable();
    assert_eq!((found, held.next), (vec![("T1", "server:1"), ("T2", "server:2")], None));
    let (task, token) = held.tasks.iter().find(|(task, _)| task.id == "T1").unwrap();
    assert_eq!(hex(&task.message), M0);
    let message = stored(task).failed("gone", NOW, true);
    let give_back = || broker.retry(keys, "T1", Guard::Token(token), next_attempt(&message, Duration::ZERO, true), NOW);
    assert_eq!((give_back().await.unwrap(), give_back().await.unwrap()), (Settled::Done, Settled::NotMine));
}

#[tokio::test]
async fn more_tasks_than_one_call_reads_are_found_window_by_window_while_they_leave() {
    let fixture = Fixture::new();
    let (broker, keys) = (&fixture.broker, &fixture.keys);
    for number in 0..6 {
        for _ in 0..200 {
            broker.enqueue(&with_id(&uuid::Uuid::new_v4().to_string()), NOW).await.unwrap();
        }
        fixture.dequeue(if number % 2 == 0 { "server:1" } else { "other:1" }, 200, NOW).await;
    }
    let (mut found, mut next) = (BTreeSet::new(), Some(0));
    while let Some(first) = next {
        let held = broker.list_held(keys, "server", first, MAX_PAYLOAD_BYTES).await.unwrap();
        for (task, token) in &held.tasks {
            let message = stored(task).failed("gone", NOW, true);
            let next = next_attempt(&message, Duration::from_secs(60), true);
            assert_eq!(broker.retry(keys, &task.id, Guard::Token(token), next, NOW).await.unwrap(), Settled::Done);
            found.insert(task.id.clone());
        }
        next = held.next;
    }
    assert_eq!(found.len(), 600);
}
