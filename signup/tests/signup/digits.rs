//! The six digits of a mail: what verifies, what is counted, what is told.

use crate::fixture::{Fixture, keys};
use signup::{Digits, Keys, Leased, Username, VerifyError};

impl Fixture {
    fn digits(&self, leased: &Leased) -> Digits {
        self.keys.digits(&leased.key_id, leased.intent.id).expect("the key is there")
    }

    async fn type_digits(&self, username: &str, digits: Digits) -> Result<(), VerifyError> {
        self.store.verify_digits(&Username::parse(username).expect("a name"), digits, &self.keys).await
    }

    /// A mail that was sent, and its digits.
    async fn mailed(&self, username: &str) -> (Leased, Digits) {
        let leased = self.leased(username).await;
        self.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
        let digits = self.digits(&leased);
        (leased, digits)
    }

    async fn type_wrong_ones(&self, username: &str, right: Digits, times: u32) {
        for wrong in (0..=times).map(|number| Digits::parse(&format!("{number:06}")).expect("digits")) {
            if wrong != right {
                let typed = self.type_digits(username, wrong).await;
                assert!(matches!(typed, Err(VerifyError::NotFound)), "{typed:?}");
            }
        }
    }

    pub(crate) async fn flag(&self, expression: &str) -> bool {
        let statement = format!("SELECT {expression}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&self.sql).await.expect(expression)
    }
}

#[tokio::test]
async fn the_digits_of_a_mail_verify_and_a_second_time_they_get_the_same_answer() {
    let fixture = Fixture::new().await;
    let (leased, digits) = fixture.mailed("alice").await;
    for _ in 0..2 {
        fixture.type_digits("alice", digits).await.expect("verified");
        assert!(fixture.flag("is_email_verified FROM users").await);
    }
    fixture.store.verify_email(leased.email_id, &fixture.code(&leased)).await.expect("the link as well");
}

#[tokio::test]
async fn five_wrong_ones_lock_the_digits_and_neither_the_link_nor_a_later_mail() {
    let fixture = Fixture::new().await;
    let (alice, digits) = fixture.mailed("alice").await;
    let (_, bobs) = fixture.mailed("bob").await;
    fixture.type_wrong_ones("alice", digits, 5).await;
    let typed = fixture.type_digits("alice", digits).await;
    assert!(matches!(typed, Err(VerifyError::Locked)), "{typed:?}");
    fixture.type_digits("bob", bobs).await.expect("nobody typed wrong digits for bob");

    // Another mail has digits of its own, and both links work.
    fixture.execute("UPDATE email_intents SET sent_at = sent_at - interval '2 minutes'").await;
    let later = fixture.resent("alice").await;
    let typed = fixture.type_digits("alice", digits).await;
    assert!(matches!(typed, Err(VerifyError::Locked)), "still: {typed:?}");
    fixture.type_digits("alice", fixture.digits(&later)).await.expect("its own digits");
    fixture.execute("UPDATE users SET is_email_verified = false, verified_at = NULL").await;
    fixture.store.verify_email(alice.email_id, &fixture.code(&alice)).await.expect("the first link");
}

#[tokio::test]
async fn four_wrong_ones_lock_nothing() {
    let fixture = Fixture::new().await;
    let (_, digits) = fixture.mailed("alice").await;
    let wrong = (0..10).filter_map(|number| Digits::parse(&format!("{number:06}"))).filter(|wrong| *wrong != digits);
    for wrong in wrong.take(4) {
        fixture.type_digits("alice", wrong).await.expect_err("wrong");
    }
    fixture.type_digits("alice", digits).await.expect("verified");
}

#[tokio::test]
async fn of_a_hundred_tries_at_once_no_more_than_five_are_compared() {
    let fixture = Fixture::new().await;
    let (_, digits) = fixture.mailed("alice").await;
    fixture.type_wrong_ones("alice", digits, 5).await;
    let tries = (0..100).map(|_| {
        let (store, keys) = (fixture.store.clone(), fixture.keys.clone());
        tokio::spawn(
            async move { store.verify_digits(&Username::parse("alice").expect("a name"), digits, &keys).await },
        )
    });
    for one in tries.collect::<Vec<_>>() {
        let typed = one.await.expect("joined");
        assert!(matches!(typed, Err(VerifyError::Locked)), "{typed:?}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_is_written_down_and_answered_like_wrong_digits() {
    let fixture = Fixture::new().await;
    fixture.mailed("alice").await;
    let any = Digits::parse("123456").expect("digits");
    for username in ["alice", "nobody"] {
        for _ in 0..7 {
            let typed = fixture.type_digits(username, any).await;
            assert!(matches!(typed, Err(VerifyError::NotFound)), "{username}: {typed:?}");
        }
    }
    assert!(fixture.flag("count(*) = 2 AND bool_and(cardinality(made_at) = 6) FROM email_requests").await);
}

#[tokio::test]
async fn a_user_who_comes_after_wrong_digits_for_the_name_is_not_locked() {
    let fixture = Fixture::new().await;
    let any = Digits::parse("123456").expect("digits");
    for _ in 0..7 {
        fixture.type_digits("alice", any).await.expect_err("nobody has the name");
    }
    let (_, digits) = fixture.mailed("alice").await;
    fixture.type_digits("alice", digits).await.expect("verified");
}

#[tokio::test]
async fn what_is_wrong_with_right_digits_is_told() {
    let fixture = Fixture::new().await;
    let (_, digits) = fixture.mailed("alice").await;
    fixture.execute("UPDATE verify_emails SET expired_at = clock_timestamp()").await;
    let typed = fixture.type_digits("alice", digits).await;
    assert!(matches!(typed, Err(VerifyError::Expired)), "{typed:?}");
    fixture.execute("UPDATE verify_emails SET is_used = true").await;
    let typed = fixture.type_digits("alice", digits).await;
    assert!(matches!(typed, Err(VerifyError::Used)), "{typed:?}");

    // Of a mail to a former address, and under a key that is gone, they are wrong like all others.
    let (_, digits) = fixture.mailed("bob").await;
    let bob = Username::parse("bob").expect("a name");
    let typed = fixture.store.verify_digits(&bob, digits, &keys(b'x')).await;
    assert!(matches!(typed, Err(VerifyError::NotFound)), "{typed:?}");
    fixture.execute("UPDATE users SET email = 'new@example.com' WHERE username = 'bob'").await;
    let typed = fixture.type_digits("bob", digits).await;
    assert!(matches!(typed, Err(VerifyError::NotFound)), "{typed:?}");
    assert!(fixture.flag("NOT bool_or(is_email_verified) FROM users").await);
}

#[tokio::test]
async fn the_digits_of_a_hidden_signup_verify_nothing() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice").await;
    let new = crate::fixture::new_user("bob", "alice@example.com");
    let hidden = fixture.store.create_user_hiding(&new, &fixture.policy, &fixture.keys).await.expect("hidden");
    let digits = fixture.keys.digits(fixture.keys.current_id(), hidden.intent.id).expect("the key is there");
    let typed = fixture.type_digits("bob", digits).await;
    assert!(matches!(typed, Err(VerifyError::NotFound)), "{typed:?}");
}

#[tokio::test]
async fn digits_are_not_stored_and_differ_by_key_and_by_mail() {
    let fixture = Fixture::new().await;
    let (leased, digits) = fixture.mailed("alice").await;
    let stored: String = sqlx::query_scalar(
        "SELECT concat((SELECT string_agg(i::text, '') FROM email_intents AS i), string_agg(v::text, ''))
         FROM verify_emails AS v",
    )
    .fetch_one(&fixture.sql)
    .await
    .expect("rows");
    assert!(!stored.contains(&format!(",{},", digits.text())), "{stored}");
    let other: Keys = keys(b'o');
    assert_ne!(other.digits(other.current_id(), leased.intent.id), Some(digits));
    assert_eq!(other.digits(&leased.key_id, leased.intent.id), None);
    assert!(!format!("{digits:?}").contains(&digits.text()));
}
