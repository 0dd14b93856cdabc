//! What whoever signed up is told of the mail.

use crate::fixture::{Fixture, LEASE, new_user};
use signup::{Account, Created, DeliveryState, EmailAddress, LeaseOutcome, Username};
use std::time::Duration;
use uuid::Uuid;

use DeliveryState::{Failed, Queued, Refused, Sent, Verified};

impl Fixture {
    async fn seen(&self, created: &Created) -> Option<DeliveryState> {
        let account = Account::from(&created.user);
        self.store.delivery_states(std::slice::from_ref(&account)).await.expect("states").remove(&account)
    }

    async fn hiding(&self, username: &str, email: &str) -> Created {
        let new = new_user(username, email);
        self.store.create_user_hiding(&new, &self.policy, &self.keys).await.expect("created")
    }

    /// One turn of a worker: what a mail server says, where the mail is leased at all.
    async fn turn(&self, id: Uuid, server: Server) {
        let LeaseOutcome::Leased(leased) = self.store.lease(id, "worker", LEASE).await.expect("asked") else { return };
        let epoch = leased.epoch;
        match server {
            Server::Takes => self.store.record_sent(id, epoch, "250 ok").await.expect("recorded"),
            Server::Refuses => self.set("state = 'refused', lease_owner = NULL, lease_until = NULL", id).await,
            Server::IsAway => {
                let after = Duration::ZERO;
                self.store.record_retry(id, epoch, "relay down", "", false, after).await.expect("recorded");
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Server {
    Takes,
    Refuses,
    IsAway,
}

#[tokio::test]
async fn the_state_is_that_of_the_mail_until_the_address_is_verified() {
    let fixture = Fixture::new().await;
    let alice = fixture.sign_up("alice").await;
    let id = alice.intent.id;
    for (assignment, seen) in [
        ("state = 'dispatched'", Queued),
        ("state = 'sending', lease_owner = 'w', lease_until = now() + interval '1 minute'", Queued),
        ("state = 'refused', lease_owner = NULL, lease_until = NULL", Refused),
        ("state = 'dead'", Failed),
        ("state = 'cancelled', last_class = 'cancelled by hand'", Failed),
        ("state = 'waiting'", Queued),
    ] {
        fixture.set(assignment, id).await;
        assert_eq!(fixture.seen(&alice).await, Some(seen), "{assignment}");
    }
    let leased = fixture.lease(id).await;
    fixture.store.record_sent(id, leased.epoch, "250 ok").await.expect("recorded");
    assert_eq!(fixture.seen(&alice).await, Some(Sent));
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("verified");
    assert_eq!(fixture.seen(&alice).await, Some(Verified));
}

#[tokio::test]
async fn another_user_of_the_name_is_another_account() {
    let fixture = Fixture::new().await;
    let first = fixture.sign_up("alice").await;
    fixture.execute("DELETE FROM users").await;
    assert_eq!(fixture.seen(&first).await, None);
    let second = fixture.sign_up("alice").await;
    assert_eq!((fixture.seen(&first).await, fixture.seen(&second).await), (None, Some(Queued)));
    let both = [Account::from(&first.user), Account::from(&second.user)];
    let states = fixture.store.delivery_states(&both).await.expect("states");
    assert_eq!(states.into_iter().collect::<Vec<_>>(), [(both[1].clone(), Queued)]);
}

#[tokio::test]
async fn mails_that_are_asked_for_do_not_show_and_a_correction_does() {
    let fixture = Fixture::new().await;
    let alice = fixture.sign_up("alice").await;
    fixture.turn(alice.intent.id, Server::Refuses).await;
    let email = EmailAddress::parse("alice@example.com").expect("an address");
    fixture.store.ask_for_mail(&email).await.expect("asked");
    let again = fixture.store.settle_mail_asked_for(email.canonical(), &fixture.policy, &fixture.keys).await;
    again.expect("settled").expect("a mail is owed");
    assert_eq!(fixture.seen(&alice).await, Some(Refused));
    let (name, email) = (Username::parse("alice").expect("a name"), EmailAddress::parse("b@example.com"));
    let email = email.expect("an address");
    fixture.store.correct_email(&name, &email, false, &fixture.policy, &fixture.keys).await.expect("corrected");
    assert_eq!(fixture.seen(&alice).await, Some(Queued));
}

/// What two signups with one address see one after the other, and the first again after a mail was asked for and after
/// its address was corrected to the same one; with an address that was free, or taken before.
async fn seen(server: Server, is_taken: bool) -> Vec<Option<DeliveryState>> {
    let fixture = Fixture::new().await;
    if is_taken {
        let owner = fixture.sign_up("owner").await;
        fixture.set("state = 'sent', sent_at = now() - interval '1 day'", owner.intent.id).await;
        fixture.execute("UPDATE users SET email = 'one@example.com'").await;
    }
    let one = fixture.hiding("one", "one@example.com").await;
    let mut seen = vec![fixture.seen(&one).await];
    fixture.turn(one.intent.id, server).await;
    seen.push(fixture.seen(&one).await);
    let other = fixture.hiding("other", "One@example.com").await;
    seen.push(fixture.seen(&other).await);
    fixture.turn(other.intent.id, server).await;
    // As long as the one before it took.
    let past =
        "UPDATE email_intents SET next_attempt_at = next_attempt_at - interval '1 minute' WHERE told_by IS NOT NULL";
    fixture.execute(past).await;
    seen.extend([fixture.seen(&one).await, fixture.seen(&other).await]);

    let email = EmailAddress::parse("one@example.com").expect("an address");
    fixture.store.ask_for_mail(&email).await.expect("asked");
    fixture.store.settle_mail_asked_for(email.canonical(), &fixture.policy, &fixture.keys).await.expect("settled");
    seen.extend([fixture.seen(&one).await, fixture.seen(&other).await]);
    let name = Username::parse("one").expect("a name");
    let corrected = fixture.store.correct_email(&name, &email, true, &fixture.policy, &fixture.keys).await;
    seen.extend([fixture.seen(&one).await, fixture.seen(&other).await]);
    let newest = corrected.expect("corrected").intent.id;
    fixture.execute("UPDATE email_intents SET run_at = now(), next_attempt_at = now() WHERE state = 'waiting'").await;
    for id in [newest, other.intent.id] {
        fixture.turn(id, Server::Takes).await;
    }
    fixture.execute(past).await;
    seen.extend([fixture.seen(&one).await, fixture.seen(&other).await]);
    seen
}

#[tokio::test]
async fn the_states_of_a_hidden_signup_are_those_of_another_whatever_the_mail_server_says() {
    for (server, state) in [(Server::Takes, Sent), (Server::Refuses, Refused), (Server::IsAway, Queued)] {
        let (free, taken) = (seen(server, false).await, seen(server, true).await);
        assert_eq!(free, taken);
        assert_eq!((free[0], free[1], free[4], free[9]), (Some(Queued), Some(state), Some(state), Some(Sent)));
    }
}

#[tokio::test]
async fn a_notice_that_is_not_sent_is_shown_as_long_queued_as_the_one_before_it_was() {
    let fixture = Fixture::new().await;
    fixture.sign_up("owner").await;
    let told = fixture.hiding("told", "owner@example.com").await;
    fixture.turn(told.intent.id, Server::Takes).await;
    fixture
        .set("run_at = now() - interval '20 seconds', sent_at = now() - interval '10 seconds'", told.intent.id)
        .await;
    let hidden = fixture.hiding("hidden", "owner@example.com").await;
    fixture.turn(hidden.intent.id, Server::Takes).await;
    assert_eq!(fixture.value::<String>("state", hidden.intent.id).await, "cancelled");
    assert_eq!(fixture.seen(&hidden).await, Some(Queued));
    fixture.set("next_attempt_at = next_attempt_at - interval '9 seconds'", hidden.intent.id).await;
    assert_eq!(fixture.seen(&hidden).await, Some(Queued));
    fixture.set("next_attempt_at = next_attempt_at - interval '2 seconds'", hidden.intent.id).await;
    assert_eq!(fixture.seen(&hidden).await, Some(Sent));

    // After an outage no notice is shown queued for as long as that lasted.
    fixture.set("run_at = now() - interval '1 hour'", told.intent.id).await;
    fixture.set("next_attempt_at = next_attempt_at - interval '1 minute'", hidden.intent.id).await;
    assert_eq!(fixture.seen(&hidden).await, Some(Sent));

    // A notice whose account is gone told nobody.
    let last = fixture.hiding("last", "owner@example.com").await;
    fixture.execute("DELETE FROM users WHERE username = 'owner'").await;
    fixture.turn(last.intent.id, Server::Takes).await;
    assert_eq!(fixture.seen(&last).await, Some(Sent));
}

#[tokio::test]
async fn states_are_found_by_indexes_alone() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "INSERT INTO users (username, hashed_password, full_name, email)
             SELECT 'user' || n, '-', 'Test User', n || '@example.net' FROM generate_series(1, 20000) AS n;
             INSERT INTO email_intents (id, kind, email, generation, delay, run_at, queue, max_retries, deadline,
                                        timeout, public_url, link_ttl, message_id, key_id)
             SELECT gen_random_uuid(), 'verification', '', 1, '0', now(), 'q', 1, now() + interval '1 hour', '1 s', '-',
                    '1 s', '-', '-' FROM generate_series(1, 20000);
             ANALYZE users; ANALYZE email_intents",
        )
        .await;
    let alice = fixture.sign_up("alice").await;
    assert_eq!(fixture.seen(&alice).await, Some(Queued));
    // A backend reports what it read at the latest when it ends.
    fixture.store.close().await;
    let (scans, read) = fixture.index_reads("email_intents_username_kind_generation_key").await;
    assert!(scans >= 1 && read < 10, "{read} entries read in {scans} scans");
    let read = "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname IN ('users', 'email_intents')";
    let read: i64 = sqlx::query_scalar(read).fetch_one(&fixture.sql).await.expect("a sum");
    assert_eq!(read, 0, "rows read without an index");
}
