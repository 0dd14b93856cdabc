//! How much of long messages comes with a reply: none of one that is too long, and of others no more than fits.

use super::{Fixture, NOW, with_id};
use crate::{
    Task,
    broker::{Dequeue, Dequeued, Guard},
    clock::Now,
    keys::QueueKeys,
    settings::MAX_PAYLOAD_BYTES,
};

const LATER: Now = Now(NOW.0 + 40_000_000_000);

fn long(id: &str, payload_bytes: usize) -> Task {
    Task { payload: vec![b'x'; payload_bytes], ..with_id(id) }
}

async fn dequeue(fixture: &Fixture, max_payload_bytes: usize) -> Dequeued {
    let request = Dequeue { keys: QueueKeys::new("q").into(), token: "A".into(), count: 250, max_payload_bytes };
    fixture.broker.dequeue(&[request], NOW).await.unwrap().remove(0).unwrap()
}

#[tokio::test]
async fn a_message_that_is_too_long_is_given_and_archived_by_its_length() {
    let fixture = Fixture::new();
    fixture.broker.enqueue_many(&[long("a", 70_000), long("b", 10)], NOW).await.unwrap();
    let before: Vec<u8> = fixture.read(&["HGET", "asynq:{q}:t:a", "msg"]).await;
    let Dequeued { taken, more } = dequeue(&fixture, 100).await;
    let seen: Vec<_> = taken.iter().map(|taken| (&*taken.id, taken.message.is_empty(), taken.unread_bytes)).collect();
    assert_eq!(seen, [("a", true, Some(before.len() as u64)), ("b", false, None)]);
    assert!(!more);
    assert_eq!(fixture.broker.reclaim(&fixture.keys, "A", 100).await.unwrap().len(), 2);
    let reclaimed = fixture.broker.reclaim(&fixture.keys, "A", 100).await.unwrap();
    assert!(reclaimed.iter().any(|taken| taken.id == "a" && taken.unread_bytes == Some(before.len() as u64)));

    fixture.broker.archive(&fixture.keys, "a", Guard::Token("A"), &[], NOW).await.unwrap();
    assert_eq!(fixture.read::<Vec<u8>>(&["HGET", "asynq:{q}:t:a", "msg"]).await, before);
    let dump = fixture.dump().await;
    let archived: Vec<&str> = dump.iter().map(String::as_str).filter(|line| !line.starts_with("t:")).collect();
    let expected =
        ["active [\"b\"]", "archived [(\"a\", 1700000000)]", "failed 1", "lease [(\"b\", 1700000030)]", "processed 1"];
    assert_eq!(archived, expected);
    assert_eq!(fixture.read::<String>(&["HGET", "asynq:{q}:t:a", "state"]).await, "archived");
}

#[tokio::test]
async fn a_reply_holds_as_many_messages_as_fit_and_says_that_there_are_more() {
    let fixture = Fixture::new();
    let ids: Vec<String> = (0..10).map(|number| format!("{number}")).collect();
    for id in &ids {
        fixture.broker.enqueue(&long(id, 900_000), NOW).await.unwrap();
    }
    let mut taken = Vec::new();
    for (expected, more) in [(4, true), (4, true), (2, false)] {
        let dequeued = dequeue(&fixture, MAX_PAYLOAD_BYTES).await;
        assert_eq!((dequeued.taken.len(), dequeued.more), (expected, more));
        taken.extend(dequeued.taken.into_iter().map(|taken| taken.id));
    }
    assert_eq!(taken, ids, "oldest first");
    let (expired, next) = fixture.broker.list_expired(&fixture.keys, LATER, MAX_PAYLOAD_BYTES).await.unwrap();
    assert_eq!((expired.len(), next), (4, Some(1_700_000_030)), "the rest has run out, too");
}

#[tokio::test]
async fn a_message_that_fills_a_reply_by_itself_is_taken_alone() {
    let fixture = Fixture::new();
    for id in ["a", "b"] {
        fixture.broker.enqueue(&long(id, 5_000_000), NOW).await.unwrap();
    }
    for more in [true, false] {
        let dequeued = dequeue(&fixture, 6_000_000).await;
        assert_eq!((dequeued.taken.len(), dequeued.more), (1, more));
    }
    let (expired, _) = fixture.broker.list_expired(&fixture.keys, LATER, 6_000_000).await.unwrap();
    assert_eq!(expired.len(), 1);
}
