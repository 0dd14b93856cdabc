//! One reading of addresses: what signup accepts, the worker sends, to exactly the mailbox that is stored.

use super::*;
use mail_parser::MessageParser;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use signup::EmailAddress;

/// Texts that people and attackers write in the place of an address.
const AS_WRITTEN: [&str; 14] = [
    "bob@example.com",
    "\"bob2\"@example.com",
    "\"b\\ob3\"@example.com",
    "B.O'b+4{x}@Sub.Example.COM",
    "!#$%&'*+-/=?^_`{|}~@example.com",
    "\"b ob\"@example.com",
    "\"b\\\"ob\"@example.com",
    "bob@example.com>",
    "<bob@example.com>",
    "bob@example.com, eve@example.com",
    "bob@exa_mple.com",
    "bob@10.0.0.1",
    "bob@[10.0.0.1]",
    "b\u{f6}b@example.com",
];

/// Those, and as many by chance; equal ones are one mailbox, so each has a number.
fn texts() -> Vec<String> {
    let strategy = prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,20}@[a-z0-9-]{1,6}[.][a-z]{2}",
        "\"([a-z.+]|\\\\[a-z\"@ ]){1,8}\"@[a-z]{1,6}[.][a-z]{2}",
        "[a-z.\"<>@ ,;:()-]{3,20}",
    ];
    let mut runner = TestRunner::deterministic();
    let drawn = (0..200).map(|_| strategy.new_tree(&mut runner).expect("nothing is filtered").current());
    AS_WRITTEN.into_iter().map(str::to_owned).chain(drawn).collect()
}

#[tokio::test]
async fn what_signup_accepts_is_sent_to_exactly_the_mailbox_that_is_stored() {
    let fixture = Fixture::new().await;
    let mut sent = 0;
    let mut seen = std::collections::HashSet::new();
    for text in texts() {
        let Ok(email) = EmailAddress::parse(&text) else { continue };
        if !seen.insert(email.canonical().to_owned()) {
            continue;
        }
        let stored = email.as_str().to_owned();
        let created = fixture.sign_up_as(&format!("user{sent}"), email).await;
        assert_eq!(created.user.email, stored);
        assert_eq!(fixture.run(&created).await, Ok(()), "{text}");
        sent += 1;
        let messages = fixture.inbox.messages();
        let message = messages.last().expect("it arrived");
        let read = MessageParser::default().parse(&message.raw).expect("a message");
        let header = read.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("a recipient");
        assert_eq!((messages.len(), message.to.as_slice(), header), (sent, &[stored.clone()][..], &*stored), "{text}");
    }
    assert!(sent >= 40, "only {sent} of the texts are addresses");
}

#[tokio::test]
async fn every_display_name_of_the_sender_is_sent_and_the_envelope_has_the_address_alone() {
    let fixture = Fixture::new().await;
    for (number, name) in ["Example, Inc.", "Zoë @ Example; (us)", "Exa\"mple\\"].into_iter().enumerate() {
        let before = std::fs::read_to_string(fixture.path("pipeline.yaml")).expect("a file");
        let line = before.lines().find(|line| line.starts_with("  from: ")).expect("a sender").to_owned();
        fixture.edit(&line, &format!("  from: '{name} <no-reply@example.com>'")).await;
        let created = fixture.sign_up(&format!("user{number}")).await;
        assert_eq!(fixture.run(&created).await, Ok(()));
        let messages = fixture.inbox.messages();
        let read = MessageParser::default().parse(&messages[number].raw).expect("a message");
        let from = read.from().and_then(|from| from.first()).expect("a sender");
        assert_eq!((from.name(), from.address()), (Some(name), Some("no-reply@example.com")));
        assert_eq!(messages[number].message_id, format!("{}@example.com", created.intent.id));
    }
}
