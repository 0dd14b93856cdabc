//! What was lost on the way: the row of a link, the key of many mails.

use super::*;
use signup::Created;

/// Mails whose key nobody has.
async fn without_their_key(fixture: &Fixture, names: [&str; 3]) -> Vec<Created> {
    let mut all = Vec::new();
    for name in names {
        let created = fixture.sign_up(name).await;
        fixture.set("key_id = 'deadbeef'", created.intent.id).await;
        all.push(created);
    }
    all
}

#[tokio::test]
async fn a_mail_whose_link_was_deleted_is_sent_with_a_link_that_verifies() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    sqlx::query("DELETE FROM verify_emails").execute(&fixture.sql).await.expect("deletion works");
    assert_eq!(fixture.run(&created).await, Ok(()));
    let text = fixture.inbox.messages()[0].text.clone().expect("a text part");
    let query = text.split_once("verify_email?email_id=").expect("the link").1;
    let (id, rest) = query.split_once("&secret_code=").expect("the code");
    let code = fixture.keys().current_code(created.intent.id);
    assert!(rest.starts_with(code.as_str()), "the code is derived from the intent, as before");
    fixture.store.verify_email(id.parse().expect("a number"), code.as_str()).await.expect("the link is good");
    assert_eq!(fixture.value("attempts", created.intent.id).await, "1");
}

#[tokio::test]
async fn of_many_mails_whose_key_is_missing_one_is_recorded_and_the_others_wait_without_an_attempt() {
    let fixture = Fixture::new().await;
    let mails = without_their_key(&fixture, ["one1", "two1", "three1"]).await;
    retry(fixture.run(&mails[0]).await);
    assert_eq!(fixture.value("last_class || ' ' || attempts", mails[0].intent.id).await, "misconfigured 1");
    for mail in &mails[1..] {
        let (after, counted, cause) = retry(fixture.run(mail).await);
        assert!(!counted && cause.contains("key"), "{cause}");
        assert!(after.is_some_and(|after| after > Duration::from_secs(50) && after <= Duration::from_secs(70)));
        assert_eq!(fixture.value("attempts || ' ' || (last_class IS NULL)", mail.intent.id).await, "0 true");
    }
    assert!(fixture.inbox.messages().is_empty());
}

#[tokio::test]
async fn a_key_that_stayed_away_is_lost_and_every_mail_goes_at_its_first_attempt() {
    let timing = Timing { missing_key: Duration::ZERO, ..timing() };
    let fixture = Fixture::with(inbox::Settings::default(), timing, "").await;
    let mails = without_their_key(&fixture, ["one1", "two1", "three1"]).await;
    retry(fixture.run(&mails[0]).await);
    for mail in &mails[1..] {
        assert_eq!(fixture.run(mail).await, Ok(()));
        assert_eq!(fixture.value("state || ' ' || attempts", mail.intent.id).await, "sent 1");
    }
}

#[tokio::test]
async fn a_task_that_is_put_off_says_its_true_reason() {
    let fixture = Fixture::new().await;
    let created = fixture.sign_up("alice1").await;
    fixture.store.lease(created.intent.id, "another worker", MINUTE).await.expect("a lease");
    let (_, counted, cause) = retry(fixture.run(&created).await);
    assert_eq!((counted, cause.as_str()), (false, "another worker is sending the mail"));
}
