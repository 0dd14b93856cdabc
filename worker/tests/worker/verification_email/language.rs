//! The language of a mail and the digits in it.

use super::*;
use signup::{Digits, Username};

/// The line of six digits in the plain part.
fn digits_in(message: &inbox::Message) -> Digits {
    let text = message.text.as_deref().expect("a text");
    let line = text.lines().map(str::trim).find(|line| line.len() == 6 && line.bytes().all(|c| c.is_ascii_digit()));
    Digits::parse(line.expect("six digits")).expect("six digits")
}

#[tokio::test]
async fn the_locale_of_an_intent_chooses_the_words_and_an_unknown_one_is_english() {
    let fixture = Fixture::new().await;
    for (username, locale, subject) in [
        ("alice1", "'de-AT'", "Bestätigen Sie Ihre E-Mail-Adresse"),
        ("bob1", "'VI'", "Xác minh địa chỉ email của bạn"),
        ("carol1", "'ar'", "أكّد عنوان بريدك الإلكتروني"),
        ("dave1", "'tlh'", "Verify your email address"),
        ("erin1", "NULL", "Verify your email address"),
    ] {
        let created = fixture.sign_up(username).await;
        fixture.set(&format!("locale = {locale}"), created.intent.id).await;
        assert_eq!(fixture.run(&created).await, Ok(()));
        let messages = fixture.inbox.messages();
        assert_eq!(messages.last().expect("a mail").subject, subject, "{locale}");
    }
}

#[tokio::test]
async fn a_notice_is_in_the_language_of_the_owner_and_not_of_the_stranger() {
    let fixture = Fixture::new().await;
    let owner = fixture.sign_up("alice1").await;
    fixture.set("locale = 'de'", owner.intent.id).await;
    let hidden = fixture.hide("stranger", "alice1@example.com").await;
    fixture.set("locale = 'vi'", hidden.intent.id).await;
    assert_eq!(fixture.run(&hidden).await, Ok(()));
    assert_eq!(fixture.inbox.messages()[0].subject, "Sie haben schon ein Konto");
}

#[tokio::test]
async fn every_copy_has_the_same_digits_and_they_verify_also_under_a_renewed_key() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.inbox.rules([Rule::reply(Phase::Dot, 451, "4.3.0 later").times(1)]).expect("a good rule");
    let (_, counted, _) = retry(fixture.run(&created).await);
    assert!(counted);
    fixture.set("next_attempt_at = clock_timestamp()", created.intent.id).await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let alice = digits_in(&fixture.inbox.messages()[0]);
    let expected = fixture.keys().digits(fixture.keys().current_id(), created.intent.id);
    assert_eq!(Some(alice), expected);
    let username = Username::parse("alice1").expect("a name");
    fixture.store.verify_digits(&username, alice, &fixture.keys()).await.expect("verified");

    // The key of this one is gone, and it has waited for it.
    let created = fixture.sign_up("bob1").await;
    fixture.set("key_id = 'deadbeef', attempts = 2", created.intent.id).await;
    assert_eq!(fixture.run(&created).await, Ok(()));
    let bob = digits_in(fixture.inbox.messages().last().expect("a mail"));
    let username = Username::parse("bob1").expect("a name");
    fixture.store.verify_digits(&username, bob, &fixture.keys()).await.expect("verified");
}
