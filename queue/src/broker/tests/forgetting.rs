//! A Redis that forgot something: its data, or its scripts.

use super::{Fixture, NOW, at, with_id};
use crate::{clock::Now, task::Enqueued};

#[tokio::test]
async fn the_incarnation_changes_only_with_the_loss_of_the_data() {
    let fixture = Fixture::new();
    assert_eq!(fixture.broker.incarnation("one").await.unwrap(), "one");
    assert_eq!(fixture.broker.incarnation("two").await.unwrap(), "one");
    fixture.redis(&["DEL", "asynq:incarnation"]).await;
    assert_eq!(fixture.broker.incarnation("two").await.unwrap(), "two");
}

#[tokio::test]
async fn the_scripts_are_loaded_again_after_a_flush_also_within_a_pipeline() {
    let fixture = Fixture::new();
    fixture.broker.enqueue(&with_id("a"), NOW).await.unwrap();
    fixture.redis(&["SCRIPT", "FLUSH"]).await;
    let mut tasks = vec![with_id("b"), with_id("c")];
    tasks[1].process_at = Some(at(60));
    assert_eq!(fixture.broker.enqueue_many(&tasks, NOW).await.unwrap(), [Enqueued::Added, Enqueued::Added]);
    fixture.redis(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(fixture.dequeue("A", 9, NOW).await.len(), 2);
    let forwarded = fixture.broker.forward(&[&fixture.keys], Now(NOW.0 + 61_000_000_000)).await.unwrap();
    assert_eq!(forwarded[0].as_ref().unwrap().forwarded, 1);
}
