//! The notice to the owner of an address that somebody else signed up with.

use super::*;
use signup::{Created, EmailAddress, FullName, NewUser, Username};

impl Fixture {
    pub(super) async fn hide(&self, username: &str, email: &str) -> Created {
        let new = NewUser {
            username: Username::parse(username).expect("a name"),
            full_name: FullName::parse("Buy At Evil Example").expect("a name"),
            email: EmailAddress::parse(email).expect("an address"),
            hashed_password: "$argon2id$not-checked-here".into(),
            locale: None,
        };
        self.store.create_user_hiding(&new, &self.policy(), &self.keys()).await.expect("created")
    }
}

#[tokio::test]
async fn the_owner_gets_one_notice_a_day_with_nothing_of_the_stranger_in_it() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice1").await;
    for stranger in ["stranger1", "stranger2", "stranger3"] {
        let hidden = fixture.hide(stranger, "ALICE1@example.com").await;
        assert_eq!(fixture.run(&hidden).await, Ok(()));
    }
    let messages = fixture.inbox.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].to, ["alice1@example.com"]);
    assert_eq!(messages[0].subject, "You already have an account");
    let (text, html) = (messages[0].text.clone().expect("text"), messages[0].html.clone().expect("HTML"));
    for part in [&text, &html] {
        assert!(part.contains("Its username is alice1.") && part.contains("Hello Test User"), "{part}");
        for strange in ["stranger", "Evil", "ALICE1", "secret_code", "http"] {
            assert!(!part.contains(strange), "{strange} in {part}");
        }
    }
    let states = "SELECT string_agg(state, ' ' ORDER BY state) FROM email_intents WHERE kind = 'notice'";
    let states: String = sqlx::query_scalar(states).fetch_one(&fixture.sql).await.expect("states");
    assert_eq!(states, "cancelled cancelled sent");
}

#[tokio::test]
async fn a_notice_needs_no_key_and_is_tried_again_like_any_mail() {
    let fixture = Fixture::new().await;
    fixture.sign_up("alice1").await;
    let hidden = fixture.hide("stranger", "alice1@example.com").await;
    fixture.set("key_id = 'deadbeef'", hidden.intent.id).await;
    fixture.inbox.rules([Rule::reply(Phase::Rcpt, 451, "4.7.1 greylisted").times(1)]).expect("a good rule");
    let (_, counted, _) = retry(fixture.run(&hidden).await);
    assert!(counted);
    fixture.set("next_attempt_at = clock_timestamp()", hidden.intent.id).await;
    assert_eq!(fixture.run(&hidden).await, Ok(()));
    assert_eq!(fixture.inbox.messages().len(), 1);
}
