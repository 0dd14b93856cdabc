//! What came of an attempt, and the four ways an intent stops being owed.

use crate::fixture::{Fixture, keys};
use signup::{Ground, RecordError, RetryOutcome, State};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn i2_nothing_but_sent_refused_dead_and_cancelled_ends_the_debt() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 1;
    let store = fixture.store.clone();
    let horizon = Duration::from_secs(60);

    // Everything Redis and the workers' ends can cause leaves the mail owed.
    let id = fixture.sign_up("alice").await.intent.id;
    store.claim_waiting(10, horizon).await.expect("claim").dispatched("redis-1").await.expect("marked");
    store.reset_incarnation("redis-2").await.expect("reset");
    let leased = fixture.lease(id).await;
    store.record_release(id, leased.epoch).await.expect("released");
    let leased = fixture.lease(id).await;
    store.record_retry(id, leased.epoch, "relay down", "", false, Duration::ZERO).await.expect("again");
    fixture.lease(id).await;
    fixture.let_lease_expire(id).await;
    store.expire_leases().await.expect("swept");
    store.bury_expired().await.expect("swept");
    assert!(fixture.state(id).await.is_owed());

    // The four ends, and none of them can be left again.
    let leased = fixture.lease(id).await;
    assert!(matches!(store.record_retry(id, leased.epoch, "x", "", true, SECOND).await, Ok(RetryOutcome::Dead)));
    let refused = fixture.leased("refused").await;
    store
        .record_refused(refused.intent.id, refused.epoch, "permanent", "550 no", Ground::Code, SECOND)
        .await
        .expect("recorded");
    let sent = fixture.leased("sent").await;
    store.record_sent(sent.intent.id, sent.epoch, "250 ok").await.expect("recorded");
    let cancelled = fixture.sign_up("cancelled").await.intent.id;
    fixture.execute("UPDATE users SET email = 'new@example.com' WHERE username = 'cancelled'").await;
    let ends = [
        (id, leased.epoch, State::Dead),
        (refused.intent.id, refused.epoch, State::Refused),
        (sent.intent.id, sent.epoch, State::Sent),
        (cancelled, 1, State::Cancelled),
    ];
    for (id, epoch, end) in ends {
        store.reset_incarnation("redis-3").await.expect("reset");
        store.expire_leases().await.expect("swept");
        let late = store.record_retry(id, epoch, "x", "", true, SECOND).await;
        assert!(matches!(late, Err(RecordError::Stale)), "{end}: {late:?}");
        assert!(matches!(store.record_release(id, epoch).await, Err(RecordError::Stale)), "{end}");
        assert_eq!(fixture.state(id).await, end);
    }
}

#[tokio::test]
async fn i5_sent_at_and_the_life_of_the_link_start_with_the_first_record_of_acceptance() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let id = leased.intent.id;
    assert!(fixture.value::<bool>("sent_at IS NULL", id).await);
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("recorded");
    let expiry = "sent_at IS NOT NULL AND (SELECT expired_at - link_ttl BETWEEN sent_at AND clock_timestamp()
                                           FROM verify_emails WHERE intent_id = email_intents.id)";
    assert!(fixture.value::<bool>(expiry, id).await);

    let before: String = fixture.value("sent_at::text", id).await;
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("repeated after an unknown outcome");
    assert_eq!(fixture.value::<String>("sent_at::text", id).await, before);
    assert!(fixture.value::<bool>(expiry, id).await);
}

#[tokio::test]
async fn i6_every_lease_gives_the_same_message_id_code_and_link() {
    let fixture = Fixture::new().await;
    let first = fixture.leased("alice").await;
    fixture
        .store
        .record_retry(first.intent.id, first.epoch, "transient", "450", true, Duration::ZERO)
        .await
        .expect("again");
    let second = fixture.lease(first.intent.id).await;
    fixture.let_lease_expire(first.intent.id).await;
    let third = fixture.lease(first.intent.id).await;
    for later in [&second, &third] {
        assert_eq!(later.message_id, first.message_id);
        assert_eq!(fixture.code(later), fixture.code(&first));
        assert_eq!(
            (later.email_id, &later.public_url, &later.email),
            (first.email_id, &first.public_url, &first.email)
        );
    }
    assert_eq!(first.message_id, format!("<{}@example.com>", first.intent.id));
    assert_eq!(fixture.code(&first).len(), 32);
}

#[tokio::test]
async fn i6_a_rotated_key_leaves_the_code_of_an_owed_mail_as_it_was() {
    let mut fixture = Fixture::new().await;
    let first = fixture.leased("alice").await;
    let code = fixture.code(&first);
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("current"), [b'n'; 32]).expect("new key");
    std::fs::write(folder.path().join("2025"), [b'k'; 32]).expect("old key");
    fixture.keys = signup::Keys::load(folder.path()).expect("both keys");
    assert_eq!(fixture.code(&first), code);
    assert_eq!(
        keys(b'n').code(&first.key_id, first.intent.id),
        None,
        "without the old key there is no code, not a wrong one"
    );
}

#[tokio::test]
async fn counted_failures_use_up_the_retries_and_the_providers_trouble_does_not() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 2;
    let id = fixture.sign_up("alice").await.intent.id;
    let fail = async |counted| {
        let leased = fixture.lease(id).await;
        fixture
            .store
            .record_retry(id, leased.epoch, "transient", "450 later", counted, Duration::ZERO)
            .await
            .expect("recorded")
    };
    for _ in 0..20 {
        assert_eq!(fail(false).await, RetryOutcome::Again);
    }
    assert_eq!(fail(true).await, RetryOutcome::Again);
    assert_eq!(fail(true).await, RetryOutcome::Again);
    assert_eq!(fail(true).await, RetryOutcome::Dead, "the first attempt and two retries");
    let counters: bool = fixture.value("state = 'dead' AND attempts = 23 AND failures = 3", id).await;
    assert!(counters);
}

#[tokio::test]
async fn max_retries_zero_runs_once() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 0;
    let leased = fixture.leased("alice").await;
    let outcome = fixture.store.record_retry(leased.intent.id, leased.epoch, "transient", "450", true, SECOND).await;
    assert_eq!(outcome.expect("recorded"), RetryOutcome::Dead);
}

#[tokio::test]
async fn a_retry_is_not_due_before_its_wait_is_over() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let hour = Duration::from_secs(3600);
    fixture.store.record_retry(leased.intent.id, leased.epoch, "transient", "450", true, hour).await.expect("recorded");
    let outcome = fixture.store.lease(leased.intent.id, "worker", SECOND).await.expect("asked");
    assert!(matches!(outcome, signup::LeaseOutcome::NotDue(wait) if wait > Duration::from_secs(3500)), "{outcome:?}");
}

#[tokio::test]
async fn a_released_attempt_is_not_counted() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.store.record_release(leased.intent.id, leased.epoch).await.expect("released");
    let again = fixture.lease(leased.intent.id).await;
    assert_eq!((again.attempts, again.failures), (1, 0));
}

#[tokio::test]
async fn acceptance_is_recorded_although_the_lease_expired_as_long_as_nobody_started_again() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    fixture.let_lease_expire(leased.intent.id).await;
    fixture.store.expire_leases().await.expect("swept");
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("no second copy");
    assert_eq!(fixture.state(leased.intent.id).await, State::Sent);
}

#[tokio::test]
async fn the_reply_of_the_mail_server_is_kept() {
    let fixture = Fixture::new().await;
    let leased = fixture.leased("alice").await;
    let reply = format!("550 5.1.1 no such user\0\n{}", "x".repeat(100_000));
    fixture
        .store
        .record_refused(leased.intent.id, leased.epoch, "permanent", &reply, Ground::Code, SECOND)
        .await
        .expect("recorded");
    let kept: bool = fixture
        .value(
            "state = 'refused' AND last_class = 'permanent' AND last_reply LIKE '550 5.1.1%'
             AND length(last_reply) = 1000",
            leased.intent.id,
        )
        .await;
    assert!(kept);
}

#[tokio::test]
async fn a_mail_that_is_out_is_sent_also_when_its_worker_was_given_up_meanwhile() {
    let mut fixture = Fixture::new().await;
    fixture.policy.max_retries = 0;
    let leased = fixture.leased("alice").await;
    let id = leased.intent.id;
    fixture.let_lease_expire(id).await;
    fixture.store.expire_leases().await.expect("swept");
    assert_eq!(fixture.state(id).await, State::Dead);
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("nobody else has it");
    assert_eq!(fixture.state(id).await, State::Sent);
}

#[tokio::test]
async fn a_result_that_is_recorded_already_is_found_by_its_lease_and_its_words() {
    let fixture = Fixture::new().await;
    let store = fixture.store.clone();
    let leased = fixture.leased("alice").await;
    let (id, epoch) = (leased.intent.id, leased.epoch);
    assert_eq!(store.recorded(id, epoch, "permanent", "550 no").await.expect("asked"), None, "it is being sent");
    store.record_refused(id, epoch, "permanent", "550 no", Ground::Code, SECOND).await.expect("recorded");
    assert_eq!(store.recorded(id, epoch, "permanent", "550 no").await.expect("asked"), Some(State::Refused));
    for (epoch, class, reply) in
        [(epoch + 1, "permanent", "550 no"), (epoch, "transient", "550 no"), (epoch, "permanent", "551")]
    {
        assert_eq!(store.recorded(id, epoch, class, reply).await.expect("asked"), None, "{epoch} {class} {reply}");
    }
}
