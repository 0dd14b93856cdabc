//! What the handler owes to each invariant of the design.

use super::*;

#[tokio::test]
async fn a_due_mail_is_sent_and_recorded() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let messages = fixture.inbox.messages();
    let message = &messages[0];
    assert_eq!((messages.len(), message.to.as_slice()), (1, &["alice1@example.com".to_owned()][..]));
    assert_eq!(message.message_id, format!("{}@example.com", created.intent.id));
    assert_eq!(message.subject, "Verify your email address");
    assert_eq!(fixture.value("state || ' ' || attempts || ' ' || failures", created.intent.id).await, "sent 1 0");
    assert!(fixture.value("last_reply", created.intent.id).await.starts_with("250 2.0.0"));
}

#[tokio::test]
async fn the_link_in_the_mail_verifies_the_address() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let text = fixture.inbox.messages()[0].text.clone().expect("a text part");
    let query = text.split_once("https://app.example.com/verify_email?email_id=").expect("the link").1;
    let (id, rest) = query.split_once("&secret_code=").expect("the code");
    let code: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
    fixture.store.verify_email(id.parse().expect("a number"), &code).await.expect("the code is good");
}

#[tokio::test]
async fn i4_no_dialogue_starts_for_a_mail_that_is_not_due_not_owed_or_held() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    let id = created.intent.id;
    fixture.set("run_at = clock_timestamp() + interval '100 seconds'", id).await;
    let (after, counted, _) = retry(fixture.run(&created).await);
    assert!(!counted && after.is_some_and(|after| after > Duration::from_secs(90)));
    fixture.set("run_at = clock_timestamp()", id).await;
    fixture.store.lease(id, "another worker", MINUTE).await.expect("a lease");
    let (after, counted, _) = retry(fixture.run(&created).await);
    assert!(!counted && after.is_some_and(|after| after > Duration::from_secs(50)));
    fixture.set("state = 'cancelled', lease_owner = NULL, lease_until = NULL", id).await;
    assert_eq!(fixture.run(&created).await, Ok(()), "nothing is owed, so the task is done");
    assert_eq!(fixture.inbox.connections(), 0);
}

#[tokio::test]
async fn i4_a_lease_lost_before_the_dot_leaves_the_mail_unsent() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Data, Action::Hold("data".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("data", 1, SOON).await.expect("DATA arrives");
    fixture.set("lease_epoch = lease_epoch + 1, lease_until = clock_timestamp()", created.intent.id).await;
    let (_, counted, _) = retry(running.await.expect("no panic"));
    assert!(!counted);
    assert!(fixture.inbox.messages().is_empty());
}

#[tokio::test]
async fn i4_a_lease_with_less_than_the_spare_time_left_leaves_the_mail_unsent() {
    let timing = Timing { lease: Duration::from_secs(6), extend_every: MINUTE, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Data, Action::Hold("data".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("data", 1, SOON).await.expect("DATA arrives");
    until("less than the spare time left", || async {
        fixture.value("lease_until < clock_timestamp() + interval '5 seconds'", created.intent.id).await == "true"
    })
    .await;
    fixture.inbox.release("data");
    assert!(!retry(running.await.expect("no panic")).1);
    assert!(fixture.inbox.messages().is_empty());
}

#[tokio::test]
async fn i5_sent_is_recorded_only_after_the_250() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    assert_eq!(fixture.value("state || ' ' || (sent_at IS NULL)", created.intent.id).await, "sending true");
    fixture.inbox.release("dot");
    assert_eq!(running.await.expect("no panic"), Ok(()));
    assert_eq!(fixture.value("state || ' ' || (sent_at IS NULL)", created.intent.id).await, "sent false");
}

#[tokio::test]
async fn i6_every_copy_has_the_same_id_code_and_link() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Accepted, Action::Close).times(1)]).expect("a good rule");
    let (after, counted, _) = retry(fixture.run(&created).await);
    assert!(counted && after.is_some_and(|after| after >= MINUTE), "the server may have taken it");
    fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let messages = fixture.inbox.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].message_id, messages[1].message_id);
    assert_eq!(messages[0].fingerprint(), messages[1].fingerprint());
}

#[tokio::test]
async fn i7_the_attempt_is_counted_before_the_dialogue() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Greeting, Action::Hold("greeting".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("greeting", 1, SOON).await.expect("the worker connects");
    assert_eq!(fixture.value("attempts", created.intent.id).await, "1");
    running.abort();
}

#[tokio::test]
async fn i10_a_stale_worker_cannot_record() {
    let fixture = Fixture::new().await;
    for (at, name) in [(Phase::Dot, "dot"), (Phase::Rcpt, "rcpt")] {
        let created = fixture.sign_up(name).await;
        let refuse = Rule::reply(at, 550, "5.1.1 unknown");
        fixture.inbox.rules([Rule::new(at, Action::Hold(name.into())), refuse]).expect("good rules");
        let running = fixture.start(job(task(&created)));
        fixture.inbox.wait_until_held(name, 1, SOON).await.expect("the phase is reached");
        fixture.set("lease_epoch = lease_epoch + 1, lease_owner = 'another'", created.intent.id).await;
        fixture.inbox.release(name);
        assert!(!retry(running.await.expect("no panic")).1);
        let row = fixture.value("state || ' ' || lease_owner || ' ' || (last_class IS NULL)", created.intent.id).await;
        assert_eq!(row, "sending another true");
    }
}

#[tokio::test]
async fn the_lease_is_kept_while_the_mail_server_thinks() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::new(Phase::Dot, Action::Hold("dot".into()))]).expect("a good rule");
    let running = fixture.start(job(task(&created)));
    fixture.inbox.wait_until_held("dot", 1, SOON).await.expect("the dot arrives");
    let before = fixture.value("lease_until", created.intent.id).await;
    until("an extension", || async { fixture.value("lease_until", created.intent.id).await != before }).await;
    fixture.inbox.release("dot");
    assert_eq!(running.await.expect("no panic"), Ok(()));
}
