//! An address that is corrected before it is verified.

use crate::fixture::{Fixture, new_user};
use signup::{Admission, CorrectionError, Created, EmailAddress, Kind, State, Username, VerifyError};

impl Fixture {
    async fn correct(&self, username: &str, address: &str, hides: bool) -> Result<Created, CorrectionError> {
        let (username, email) = (Username::parse(username).expect("a name"), EmailAddress::parse(address));
        let email = email.expect("an address");
        self.store.correct_email(&username, &email, hides, &self.policy, &self.keys).await
    }
}

#[tokio::test]
async fn the_mail_goes_to_the_right_address_and_the_old_link_verifies_nothing() {
    let fixture = Fixture::new().await;
    let wrong = fixture.leased("alice").await;
    let code = fixture.code(&wrong);
    fixture.store.record_sent(wrong.intent.id, wrong.epoch, "250 ok").await.expect("sent");
    let created = fixture.correct("alice", "Right@Example.com", false).await.expect("corrected");
    assert_eq!((created.user.username.as_str(), created.user.email.as_str()), ("alice", "Right@Example.com"));
    let right = fixture.lease(created.intent.id).await;
    assert_eq!(right.email, "Right@Example.com");
    let old = fixture.store.verify_email(wrong.email_id, &code).await;
    assert!(matches!(old, Err(VerifyError::AddressChanged)), "{old:?}");
    fixture.store.verify_email(right.email_id, &fixture.code(&right)).await.expect("verified");
    assert!(fixture.flag("email_canonical = 'right@example.com' AND is_email_verified FROM users").await);
}

#[tokio::test]
async fn what_is_owed_to_the_wrong_address_is_cancelled_and_what_was_refused_is_owed_anew() {
    let fixture = Fixture::new().await;
    for (username, state) in [("waits", "waiting"), ("refused", "refused"), ("dead", "dead")] {
        let first = fixture.sign_up(username).await.intent.id;
        fixture.set(&format!("state = '{state}'"), first).await;
        // Once to another address, once to the same.
        let second = fixture.correct(username, &format!("{username}@right.test"), false).await.expect("corrected");
        let third = fixture.correct(username, &format!("{username}@right.test"), false).await.expect("corrected");
        let expected = if state == "waiting" { State::Cancelled } else { state.parse().expect("a state") };
        assert_eq!(fixture.state(first).await, expected);
        assert_eq!(fixture.state(second.intent.id).await, State::Cancelled);
        assert_eq!(fixture.lease(third.intent.id).await.email, format!("{username}@right.test"));
        assert_eq!(fixture.value::<i32>("generation", third.intent.id).await, 3);
    }
}

#[tokio::test]
async fn a_mail_to_the_same_address_is_a_minute_after_the_last() {
    let fixture = Fixture::new().await;
    let first = fixture.leased("alice").await;
    fixture.store.record_sent(first.intent.id, first.epoch, "250 ok").await.expect("sent");
    let same = fixture.correct("alice", "alice@example.com", false).await.expect("corrected");
    let apart = "run_at - (SELECT max(sent_at) FROM email_intents) = interval '60 seconds'";
    assert!(fixture.value::<bool>(apart, same.intent.id).await);
    let other = fixture.correct("alice", "other@example.com", false).await.expect("corrected");
    assert!(fixture.value::<bool>("run_at <= clock_timestamp()", other.intent.id).await);
}

#[tokio::test]
async fn a_verified_address_an_unknown_name_and_a_taken_address_are_refused() {
    let fixture = Fixture::new().await;
    let alice = fixture.leased("alice").await;
    fixture.store.verify_email(alice.email_id, &fixture.code(&alice)).await.expect("verified");
    let owed = fixture.sign_up("bob").await.intent.id;
    for username in ["alice", "nobody"] {
        let error = fixture.correct(username, "new@example.com", false).await;
        assert!(matches!(error, Err(CorrectionError::Verified)), "{username}: {error:?}");
    }
    let error = fixture.correct("bob", "ALICE@example.com", false).await;
    assert!(matches!(error, Err(CorrectionError::EmailTaken)), "{error:?}");
    assert_eq!(fixture.state(owed).await, State::Waiting, "nothing is changed");
}

#[tokio::test]
async fn a_user_becomes_hidden_by_a_taken_address_and_ceases_to_be_by_a_free_one() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    let bob = fixture.sign_up("bob").await.intent.id;
    let hidden = fixture.correct("bob", "Alice@example.com", true).await.expect("hidden");
    assert_eq!(hidden.user.email, "Alice@example.com", "as if it were free");
    assert!(fixture.flag("is_hidden AND email LIKE '%@hidden.invalid' FROM users WHERE username = 'bob'").await);
    assert_eq!(fixture.state(bob).await, State::Cancelled);
    let notice = fixture.lease(hidden.intent.id).await;
    assert_eq!((notice.kind, notice.email.as_str()), (Kind::Notice, "alice@example.com"));
    let code = fixture.code(&notice);
    let verified = fixture.store.verify_email(notice.email_id, &code).await;
    assert!(matches!(verified, Err(VerifyError::AddressChanged)), "{verified:?}");

    // The same once more, and then the address that is right.
    let again = fixture.correct("bob", "alice@example.com", true).await.expect("hidden");
    assert_eq!(fixture.state(hidden.intent.id).await, State::Cancelled);
    assert_eq!(fixture.value::<String>("kind", again.intent.id).await, "notice");
    let free = fixture.correct("bob", "bob@right.test", true).await.expect("free");
    assert!(fixture.flag("NOT is_hidden AND email = 'bob@right.test' FROM users WHERE username = 'bob'").await);
    let mail = fixture.lease(free.intent.id).await;
    assert_eq!((mail.kind, mail.email.as_str()), (Kind::Verification, "bob@right.test"));
    fixture.store.verify_email(mail.email_id, &fixture.code(&mail)).await.expect("verified");
}

#[tokio::test]
async fn a_hidden_correction_writes_what_one_with_a_free_address_writes() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    let mut written = Vec::new();
    for (username, address) in [("bob", "alice@example.com"), ("carol", "free@example.com")] {
        fixture.sign_up(username).await;
        fixture.correct(username, address, true).await.expect("corrected");
        let rows: String = sqlx::query_scalar(
            "SELECT string_agg(concat_ws(' ', generation, state, delay, queue, last_class, voided_at IS NULL, is_used,
                                         expired_at = 'infinity'), ', ' ORDER BY intent.created_at)
             FROM email_intents AS intent JOIN verify_emails AS code ON code.intent_id = intent.id
             WHERE intent.username = $1",
        )
        .bind(username)
        .fetch_one(&fixture.sql)
        .await
        .expect("rows");
        written.push(rows);
    }
    assert_eq!(written[0], written[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_corrections_and_signups_at_once_with_one_address_one_gets_it_and_none_fails() {
    let fixture = Fixture::new().await;
    for number in 0..8 {
        fixture.sign_up(&format!("user{number}")).await;
    }
    let corrections = (0..8).map(|number| {
        let (store, policy, keys) = (fixture.store.clone(), fixture.policy.clone(), fixture.keys.clone());
        tokio::spawn(async move {
            let (name, one) = (Username::parse(&format!("user{number}")), EmailAddress::parse("one@example.com"));
            let (name, one) = (name.expect("a name"), one.expect("an address"));
            store.correct_email(&name, &one, true, &policy, &keys).await.expect("corrected");
            let new = new_user(&format!("new{number}"), "one@example.com");
            store.create_user_hiding(&new, &policy, &keys).await.expect("created");
        })
    });
    for correction in corrections.collect::<Vec<_>>() {
        correction.await.expect("no panic");
    }
    assert!(fixture.flag("count(*) FILTER (WHERE NOT is_hidden) = 1 AND count(*) = 16 FROM users").await);
}

#[tokio::test]
async fn passwords_for_a_name_are_counted_whether_or_not_somebody_has_it() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    for username in ["alice", "nobody"] {
        for _ in 0..5 {
            assert_eq!(fixture.store.admit_correction(username).await.expect("asked"), Admission::Admitted);
        }
        let sixth = fixture.store.admit_correction(username).await.expect("asked");
        assert!(matches!(sixth, Admission::After(wait) if wait.as_secs() > 3500), "{username}: {sixth:?}");
    }
}

/// Transactions that are open, asked without letting anything of this thread go on meanwhile.
fn open_transactions(fixture: &Fixture) -> String {
    let asked = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let output = std::process::Command::new("psql").args(["-AtXqc", asked, &fixture.uri]).output().expect("psql runs");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test]
async fn what_is_refused_has_let_go_of_its_locks_when_that_is_told() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    fixture.sign_up("bob").await;
    for hides in [false, true] {
        let unknown = fixture.correct("nobody", "new@example.com", hides).await;
        assert_eq!((unknown.is_err(), open_transactions(&fixture).as_str()), (true, "0"), "{hides}");
    }
    let taken = fixture.correct("bob", "alice@example.com", false).await;
    assert_eq!((taken.is_err(), open_transactions(&fixture).as_str()), (true, "0"));
    let new = new_user("alice", "new@example.com");
    let named = fixture.store.create_user_hiding(&new, &fixture.policy, &fixture.keys).await;
    assert_eq!((named.is_err(), open_transactions(&fixture).as_str()), (true, "0"));
}
