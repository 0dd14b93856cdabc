//! Another mail that somebody asked for.

use crate::fixture::{Fixture, new_user};
use signup::{Admission, EmailAddress, Intent, Leased, Locale, State};
use std::time::Duration;

impl Fixture {
    async fn ask(&self, address: &str) -> Admission {
        let email = EmailAddress::parse(address).expect("an address");
        self.store.ask_for_mail(&email).await.expect("asked")
    }

    async fn settle(&self, address: &str) -> Option<Intent> {
        self.store.settle_mail_asked_for(address, &self.policy, &self.keys).await.expect("settled")
    }

    /// Another mail to `username@example.com`, leased.
    pub(crate) async fn resent(&self, username: &str) -> Leased {
        let address = format!("{username}@example.com");
        assert_eq!(self.ask(&address).await, Admission::Admitted);
        let intent = self.settle(&address).await.expect("a new mail");
        self.lease(intent.id).await
    }

    /// A user whose first mail is out, for so long.
    async fn mailed_long_ago(&self, username: &str, ago: &str) -> Leased {
        let leased = self.leased(username).await;
        self.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
        self.set(&format!("sent_at = sent_at - interval '{ago}'"), leased.intent.id).await;
        leased
    }

    async fn move_requests(&self, by: &str) {
        let statement = format!(
            "UPDATE email_requests
             SET made_at = (SELECT array_agg(at - interval '{by}' ORDER BY at) FROM unnest(made_at) AS at)"
        );
        self.execute(&statement).await;
    }
}

#[tokio::test]
async fn a_new_mail_has_its_own_link_and_the_first_one_works_on() {
    let fixture = Fixture::new().await;
    let first = fixture.mailed_long_ago("alice", "2 minutes").await;
    let second = fixture.resent("alice").await;
    assert_ne!(first.intent.id, second.intent.id);
    assert_ne!((first.email_id, &first.message_id), (second.email_id, &second.message_id));
    assert_eq!(fixture.value::<i32>("generation", second.intent.id).await, 2);
    assert_eq!(second.email, "alice@example.com");
    fixture.store.verify_email(first.email_id, &fixture.code(&first)).await.expect("the first link");
    fixture.execute("UPDATE users SET is_email_verified = false, verified_at = NULL").await;
    fixture.store.verify_email(second.email_id, &fixture.code(&second)).await.expect("and the second");
}

#[tokio::test]
async fn two_mails_to_one_address_are_a_minute_apart() {
    let fixture = Fixture::new().await;
    fixture.mailed_long_ago("alice", "10 seconds").await;
    assert_eq!(fixture.ask("alice@example.com").await, Admission::Admitted);
    let second = fixture.settle("alice@example.com").await.expect("a new mail");
    let apart = "run_at - (SELECT max(sent_at) FROM email_intents) = interval '60 seconds'";
    assert!(fixture.value::<bool>(apart, second.id).await);
}

#[tokio::test]
async fn a_mail_that_is_owed_is_not_owed_twice_and_one_that_is_over_is_owed_anew() {
    let fixture = Fixture::new().await;
    let owed = fixture.sign_up("alice").await.intent.id;
    assert_eq!(fixture.ask("alice@example.com").await, Admission::Admitted);
    assert_eq!(fixture.settle("alice@example.com").await, None);
    assert_eq!(fixture.store.mails_asked_for().await.expect("asked"), Vec::<String>::new(), "it is settled");
    for state in [State::Refused, State::Dead] {
        fixture.set(&format!("state = '{state}'"), owed).await;
        fixture.move_requests("2 minutes").await;
        let again = fixture.resent("alice").await;
        fixture.set("state = 'dead', lease_owner = NULL, lease_until = NULL", again.intent.id).await;
    }
}

#[tokio::test]
async fn whoever_is_unknown_or_verified_gets_no_mail_and_is_counted_alike() {
    let fixture = Fixture::new().await;
    let verified = fixture.mailed_long_ago("alice", "1 hour").await;
    fixture.store.verify_email(verified.email_id, &fixture.code(&verified)).await.expect("verified");
    fixture.mailed_long_ago("bob", "1 hour").await;
    for address in ["alice@example.com", "bob@example.com", "nobody@example.com"] {
        assert_eq!(fixture.ask(&address.to_uppercase()).await, Admission::Admitted);
        let Admission::After(wait) = fixture.ask(address).await else { panic!("{address} is admitted at once") };
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{address}: {wait:?}");
    }
    assert_eq!(fixture.store.mails_asked_for().await.expect("asked").len(), 3);
    assert_eq!(fixture.settle("alice@example.com").await, None);
    assert_eq!(fixture.settle("nobody@example.com").await, None);
    assert_eq!(fixture.settle("bob@example.com").await.expect("a new mail").username, "bob");
    assert!(fixture.flag("count(*) = 3 AND bool_and(resend_to IS NULL) FROM email_requests").await, "no address stays");
}

#[tokio::test]
async fn five_an_hour_and_twenty_a_day_are_admitted() {
    let fixture = Fixture::new().await;
    let mut admitted = 0;
    for _ in 0..5 {
        assert_eq!(fixture.ask("nobody@example.com").await, Admission::Admitted);
        fixture.move_requests("61 seconds").await;
        admitted += 1;
    }
    let Admission::After(wait) = fixture.ask("nobody@example.com").await else { panic!("a sixth in an hour") };
    assert!(wait > Duration::from_secs(3000) && wait < Duration::from_secs(3600 - 300), "{wait:?}");
    fixture.move_requests("1 hour").await;
    while admitted < 20 {
        fixture.move_requests("13 minutes").await;
        assert_eq!(fixture.ask("nobody@example.com").await, Admission::Admitted, "after {admitted}");
        admitted += 1;
    }
    fixture.move_requests("13 minutes").await;
    let Admission::After(wait) = fixture.ask("nobody@example.com").await else { panic!("a twenty-first in a day") };
    assert!(wait > Duration::from_secs(18 * 3600), "{wait:?}");
    fixture.move_requests("1 day").await;
    assert_eq!(fixture.ask("nobody@example.com").await, Admission::Admitted);
}

#[tokio::test]
async fn of_many_requests_at_once_one_is_admitted_and_settled_once() {
    let fixture = Fixture::new().await;
    fixture.mailed_long_ago("alice", "1 hour").await;
    let requests = (0..20).map(|_| {
        let (store, policy, keys) = (fixture.store.clone(), fixture.policy.clone(), fixture.keys.clone());
        tokio::spawn(async move {
            let email = EmailAddress::parse("alice@example.com").expect("an address");
            let admission = store.ask_for_mail(&email).await.expect("asked");
            let settled = store.settle_mail_asked_for(email.canonical(), &policy, &keys).await.expect("settled");
            (u32::from(admission == Admission::Admitted), u32::from(settled.is_some()))
        })
    });
    let mut sums = (0, 0);
    for request in requests.collect::<Vec<_>>() {
        let (admitted, settled) = request.await.expect("joined");
        sums = (sums.0 + admitted, sums.1 + settled);
    }
    assert_eq!(sums, (1, 1));
}

#[tokio::test]
async fn the_language_of_a_signup_stays_that_of_its_mails() {
    let fixture = Fixture::new().await;
    let mut new = new_user("alice", "alice@example.com");
    new.locale = Locale::parse("de-AT").expect("a tag");
    let created = fixture.store.create_user(&new, &fixture.policy, &fixture.keys).await.expect("created");
    let leased = fixture.lease(created.intent.id).await;
    assert_eq!(leased.locale.as_deref(), Some("de-AT"));
    fixture.store.record_sent(leased.intent.id, leased.epoch, "250 ok").await.expect("sent");
    fixture.set("sent_at = sent_at - interval '2 minutes'", leased.intent.id).await;
    assert_eq!(fixture.resent("alice").await.locale.as_deref(), Some("de-AT"));
    assert_eq!(fixture.leased("bob").await.locale, None);
}

#[tokio::test]
async fn old_requests_are_forgotten_and_those_of_this_month_are_not() {
    let fixture = Fixture::new().await;
    fixture.ask("old@example.com").await;
    fixture.move_requests("31 days").await;
    fixture.ask("new@example.com").await;
    assert_eq!(fixture.store.forget_requests().await.expect("forgotten"), 1);
    assert!(matches!(fixture.ask("new@example.com").await, Admission::After(_)));
}
