//! What is read as an address or a sender, and as which.

use super::*;
use proptest::prelude::*;

#[test]
fn one_mailbox_has_one_writing() {
    for text in ["bob@example.com", "\"bob\"@example.com", "\"b\\ob\"@example.com", "\"\\b\\o\\b\"@example.com"] {
        assert_eq!(Address::parse(text).expect(text).as_str(), "bob@example.com", "{text}");
    }
    let dotted = Address::parse("\"B.o+b\"@Example.COM").expect("an address");
    assert_eq!((dotted.local(), dotted.domain()), ("B.o+b", "Example.COM"));
    assert_eq!(dotted.canonical(), "b.o+b@example.com");
}

#[test]
fn a_local_part_that_needs_its_quotes_is_told_so() {
    for text in ["\"b ob\"@x.com", "\"b\\\"ob\"@x.com", "\"\"@x.com", "\"bob.\"@x.com", "\"a@b\"@x.com", "\".\"@x.com"]
    {
        assert_eq!(Address::parse(text), Err(AddressError::NeedsQuotes), "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let forms =
        ["", "@", "bob", "bob@", "@x.com", "b ob@x.com", "bob@@x.com", "<bob@x.com>", " bob@x.com", "bob@x.com "];
    let locals = [".bob@x.com", "bob.@x.com", "b..ob@x.com", "b(c)ob@x.com", "bob\"@x.com", "\"bob@x.com", "bö@x.com"];
    let quoted = ["\"bob\"x@x.com", "\"b\"ob\"@x.com", "\"bob\\\"@x.com", "\"b\nob\"@x.com", "\"bö\"@x.com"];
    let domains = ["a@x..com", "a@.com", "a@x.com.", "a@-x.com", "a@x-.com", "a@x_y.com", "a@[10.0.0.1]", "a@10.0.0.1"];
    let long =
        [format!("{}@x.com", "a".repeat(65)), format!("a@{}.com", "b".repeat(64)), format!("a@{}c", "b.".repeat(127))];
    let texts = forms.into_iter().chain(locals).chain(quoted).chain(domains).chain(long.iter().map(String::as_str));
    for text in texts {
        assert_eq!(Address::parse(text), Err(AddressError::Form), "{text:?}");
    }
}

#[test]
fn a_name_is_what_stands_before_the_address() {
    for (text, name) in [
        ("no-reply@example.com", None),
        ("<no-reply@example.com>", None),
        ("\"\" <no-reply@example.com>", None),
        ("Example <no-reply@example.com>", Some("Example")),
        ("Example<no-reply@example.com>", Some("Example")),
        ("Example, Inc. <no-reply@example.com>", Some("Example, Inc.")),
        ("\"Example, Inc.\" <no-reply@example.com>", Some("Example, Inc.")),
        ("\"Exa\\\"mple\" <no-reply@example.com>", Some("Exa\"mple")),
        ("\"a\" and \"b\" <no-reply@example.com>", Some("\"a\" and \"b\"")),
        ("The \"Example\" <no-reply@example.com>", Some("The \"Example\"")),
        ("\"a <b>\" <no-reply@example.com>", Some("a <b>")),
        ("us @ Example (Team); Zoë's <no-reply@example.com>", Some("us @ Example (Team); Zoë's")),
    ] {
        let mailbox = Mailbox::parse(text).expect(text);
        assert_eq!((mailbox.name(), mailbox.address().as_str()), (name, "no-reply@example.com"), "{text}");
    }
}

#[test]
fn a_wrong_sender_is_told_what_to_write() {
    for (text, expected) in [
        ("not an address", MailboxError::Address(AddressError::Form)),
        ("Example <no-reply@>", MailboxError::Address(AddressError::Form)),
        ("Example no-reply@example.com", MailboxError::Address(AddressError::Form)),
        ("Example <\"no reply\"@example.com>", MailboxError::Address(AddressError::NeedsQuotes)),
        ("a <b@c.com> <no-reply@example.com>", MailboxError::Name),
        ("Exa\nmple <no-reply@example.com>", MailboxError::Name),
    ] {
        let error = Mailbox::parse(text).expect_err(text);
        assert_eq!(error, expected, "{text:?}");
        assert!(error.to_string().starts_with("must "), "{error}");
    }
    let long = format!("{} <no-reply@example.com>", "n".repeat(MAX_CHARACTERS));
    assert_eq!(Mailbox::parse(&long), Err(MailboxError::TooLong));
}

#[test]
fn neither_debug_nor_error_repeats_the_address() {
    let mailbox = Mailbox::parse("Alice <alice@example.com>").expect("a mailbox");
    let error = Mailbox::parse("alice@ex ample.com").expect_err("no domain");
    assert!(!format!("{mailbox:?} {:?} {error} {error:?}", mailbox.address()).contains("lice"));
}

proptest! {
    #[test]
    fn what_is_read_is_read_again_as_itself(
        text in prop_oneof![
            any::<String>(),
            "\"?[a-z.\\\\\" @]{1,6}\"?@[a-z.-]{1,8}",
            "[a-zA-Z0-9.\"<> @\\[\\]é_+-]{0,30}"
        ]
    ) {
        if let Ok(address) = Address::parse(&text) {
            prop_assert_eq!(Address::parse(address.as_str()), Ok(address.clone()));
            prop_assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
            prop_assert_eq!(format!("{}@{}", address.local(), address.domain()), address.as_str());
        }
    }

    #[test]
    fn a_quoted_name_holds_whatever_a_header_can(name in "[^\\p{Cc}]{0,40}") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let mailbox = Mailbox::parse(&format!("\"{quoted}\" <a@b.com>")).expect("a mailbox");
        prop_assert_eq!(mailbox.name().unwrap_or_default(), single_blanks(&name));
    }
}
