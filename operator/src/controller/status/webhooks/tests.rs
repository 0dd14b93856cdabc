//! What the condition says, and how often it changes.

use super::{
    super::{
        fixture::{Fixture, at, report},
        status,
    },
    *,
};
use crate::{
    controller::observe::pods::Report,
    crd::{status::SignupPipelineStatus, webhooks::WebhookSecret},
};
use proptest::prelude::*;
use std::time::Duration;

const HOST: &str = "app.example:8443";

/// A pipeline that tells `urls`.
fn telling(urls: &[&str]) -> Fixture {
    let mut fixture = Fixture::healthy();
    let webhook = |url: &&str| Webhook {
        url: (*url).to_owned(),
        events: Vec::new(),
        secret_ref: WebhookSecret { name: "hooks".to_owned(), key: None },
        allow_local_addresses: false,
    };
    fixture.pipeline.spec.webhooks = urls.iter().map(webhook).collect();
    fixture
}

fn one() -> Fixture {
    telling(&["https://user:pass@app.example:8443/hooks/topsecret?key=topsecret"])
}

fn works(host: &str) -> Receiver {
    Receiver { host: host.to_owned(), failing: None }
}

fn fails(host: &str, fault: &str, said: &str, since: i64) -> Receiver {
    let failing = NotTaken { since: Some(at(since)), fault: fault.to_owned(), said: said.to_owned() };
    Receiver { host: host.to_owned(), failing: Some(failing) }
}

impl Fixture {
    /// Workers that say this, each its own.
    fn say(&mut self, workers: impl IntoIterator<Item = Vec<Receiver>>) {
        let say = |webhooks| Report { webhooks, ..report(Component::Worker, Ok(())) };
        self.reports = workers.into_iter().map(say).collect();
    }

    /// Looks, and writes what is other, as a reconcile does. Gives the condition, and whether it changed.
    fn look(&mut self, second: i64) -> (Condition, bool) {
        let after = status(&self.facts(), at(second));
        self.webhook_changes.note(self.pipeline.status.as_ref(), &after, at(second));
        let find = |status: &SignupPipelineStatus| {
            let mut all = status.conditions.iter();
            all.find(|condition| condition.type_ == WEBHOOKS_DELIVERED).cloned()
        };
        let (before, after_it) = (self.pipeline.status.as_ref().and_then(find), find(&after).expect("it is told"));
        self.pipeline.status = Some(after);
        let says = |condition: &Condition| (condition.status.clone(), condition.message.clone());
        let has_changed = before.as_ref().map(says) != Some(says(&after_it));
        (after_it, has_changed)
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let status = self.pipeline.status.as_ref().expect("it was looked at");
        let found = status.conditions.iter().find(|condition| condition.type_ == kind).expect("it is told");
        (found.status.clone(), found.reason.clone())
    }
}

#[test]
fn a_receiver_that_takes_nothing_is_named_with_its_time_its_cause_and_what_mends_it() {
    for (fault, said, reason, fix) in [
        ("name", "its name does not resolve", "ReceiverDown", "Fix: have DNS know app.example:8443"),
        ("connection", "no connection: refused", "ReceiverDown", "Fix: see that app.example:8443 runs and listens"),
        ("timeout", "no answer within 15 s", "ReceiverDown", "Fix: have app.example:8443 answer within 15 s"),
        ("tls", "TLS: unknown issuer", "TlsMismatch", "Fix: have app.example:8443 show a certificate"),
        ("answer", "no answer: closed", "ReceiverDown", "Fix: see the log of app.example:8443"),
        ("status", "status 503", "ReceiverDown", "Fix: see the log of app.example:8443"),
        ("refused", "status 404", "ReceiverRefuses", "it knows what Secret hooks holds"),
        ("misconfigured", "no secret", "WebhookUnsendable", "Fix: correct that in spec.webhooks, or in Secret hooks"),
        ("a word of tomorrow", "x", "ReceiverDown", "Fix: see that it runs"),
    ] {
        let mut fixture = one();
        fixture.say([vec![fails(HOST, fault, said, 60)]]);
        let (condition, _) = fixture.look(100);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", reason), "{fault}");
        let begins = format!("no webhooks are delivered to {HOST} since 1970-01-01T00:01:00Z ({said}); signups and");
        assert!(condition.message.starts_with(&begins), "{}", condition.message);
        assert!(condition.message.contains(fix), "{}", condition.message);
        assert!(!condition.message.contains("topsecret") && !condition.message.contains("user:pass"));
        assert_eq!(fixture.condition("Ready").0, "True", "signups and mails go on");
        assert_eq!(fixture.condition("Degraded"), ("True".to_owned(), reason.to_owned()));
    }
}

#[test]
fn it_turns_back_when_one_is_taken_and_stays_as_it_is_while_nobody_knows() {
    let mut fixture = one();
    assert_eq!(fixture.look(0).0.status, "Unknown");
    fixture.say([vec![works(HOST)]]);
    assert_eq!(fixture.look(10).0.status, "True");
    fixture.say([vec![fails(HOST, "status", "status 503", 20)], vec![works(HOST)]]);
    assert_eq!(fixture.look(30).0.status, "False", "one worker's word is enough");
    fixture.say([vec![], vec![]]);
    assert_eq!(fixture.look(40).0.status, "False", "the workers have been replaced");
    fixture.say([vec![works(HOST)]]);
    let (condition, _) = fixture.look(50);
    assert_eq!((condition.status.as_str(), condition.last_transition_time.0), ("True", at(50)));
    assert_eq!(fixture.condition("Degraded").0, "False");
}

#[test]
fn what_the_resource_does_not_name_any_more_is_not_told() {
    let mut fixture = one();
    fixture.say([vec![fails(HOST, "status", "status 503", 0)]]);
    assert_eq!(fixture.look(10).0.status, "False");
    fixture.pipeline.spec.webhooks[0].url = "https://other.example/hooks".to_owned();
    assert_eq!(fixture.look(20).0.reason, "NotKnown", "its word is of the old one");
    fixture.pipeline.spec.webhooks.clear();
    let (condition, _) = fixture.look(30);
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "NoWebhooks"));
    assert_eq!(telling(&[]).look(0).0.reason, "NoWebhooks");
}

#[test]
fn what_failed_before_an_edit_is_not_told_while_nobody_says_it_again() {
    let mut fixture = one();
    fixture.say([vec![fails(HOST, "refused", "status 404", 0)]]);
    assert_eq!(fixture.look(10).0.status, "False");
    fixture.pipeline.metadata.generation = Some(2);
    assert_eq!(fixture.look(20).0.status, "False", "the workers say it still");
    fixture.say([vec![]]);
    assert_eq!(fixture.look(30).0.status, "False", "nothing was edited since");
    fixture.pipeline.metadata.generation = Some(3);
    assert_eq!(fixture.look(40).0.reason, "NotKnown", "the path may be right now");
}

#[test]
fn the_one_that_fails_for_longest_comes_first_whichever_worker_says_so() {
    let mut fixture = telling(&["https://a.example/1", "https://b.example/", "https://a.example/2"]);
    let (a, b) = (fails("a.example", "status", "status 500", 50), fails("b.example", "tls", "TLS: expired", 40));
    fixture.say([vec![a.clone()], vec![b.clone(), a.clone()]]);
    let (first, _) = fixture.look(100);
    assert!(first.message.contains("delivered to b.example since"), "{}", first.message);
    assert!(first.message.contains("(TLS: expired), nor to a.example; signups"), "{}", first.message);
    fixture.say([vec![b, a.clone()], vec![a]]);
    assert!(!fixture.look(110).1, "the same in another order");
}

#[test]
fn a_receiver_that_comes_and_goes_changes_it_three_times_in_ten_minutes_and_is_told_failing() {
    let mut fixture = one();
    fixture.say([vec![works(HOST)]]);
    fixture.look(0);
    let mut changes = Vec::new();
    for second in 1..1_200 {
        let is_up = second / 30 % 2 == 0;
        let down = fails(HOST, "status", "status 503", second / 60 * 60 + 30);
        fixture.say([vec![if is_up { works(HOST) } else { down }]]);
        let (condition, has_changed) = fixture.look(second);
        if has_changed {
            changes.push((second, condition.status));
        }
    }
    let seen: Vec<(i64, &str)> = changes.iter().map(|(second, status)| (*second, status.as_str())).collect();
    assert_eq!(seen[..3], [(30, "False"), (60, "True"), (90, "False")]);
    assert_eq!(seen[3..], [(660, "True"), (690, "False")], "and failing from then on, most of the time");
}

#[test]
fn what_is_held_back_is_looked_at_when_it_may_be_told() {
    let mut fixture = one();
    fixture.say([vec![works(HOST)]]);
    fixture.look(0);
    for (second, is_up) in [(10, false), (20, true), (30, false), (40, true)] {
        fixture.say([vec![if is_up { works(HOST) } else { fails(HOST, "status", "status 503", second) }]]);
        fixture.look(second);
    }
    assert_eq!(fixture.condition(WEBHOOKS_DELIVERED).0, "False");
    assert_eq!(fixture.webhook_changes.next_look(at(40)), Some(Duration::from_secs(570)));
    assert_eq!(fixture.look(610).0.status, "False", "it turned good once in the last ten minutes");
    assert_eq!(fixture.look(620).0.status, "True");
}

#[test]
fn a_cause_that_becomes_another_one_is_told_and_what_was_mended_then_turns_back_at_once() {
    let mut fixture = one();
    fixture.say([vec![works(HOST)]]);
    fixture.look(0);
    for (second, receiver, status) in [
        (10, fails(HOST, "name", "its name does not resolve", 10), "False"),
        (60, fails(HOST, "connection", "no connection", 10), "False"),
        (120, works(HOST), "True"),
    ] {
        fixture.say([vec![receiver]]);
        let (condition, has_changed) = fixture.look(second);
        assert_eq!((condition.status.as_str(), has_changed), (status, true), "{second}");
    }
}

proptest! {
    #[test]
    fn never_more_than_three_changes_in_ten_minutes(
        states in prop::collection::vec((1i64..200, 0u8..4, 0i64..3), 1..60)
    ) {
        let mut fixture = one();
        fixture.say([vec![works(HOST)]]);
        fixture.look(0);
        let (mut second, mut changes) = (0, Vec::new());
        for (pause, kind, since) in states {
            second += pause;
            fixture.say([match kind {
                0 => vec![],
                1 => vec![works(HOST)],
                2 => vec![fails(HOST, "status", "status 503", since)],
                _ => vec![fails(HOST, "connection", "no connection", since), works(HOST)],
            }]);
            if fixture.look(second).1 {
                changes.push(second);
            }
        }
        for four in changes.windows(4) {
            prop_assert!(four[3] - four[0] >= 600, "{changes:?}");
        }
    }
}
