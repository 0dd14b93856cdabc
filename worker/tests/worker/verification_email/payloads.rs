//! Tasks that other producers made, and tasks that are not ours.

use super::*;

#[tokio::test]
async fn a_task_of_a_go_producer_finds_the_owed_intent() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    let go = Task::new(signup::task::KIND, br#"{"username":"alice1"}"#.to_vec());
    assert_eq!(fixture.run_job(job(go)).await, Ok(()));
    assert_eq!(fixture.value("state", created.intent.id).await, "sent");
    assert_eq!(fixture.run(&created).await, Ok(()), "our own task finds it settled");
    assert_eq!(fixture.inbox.messages().len(), 1);
}

#[tokio::test]
async fn a_task_of_a_go_producer_makes_an_intent_where_none_is_owed_and_only_one() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let go = job(Task::new(signup::task::KIND, br#"{"username":"alice1"}"#.to_vec()));
    assert_eq!(fixture.run_job(go.clone()).await, Ok(()));
    assert_eq!(fixture.run_job(go).await, Ok(()), "the same task again");
    assert_eq!(fixture.inbox.messages().len(), 2);
}

#[tokio::test]
async fn an_unknown_user_is_retried_and_never_skipped() {
    let fixture = Fixture::new().await;
    let payload = format!(r#"{{"username":"nobody","intent_id":"{}"}}"#, Uuid::from_u128(7));
    for payload in [r#"{"username":"nobody"}"#.to_owned(), payload] {
        let (after, counted, cause) = retry(fixture.run_job(job(Task::new(signup::task::KIND, payload))).await);
        assert_eq!((after, counted, cause.as_str()), (None, true, "user doesn't exist"));
    }
}

#[tokio::test]
async fn a_task_that_is_not_ours_is_archived_or_left_to_others() {
    let fixture = Fixture::new().await;
    let broken = Task::new(signup::task::KIND, b"not json".to_vec());
    assert!(matches!(fixture.run_job(job(broken)).await, Err(TaskError::GiveUp { .. })));
    let foreign = Task::new("task:something_else", b"{}".to_vec());
    assert!(retry(fixture.run_job(job(foreign)).await).1);
}
