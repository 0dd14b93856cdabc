//! Concurrent callers, against a real Redis: no task is lost, answered twice, or mistaken for another caller's.

use super::*;
use crate::broker::tests::{Fixture, t1, with_id};
use futures::future::join_all;
use std::collections::BTreeSet;

fn batcher(fixture: &Fixture) -> Batcher {
    Batcher::new(fixture.broker.clone())
}

async fn pending(fixture: &Fixture) -> BTreeSet<String> {
    fixture.read::<Vec<String>>(&["LRANGE", &fixture.keys.pending, "0", "-1"]).await.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_of_callers_at_once_is_written_under_its_own_name() {
    let fixture = Fixture::new();
    let batcher = batcher(&fixture);
    let callers = (0..8).map(|caller| {
        let batcher = batcher.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let added = batcher.enqueue(&with_id(&format!("{caller}-{number}"))).await;
                assert_eq!(added.expect("written"), Enqueued::Added);
            }
        })
    });
    for caller in join_all(callers).await {
        caller.expect("no panic");
    }
    let all = (0..8).flat_map(|caller| (0..50).map(move |number| format!("{caller}-{number}")));
    assert_eq!(pending(&fixture).await, all.collect());
    // The last round trip ends right after its callers have their answers.
    let idle = async {
        while batcher.state().round_trips > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), idle).await.expect("the next caller goes at once");
}

#[tokio::test]
async fn of_callers_with_one_task_a_single_one_adds_it() {
    let fixture = Fixture::new();
    let batcher = batcher(&fixture);
    let task = t1();
    let results = join_all((0..5).map(|_| batcher.enqueue(&task))).await;
    let added = results.iter().filter(|result| matches!(result, Ok(Enqueued::Added))).count();
    let there = results.iter().filter(|result| matches!(result, Ok(Enqueued::AlreadyThere))).count();
    assert_eq!((added, there), (1, 4), "{results:?}");
}

#[tokio::test]
async fn a_caller_cancelled_amid_its_call_passes_its_permit_on() {
    let fixture = Fixture::new();
    let batcher = batcher(&fixture);
    let (first, second, third) = (with_id("first"), with_id("second"), with_id("third"));
    let mut leaving = [Box::pin(batcher.enqueue(&first)), Box::pin(batcher.enqueue(&second))];
    for call in &mut leaving {
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    let mut staying = Box::pin(batcher.enqueue(&third));
    assert!(futures::poll!(staying.as_mut()).is_pending());
    assert_eq!(batcher.state().waiting.len(), 1, "two are on their way, the third waits");
    drop(leaving);
    assert_eq!(staying.await.expect("written"), Enqueued::Added);
    assert!(pending(&fixture).await.contains("third"));
}

#[tokio::test]
async fn an_error_reaches_the_callers_of_its_queue_and_no_others() {
    let fixture = Fixture::new();
    let batcher = batcher(&fixture);
    fixture.redis(&["SET", &fixture.keys.pending, "not a list"]).await;
    let broken = [with_id("one"), with_id("two"), with_id("three")];
    let sound = Task { queue: "sound".to_owned(), ..t1() };
    let tasks = broken.iter().chain([&sound]);
    let results = join_all(tasks.map(|task| batcher.enqueue(task))).await;
    assert!(results[..3].iter().all(|result| matches!(result, Err(Error::Refused(_)))), "{results:?}");
    assert_eq!(results[3].as_ref().expect("written"), &Enqueued::Added);
}

#[test]
fn a_runtime_that_ends_amid_a_call_does_not_block_the_next_one() {
    let fixture = Fixture::new();
    let batcher = batcher(&fixture);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ending = runtime();
    ending.spawn({
        let batcher = batcher.clone();
        async move {
            let task = t1();
            join_all((0..3).map(|_| batcher.enqueue(&task))).await
        }
    });
    ending.block_on(tokio::task::yield_now());
    let counts = || {
        let state = batcher.state();
        (state.round_trips, state.waiting.len())
    };
    assert_eq!(counts(), (MAX_ROUND_TRIPS, 1));
    drop(ending);
    assert_eq!(counts(), (0, 0));
}
