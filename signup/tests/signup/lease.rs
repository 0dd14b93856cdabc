//! The right to send one mail: who gets it, when, and what becomes of it when its holder vanishes.

use crate::fixture::{Fixture, LEASE};
use signup::{Ground, LeaseOutcome, RecordError, State};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn i4_only_an_intent_that_is_owed_due_and_free_is_leased() {
    let mut fixture = Fixture::new().await;
    let store = fixture.store.clone();
    let lease = async |id| store.lease(id, "worker", LEASE).await.expect("asked");

    assert_eq!(lease(Uuid::from_u128(1)).await, LeaseOutcome::Unknown);

    fixture.policy.delay = Duration::from_secs(3600);
    let delayed = fixture.sign_up("delayed").await.intent.id;
    let LeaseOutcome::NotDue(wait) = lease(delayed).await else { panic!("not due for an hour") };
    assert!(wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3600), "{wait:?}");

    fixture.policy.delay = Duration::ZERO;
    let leased = fixture.leased("alice").await;
    let LeaseOutcome::Held(wait) = lease(leased.intent.id).await else { panic!("held") };
    assert!(wait > Duration::from_secs(50) && wait <= LEASE, "{wait:?}");

    store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("recorded");
    assert_eq!(lease(leased.intent.id).await, LeaseOutcome::Settled(State::Sent));
    assert_eq!(fixture.value::<i32>("attempts", leased.intent.id).await, 1);
}

#[tokio::test]
async fn i4_of_many_workers_one_gets_the_lease() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let store = fixture.store.clone();
            tokio::spawn(async move { store.lease(id, &format!("worker{number}"), LEASE).await.expect("asked") })
        })
        .collect();
    let mut leases = 0;
    for worker in workers {
        match worker.await.expect("joined") {
            LeaseOutcome::Leased(_) => leases += 1,
            outcome => assert!(matches!(outcome, LeaseOutcome::Held(_)), "{outcome:?}"),
        }
    }
    assert_eq!((leases, fixture.value::<i32>("attempts", id).await), (1, 1));
}

#[tokio::test]
async fn i7_the_attempt_is_counted_before_anything_is_sent_so_a_crash_counts() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    assert_eq!((leased.attempts, leased.failures, leased.crash_count), (1, 0, 0));
    assert_eq!(fixture.value::<i32>("attempts", leased.intent.id).await, 1);
    fixture.let_lease_expire(leased.intent.id).await;
    let again = fixture.lease(leased.intent.id).await;
    assert_eq!((again.attempts, again.failures, again.crash_count), (2, 1, 1));
}

#[tokio::test]
async fn i10_a_stale_worker_can_neither_extend_nor_record() {
    let fixture = Fixture::new().await;
    let stale = fixture.leased("alice").await;
    let id = stale.intent.id;
    fixture.let_lease_expire(id).await;
    assert!(!fixture.store.extend_lease(id, stale.epoch, LEASE).await.expect("asked"), "expired is lost");
    let holder = fixture.lease(id).await;

    assert!(!fixture.store.extend_lease(id, stale.epoch, LEASE).await.expect("asked"));
    let store = &fixture.store;
    let second = Duration::from_secs(1);
    for result in [
        store.record_sent(id, stale.epoch, "250 ok").await,
        store.record_refused(id, stale.epoch, "permanent", "550 no", Ground::Code, second).await.map(drop),
        store.record_retry(id, stale.epoch, "transient", "450 later", true, second).await.map(drop),
        store.record_release(id, stale.epoch).await,
    ] {
        assert!(matches!(result, Err(RecordError::Stale)), "{result:?}");
    }
    let untouched: bool = fixture.value("state = 'sending' AND attempts = 2 AND failures = 1", id).await;
    assert!(untouched);

    assert!(store.extend_lease(id, holder.epoch, LEASE).await.expect("asked"));
    store.record_sent(id, holder.epoch, "250 ok").await.expect("the holder records");
}

#[tokio::test]
async fn expired_leases_are_owed_again_and_live_ones_are_left_alone() {
    let fixture = Fixture::new().await;
    let (lapsed, live) = (fixture.leased("lapsed").await, fixture.leased("live").await);
    fixture.let_lease_expire(lapsed.intent.id).await;
    assert_eq!(fixture.store.expire_leases().await.expect("swept"), 1);
    assert_eq!(fixture.state(lapsed.intent.id).await, State::Waiting);
    assert_eq!(fixture.state(live.intent.id).await, State::Sending);
    assert_eq!(fixture.store.expire_leases().await.expect("swept"), 0);
}

#[tokio::test]
async fn leases_of_a_worker_that_has_ended_end_at_once_and_no_others() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let mut leased = Vec::new();
    for (username, owner) in [("ended", "pod-1:1:a"), ("again", "pod-1:1:b")] {
        let id = fixture.sign_up(username).await.intent.id;
        let LeaseOutcome::Leased(lease) = store.lease(id, owner, LEASE).await.expect("asked") else { panic!("due") };
        leased.push((id, lease.epoch));
    }
    let [(ended, epoch), (again, _)] = leased[..] else { panic!("two") };
    assert_eq!(store.end_leases("pod-1:1:a").await.expect("ended"), 1);
    assert_eq!(fixture.state(again).await, State::Sending, "the worker that started again in its place");
    let crashed: bool =
        fixture.value("state = 'waiting' AND crash_count = 1 AND failures = 1 AND in_doubt", ended).await;
    assert!(crashed);
    assert!(!store.extend_lease(ended, epoch, LEASE).await.expect("asked"), "it would learn of it if it lived");
    let next = fixture.lease(ended).await;
    let late = store.record_sent(ended, epoch, "250 ok").await;
    assert!(matches!(late, Err(RecordError::Stale)), "{late:?}");
    store.record_sent(ended, next.epoch, "250 ok").await.expect("recorded once");
    assert_eq!(store.end_leases("pod-1:1:a").await.expect("ended"), 0);
}

#[tokio::test]
async fn the_third_crash_quarantines_the_mail_for_an_hour() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    for _ in 0..3 {
        fixture.lease(id).await;
        fixture.let_lease_expire(id).await;
    }
    let outcome = fixture.store.lease(id, "worker", LEASE).await.expect("asked");
    let LeaseOutcome::NotDue(wait) = outcome else { panic!("{outcome:?}") };
    assert!(wait > Duration::from_secs(3500), "{wait:?}");
    let quarantined: bool = fixture.value("state = 'waiting' AND crash_count = 3 AND failures = 3", id).await;
    assert!(quarantined, "owed still");
    let claim = fixture.store.claim_waiting(10, Duration::from_secs(60)).await.expect("claim");
    assert_eq!(claim.intents(), [], "not handed to Redis meanwhile");
}

#[tokio::test]
async fn with_no_retries_a_crash_uses_up_the_budget() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 0;
    let leased = fixture.leased("alice").await;
    fixture.let_lease_expire(leased.intent.id).await;
    let outcome = fixture.store.lease(leased.intent.id, "worker", LEASE).await.expect("asked");
    assert_eq!(outcome, LeaseOutcome::Settled(State::Dead));
}

#[tokio::test]
async fn a_mail_past_its_deadline_is_dead_whoever_looks_first() {
    let fixture = Fixture::new().await;
    let past = "deadline = clock_timestamp() - interval '1 millisecond'";
    let leased_first = fixture.sign_up("alice").await.intent.id;
    fixture.set(past, leased_first).await;
    let outcome = fixture.store.lease(leased_first, "worker", LEASE).await.expect("asked");
    assert_eq!(outcome, LeaseOutcome::Settled(State::Dead));

    let swept_first = fixture.sign_up("bob").await.intent.id;
    fixture.set(past, swept_first).await;
    let being_sent = fixture.leased("carol").await.intent.id;
    fixture.set(past, being_sent).await;
    assert_eq!(fixture.store.bury_expired().await.expect("swept"), 1);
    assert_eq!(fixture.state(swept_first).await, State::Dead);
    assert_eq!(fixture.state(being_sent).await, State::Sending, "a dialogue is not cut");
}

#[tokio::test]
async fn a_delayed_mail_past_its_deadline_is_dead_and_not_due_later() {
    let mut fixture = Fixture::new().await;
    fixture.policy.delay = Duration::from_secs(3600);
    let id = fixture.sign_up("alice").await.intent.id;
    fixture.set("deadline = clock_timestamp() - interval '1 millisecond'", id).await;
    let outcome = fixture.store.lease(id, "worker", LEASE).await.expect("asked");
    assert_eq!(outcome, LeaseOutcome::Settled(State::Dead));
}

#[tokio::test]
async fn a_link_whose_row_was_deleted_while_its_mail_is_owed_is_told_and_made_again_with_its_code() {
    let fixture = Fixture::new().await;
    let store = fixture.store.clone();
    let id = fixture.sign_up("alice").await.intent.id;
    let link = "SELECT id FROM verify_emails";
    let before: i64 = sqlx::query_scalar(link).fetch_one(&fixture.sql).await.expect("a link");
    fixture.execute("DELETE FROM verify_emails").await;
    assert_eq!(store.lease(id, "worker", LEASE).await.expect("asked"), LeaseOutcome::LinkMissing);
    assert!(store.remake_link(id, &fixture.keys).await.expect("made"));
    assert!(!store.remake_link(id, &fixture.keys).await.expect("asked"), "it is there now");
    let leased = fixture.lease(id).await;
    assert_eq!(leased.email_id, before, "a copy that is out has the same link");
    store.record_sent(id, leased.epoch, "250 ok").await.expect("recorded");
    store.verify_email(leased.email_id, fixture.keys.current_code(id).as_str()).await.expect("the code is the same");
}

#[tokio::test]
async fn a_link_is_made_with_the_current_key_when_its_own_is_gone() {
    let fixture = Fixture::new().await;
    let id = fixture.sign_up("alice").await.intent.id;
    fixture.execute("DELETE FROM verify_emails; UPDATE email_intents SET key_id = 'deadbeef'").await;
    assert!(fixture.store.remake_link(id, &fixture.keys).await.expect("made"));
    let leased = fixture.lease(id).await;
    assert_eq!(fixture.code(&leased), fixture.keys.current_code(id).as_str());
}

#[tokio::test]
async fn no_link_is_made_for_a_mail_that_nobody_is_owed() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let (id, epoch) = (leased.intent.id, leased.epoch);
    let refused = fixture.store.record_refused(id, epoch, "permanent", "550 no", Ground::Code, LEASE).await;
    refused.expect("recorded");
    fixture.execute("DELETE FROM verify_emails").await;
    assert!(!fixture.store.remake_link(id, &fixture.keys).await.expect("asked"));
}
